"""Break the code in one place at a time and count how often the tests notice: `make mutants`.

Each mutant of `tests/mutations.py` is made in a copy of the repository and run against the tests
named beside it, which pass on the code as it is. Killed is a mutant for which a test fails. What
became of each goes to results/mutants.json, from where `make readme` takes the count.

    python -m tests.mutants --new

tries only those of which that file knows nothing.
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
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests import PATIENCE
from tests.mutations import MUTATIONS, Mutation

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
    # A failure is enough; its smallest example is not looked for.
    conftest = folder / "tests" / "conftest.py"
    short = "max_examples=20, phases=[hypothesis.Phase.generate]"
    conftest.write_text(conftest.read_text().replace("max_examples=20", short))
    return folder


def run_tests(folder: Path, tests: str) -> subprocess.CompletedProcess:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "-m",
        "",
        *shlex.split(tests),
    ]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def try_mutation(folder: Path, mutation: Mutation) -> str:
    """The first test that fails, or nothing."""
    path = folder / mutation.file
    code = path.read_text()
    assert code.count(mutation.old) == 1, f"{mutation.file}: {mutation.old!r} is not there once"
    path.write_text(code.replace(mutation.old, mutation.new))
    result = run_tests(folder, mutation.tests)
    path.write_text(code)
    if result.returncode == 0:
        return ""
    failed = [line for line in result.stdout.splitlines() if line.startswith("FAILED")]
    # Any other end, such as a file that can't be imported, proves nothing.
    ended_in_failure = result.returncode == 1 and bool(failed)
    assert ended_in_failure, f"{mutation}\n{result.stdout}\n{result.stderr}"
    return failed[0].removeprefix("FAILED ").partition(" - ")[0]


def known(mutation: Mutation, record: dict) -> bool:
    """Whether the record is of this very mutation."""
    return all(record[field] == getattr(mutation, field) for field in Mutation._fields)


def recorded() -> list[dict]:
    """What results/mutants.json holds of the mutations of the list as it is."""
    records = json.loads(SCORE.read_text())["mutants"] if SCORE.exists() else []
    return [record for record in records if any(known(m, record) for m in MUTATIONS)]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--new", action="store_true", help="only mutations that have no record yet")
    began = time.time()
    records = recorded() if parser.parse_args().new else []
    waiting = [m for m in MUTATIONS if not any(known(m, record) for record in records)]
    with tempfile.TemporaryDirectory() as place:
        folders: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for worker in range(WORKERS):
            folders.put(copy_repository(Path(place) / str(worker)))

        def checked(tests: str) -> None:
            folder = folders.get()
            result = run_tests(folder, tests)
            folders.put(folder)
            assert result.returncode == 0, f"fails before anything is broken:\n{result.stdout}"
            print(f"passes    {tests}", flush=True)

        def tried(mutation: Mutation) -> dict:
            folder = folders.get()
            killer = try_mutation(folder, mutation)
            folders.put(folder)
            print(
                f"{'killed  ' if killer else 'SURVIVED'}  {mutation.what}  ({killer})", flush=True
            )
            return {**mutation._asdict(), "killed_by": killer}

        with ThreadPoolExecutor(WORKERS) as pool:
            all_tests = sorted({mutation.tests for mutation in waiting})
            print(f"the tests of {len(waiting)} mutants, on the code as it is ...", flush=True)
            list(pool.map(checked, all_tests))
            records += pool.map(tried, waiting)
    SCORE.write_text(json.dumps({"mutants": records}, indent=2) + "\n")
    killed = sum(bool(record["killed_by"]) for record in records)
    minutes = (time.time() - began) / 60
    print(f"{killed} of {len(records)} mutants killed, {minutes:.0f} minutes")
    return int(killed < len(records))


if __name__ == "__main__":
    sys.exit(main())
