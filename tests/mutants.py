"""Break the code in one place at a time and count how often the tests notice: `make mutants`.

Each mutant of `tests/mutations.py` is made in a copy of the repository and run against the tests
named beside it, which pass on the code as it is. Killed is a mutant for which a test fails. The
score goes to results/mutants.json, from where `make readme` takes it.
"""

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

from tests.mutations import MUTATIONS, Mutation

ROOT = Path(__file__).parent.parent
SCORE = ROOT / "results" / "mutants.json"
WORKERS = 2
PARTS = ("lstm_attn", "experiments", "benchmarks", "configs", "tests", "pyproject.toml")


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
        *shlex.split(tests),
    ]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
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


def main() -> int:
    began = time.time()
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

        def tried(mutation: Mutation) -> str:
            folder = folders.get()
            killer = try_mutation(folder, mutation)
            folders.put(folder)
            print(
                f"{'killed  ' if killer else 'SURVIVED'}  {mutation.what}  ({killer})", flush=True
            )
            return killer

        with ThreadPoolExecutor(WORKERS) as pool:
            all_tests = sorted({mutation.tests for mutation in MUTATIONS})
            print(f"the tests of {len(MUTATIONS)} mutants, on the code as it is ...", flush=True)
            list(pool.map(checked, all_tests))
            killers = list(pool.map(tried, MUTATIONS))
    survived = [m.what for m, killer in zip(MUTATIONS, killers, strict=True) if not killer]
    score = {"mutants": len(MUTATIONS), "killed": len(MUTATIONS) - len(survived)}
    SCORE.write_text(json.dumps(score | {"survived": survived}, indent=2) + "\n")
    minutes = (time.time() - began) / 60
    print(f"{score['killed']} of {score['mutants']} mutants killed, {minutes:.0f} minutes")
    return int(bool(survived))


if __name__ == "__main__":
    sys.exit(main())
