"""Kill a run with -9 at random moments, start the same command again until it ends, and compare.

    python -m tests.kill --kills=30

Some kills fall anywhere from the start of the process on, some at a random line of metrics, some
while a checkpoint is being written. What a run leaves in the end must equal an undisturbed run bit
for bit: checkpoints, metrics and results, apart from seconds. Half of the kills go to a run of one
trial, half to one of several cells. A run that ends before its kills are spent is compared and
started again in another folder.
"""

import contextlib
import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from absl import app, flags

from lstm_attn.runs import RunFolder
from tests import PATIENCE

ROOT = Path(__file__).parent.parent
CLOCKED = ("seconds", "seconds_to_program")
ANYWHERE, AT_A_LINE, IN_A_CHECKPOINT = "anywhere", "at a line", "in a checkpoint"
KINDS = (ANYWHERE, AT_A_LINE, IN_A_CHECKPOINT)

COMMON = (
    "--config=configs/quick.py",
    "--config.task.names=('adding',)",
    "--config.task.lengths=(4,)",
    "--config.training.steps=2000",
    "--config.training.evaluate_every=5",
    "--config.training.warmup_steps=10",
    "--config.training.evaluation_sequences=20",
    "--config.training.stop_when_solved=False",
)
ONE_TRIAL = (
    *COMMON,
    "--config.models=('lstm',)",
    "--config.model.features=64",
    "--config.training.seeds=1",
)
SEVERAL_CELLS = (
    *COMMON,
    "--config.models=('gru','lstm','transformer')",
    "--config.model.features=8",
    "--config.training.seeds=2",
)


@dataclasses.dataclass(frozen=True)
class Kill:
    """kind: what was waited for. lines: of metrics by then. torn: a checkpoint was begun."""

    kind: str
    seconds: float
    lines: int
    torn: bool

    def __str__(self) -> str:
        where = " with a checkpoint half written" if self.torn else ""
        return f"{self.kind}: {self.seconds:.1f} s, {self.lines} lines of metrics{where}"


def start(workdir: Path, overrides: Sequence[str], cache: Path) -> subprocess.Popen:
    """The command, its output in WORKDIR.log."""
    with open(workdir.with_suffix(".log"), "a") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "experiments.compare", f"--workdir={workdir}", *overrides],
            cwd=ROOT,
            env={**os.environ, "JAX_COMPILATION_CACHE_DIR": str(cache)},
            stdout=log,
            stderr=log,
        )


def finish(process: subprocess.Popen, workdir: Path) -> None:
    status = process.wait(PATIENCE)
    assert status == 0, f"status {status}: {workdir.with_suffix('.log').read_text()[-2000:]}"


def lines_of(workdir: Path) -> int:
    path = workdir / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def is_writing(workdir: Path, since: float) -> bool:
    """Whether a checkpoint begun since then is unfinished; those of earlier kills don't count."""
    for partial in (workdir / "checkpoints").glob("*.partial"):
        with contextlib.suppress(FileNotFoundError):
            if partial.stat().st_mtime > since:
                return True
    return False


def stopped_writing(process: subprocess.Popen, workdir: Path, since: float) -> bool:
    """Whether the process is now stopped within a checkpoint; if not, it goes on."""
    if not is_writing(workdir, since):
        return False
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    if is_writing(workdir, since):
        return True
    process.send_signal(signal.SIGCONT)
    return False


def kill(process: subprocess.Popen, workdir: Path, kind: str, wait: float) -> Kill | None:
    """Kills the process at a moment of this kind; None where it has ended before.

    Args:
      wait: for ANYWHERE in seconds, otherwise in lines of metrics from here.
    """
    began, since, lines = time.monotonic(), time.time(), lines_of(workdir)

    def reached() -> bool:
        if kind == ANYWHERE:
            return time.monotonic() - began >= wait
        return lines_of(workdir) >= lines + wait

    while not reached() or (
        kind == IN_A_CHECKPOINT and not stopped_writing(process, workdir, since)
    ):
        if process.poll() is not None:
            return None
        if not reached():  # a checkpoint is written in less than a millisecond
            time.sleep(0.001)
        assert time.monotonic() - began < PATIENCE, f"{workdir} hangs"
    process.kill()
    process.wait()
    return Kill(kind, time.monotonic() - began, lines_of(workdir), is_writing(workdir, since))


def disturb(
    begin: Callable[[], subprocess.Popen], workdir: Path, moments: Iterator[tuple[str, float]]
) -> list[Kill]:
    """Runs to the end, killed at each of the moments until one comes too late."""
    kills = []
    for kind, wait in moments:
        process = begin()
        killed = kill(process, workdir, kind, wait)
        if killed is None:
            finish(process, workdir)
            return kills
        print(f"  killed {killed}", flush=True)
        kills.append(killed)
    finish(begin(), workdir)
    return kills


def differences(workdir: Path, undisturbed: Path) -> list[str]:
    """The files that are not the same, apart from seconds."""
    different = []
    folders = [RunFolder(workdir), RunFolder(undisturbed)]
    for name, ours, theirs in (
        ("config.json", *(folder.config for folder in folders)),
        ("results.json", *(_unclocked(folder.results) for folder in folders)),
        ("metrics.jsonl", *(_unclocked(_metrics(folder.path)) for folder in folders)),
    ):
        if ours != theirs:
            different.append(name)
    for record in folders[1].results:
        ours, theirs = (folder.checkpoint(record["cell"]).read_bytes() for folder in folders)
        if ours != theirs:
            different.append(f"checkpoint of {record['cell']}")
    return different


def _metrics(workdir: Path) -> list[dict]:
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def _unclocked(records: Sequence[dict]) -> list[dict]:
    return [{k: v for k, v in record.items() if k not in CLOCKED} for record in records]


def moments(rng: random.Random, seconds: float, lines: int) -> Iterator[tuple[str, float]]:
    """Each kind in turn; up to a sixth of the lines away, so that a run takes several kills."""
    while True:
        for kind in KINDS:
            yield kind, rng.uniform(0, seconds) if kind == ANYWHERE else rng.randint(1, lines // 6)


def main(arguments: Sequence[str]) -> int:
    rng = random.Random(SEED.value)
    failed, kills, runs = 0, [], 0
    with tempfile.TemporaryDirectory() as place:
        cache = Path(place) / "cache"
        for name, overrides in (("one trial", ONE_TRIAL), ("several cells", SEVERAL_CELLS)):
            whole = Path(place) / name / "undisturbed"
            whole.parent.mkdir()
            finish(start(whole, overrides, cache), whole)  # fills the compilation cache
            began = time.monotonic()
            timed = whole.with_name("timed")
            finish(start(timed, overrides, cache), timed)
            seconds = time.monotonic() - began
            different = differences(timed, whole)
            assert not different, f"two undisturbed runs differ in {different}"
            print(f"{name}: {lines_of(whole)} lines in {seconds:.0f} s undisturbed", flush=True)
            when = moments(rng, seconds, lines_of(whole))
            left = KILLS.value // 2 if overrides is ONE_TRIAL else KILLS.value - len(kills)
            while left > 0:
                runs += 1
                workdir = whole.with_name(f"run-{runs}")
                few = (next(when) for _ in range(left))
                mine = disturb(lambda w=workdir, o=overrides: start(w, o, cache), workdir, few)
                left -= len(mine)
                kills += mine
                different = differences(workdir, whole)
                failed += bool(different)
                verdict = f"differs in {', '.join(different)}" if different else "same bits"
                print(f"run {runs}, {len(mine)} kills: {verdict}", flush=True)
    torn, early = sum(kill.torn for kill in kills), sum(not kill.lines for kill in kills)
    print(
        f"{len(kills)} kills, {torn} with a checkpoint half written, {early} before the first "
        f"chunk; {runs - failed} of {runs} runs ended with the bits of an undisturbed run"
    )
    return int(bool(failed))


if __name__ == "__main__":
    KILLS = flags.DEFINE_integer("kills", 30, "How many in all.", lower_bound=2)
    SEED = flags.DEFINE_integer("seed", 0, "Of the moments.")
    app.run(main)
