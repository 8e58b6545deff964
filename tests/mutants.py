"""Break the code in one place at a time and count how often the tests notice: `make mutants`.

Each mutant of `tests/mutations.py` is made in a copy of the repository and run against the tests
named with it, which pass on the code as it is. A mutant is killed if a test fails, one of
`make test` or else one marked `full`. The verdicts go to results/mutants.json, from which
`make readme` takes the count.

    python -m tests.mutants --new

tries only mutants that have no verdict there;

    python -m tests.mutants --random 40 --seed 0

draws mutants from the syntax trees of the package instead (`tests/random_mutants.py`), runs the
fast tests of the file's folder, and notes the score and the survivors. Some of these are no bugs at
all, such as a changed constant whose value does not matter.
"""

import argparse
import json
import os
import queue
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests import PATIENCE, random_mutants
from tests.mutations import MUTATIONS, Mutation
from tests.random_mutants import RandomMutant

ROOT = Path(__file__).parent.parent
SCORE = ROOT / "results" / "mutants.json"
WORKERS = 2
PARTS = (
    "lstm_attn",
    "examples",
    "experiments",
    "benchmarks",
    "tools",
    "configs",
    "docs",
    "notebooks",
    "tests",
    "results",
    "pyproject.toml",
)


def copy_repository(folder: Path) -> Path:
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "peers")
            shutil.copytree(source, folder / part, ignore=ignored)
        else:
            shutil.copy(source, folder / part)
    # One failure is enough; hypothesis need not shrink it.
    conftest = folder / "tests" / "conftest.py"
    short = "max_examples=20, phases=[hypothesis.Phase.generate]"
    conftest.write_text(conftest.read_text().replace("max_examples=20", short))
    return folder


def run_tests(folder: Path, tests: str, marked: str) -> subprocess.CompletedProcess:
    """The tests that have these markers; all workers share a folder of compiled programs."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", marked]
    programs = folder.parent / "programs"
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "JAX_COMPILATION_CACHE_DIR": str(programs),
    }
    return subprocess.run(
        [*command, *shlex.split(tests)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


PASSED, FAILED, NO_TESTS = 0, 1, 5  # pytest's


def try_mutation(folder: Path, mutation: Mutation) -> str:
    """The first test that fails, or nothing."""
    path = folder / mutation.file
    code = path.read_text()
    assert code.count(mutation.old) == 1, f"{mutation.file}: {mutation.old!r} is not there once"
    path.write_text(code.replace(mutation.old, mutation.new))
    try:
        for marked in ("not full", "full"):
            result = run_tests(folder, mutation.tests, marked)
            if result.returncode not in (PASSED, NO_TESTS):
                failed = first_failed(result)
                # Any other exit status, such as that of a failed import, proves nothing.
                ended_in_failure = result.returncode == FAILED and failed
                assert ended_in_failure, f"{mutation}\n{result.stdout}\n{result.stderr}"
                return failed
        return ""
    finally:
        path.write_text(code)


def try_random_mutant(folder: Path, mutant: RandomMutant) -> bool:
    """Whether it is killed; a mutant that can't be imported or never ends is killed too."""
    path = folder / mutant.file
    code = path.read_text()
    path.write_text(mutant.break_code(code))
    try:
        result = run_tests(folder, mutant.tests, "not full")
    except subprocess.TimeoutExpired:
        return True
    finally:
        path.write_text(code)
    assert result.returncode != NO_TESTS, mutant
    return result.returncode != PASSED


def first_failed(result: subprocess.CompletedProcess) -> str:
    failed = [line for line in result.stdout.splitlines() if line.startswith("FAILED")]
    return failed[0].removeprefix("FAILED ").partition(" - ")[0] if failed else ""


def known(mutation: Mutation, record: dict) -> bool:
    """Whether the record is of exactly this mutation."""
    return all(record[field] == getattr(mutation, field) for field in Mutation._fields)


def read_score() -> dict:
    return json.loads(SCORE.read_text()) if SCORE.exists() else {"mutants": []}


def recorded() -> list[dict]:
    """The records of results/mutants.json whose mutation is still in the list."""
    records = read_score()["mutants"]
    return [record for record in records if any(known(m, record) for m in MUTATIONS)]


def tried(records: list[dict]) -> list[dict]:
    """The records with a verdict; without one, `killed_by` is null."""
    return [record for record in records if record["killed_by"] is not None]


def untried(records: list[dict]) -> list[dict]:
    """A record without a verdict for each mutation that has none among the records."""
    waiting = [m for m in MUTATIONS if not any(known(m, record) for record in records)]
    return [{**m._asdict(), "killed_by": None} for m in waiting]


def write_score(**parts: Any) -> None:
    SCORE.write_text(json.dumps({**read_score(), **parts}, indent=2) + "\n")


class Workers:
    """Copies of the repository, in each of which one mutant at a time is tried."""

    def __init__(self, place: Path) -> None:
        self._folders: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for worker in range(WORKERS):
            self._folders.put(copy_repository(place / str(worker)))

    def map(self, function: Callable[[Path, Any], Any], items: Iterable[Any]) -> list[Any]:
        """function(folder, item) for each item, WORKERS of them at a time."""

        def on_one(item: Any) -> Any:
            folder = self._folders.get()
            try:
                return function(folder, item)
            finally:
                self._folders.put(folder)

        with ThreadPoolExecutor(WORKERS) as pool:
            return list(pool.map(on_one, items))


def check(folder: Path, tests: str) -> None:
    result = run_tests(folder, tests, "")
    assert result.returncode == PASSED, f"fails before anything is broken:\n{result.stdout}"
    print(f"passes    {tests}", flush=True)


def record_of(folder: Path, mutation: Mutation) -> dict:
    killer = try_mutation(folder, mutation)
    print(f"{'killed  ' if killer else 'SURVIVED'}  {mutation.what}  ({killer})", flush=True)
    return {**mutation._asdict(), "killed_by": killer}


def record_of_random(folder: Path, mutant: RandomMutant) -> dict:
    killed = try_random_mutant(folder, mutant)
    place = f"{mutant.file}:{mutant.line}"
    print(
        f"{'killed  ' if killed else 'SURVIVED'}  {place}  {mutant.old} -> {mutant.new}", flush=True
    )
    return {"place": place, "old": mutant.old, "new": mutant.new, "killed": killed}


def try_random(workers: Workers, count: int, seed: int) -> bool:
    """Whether all were killed."""
    drawn = random_mutants.draw(ROOT, count, seed)
    records = workers.map(record_of_random, drawn)
    survivors = [record for record in records if not record.pop("killed")]
    killed = count - len(survivors)
    write_score(random={"seed": seed, "count": count, "killed": killed, "survivors": survivors})
    print(f"{killed} of {count} random mutants killed")
    return not survivors


def try_written(workers: Workers, *, only_new: bool) -> bool:
    """Whether all were killed. Verdicts are saved one by one: `--new` goes on where it stopped."""
    records = tried(recorded()) if only_new else []
    waiting = [m for m in MUTATIONS if not any(known(m, record) for record in records)]
    print(f"the tests of {len(waiting)} mutants, on the code as it is ...", flush=True)
    workers.map(check, sorted({mutation.tests for mutation in waiting}))
    noting = threading.Lock()

    def note(folder: Path, mutation: Mutation) -> None:
        record = record_of(folder, mutation)
        with noting:
            records.append(record)
            noted = [*records, *untried(records)]
            write_score(mutants=[r for m in MUTATIONS for r in noted if known(m, r)])

    workers.map(note, waiting)
    killed = sum(bool(record["killed_by"]) for record in records)
    print(f"{killed} of {len(records)} mutants killed")
    return killed == len(records)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--new", action="store_true", help="only mutations that have no record yet")
    parser.add_argument("--random", type=int, metavar="N", help="N mutants drawn by chance instead")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        workers = Workers(Path(place))
        if options.random:
            return int(not try_random(workers, options.random, options.seed))
        return int(not try_written(workers, only_new=options.new))


if __name__ == "__main__":
    sys.exit(main())
