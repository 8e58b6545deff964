"""The run folder: what a run was, what it measured, and where to go on. No JAX.

format.json         the format of this folder
config.json         the whole config of the latest command; a record has its cell's own
cells.json          what each cell that was begun is: model, task and their settings, by name
environment.json    versions, device, layout, commit
metrics.jsonl       a line an evaluation, of all trials of a cell
checkpoints/        the latest train states of each cell, CELL.safetensors
results.json        a record for each finished cell
STUDY.json          what a study measured, such as horizon.json
text/               language models: the text as token ids, and the vocabulary
profile/            --profile: times.json, and a trace of each cell for TensorBoard
tuning/             a run folder of the trials that learning rates were chosen by; tuning.json
report.html, *.png  drawn from the above by `lstm_attn.report`; trials.csv, a row a trial
.lock               held by the process that works here, and naming it

A folder grows: a command may ask for more cells than the last one, and a cell for more trials. What
is there stays.

A record in results.json is there once the cell's metrics and checkpoint have been forced to disk.
Nothing in the folder is executed, and nothing of it is a pickle. Its values are read as they are:
what shows them, `lstm_attn.report` and the programs' terminal, escapes them.
"""

import json
import os
import reprlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from lstm_attn import files
from lstm_attn.errors import UsageError, visible
from lstm_attn.files import append_line, cut_torn_line, force, write_whole, writing
from lstm_attn.flat import flatten
from lstm_attn.history import Evaluation

FORMAT, FORMAT_FILE = 3, "format.json"
CONFIG, CELLS, ENVIRONMENT = "config.json", "cells.json", "environment.json"
METRICS, RESULTS = "metrics.jsonl", "results.json"
PROFILE = "profile"
# What a run that ended before it wrote its config may have left.
BEGUN = ("checkpoints", ".lock", FORMAT_FILE, METRICS)


def checked_path(path: Any) -> Path:
    """The path of a run folder; raises UsageError for what is none, or the empty path, which would
    be the working directory."""
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise UsageError(f"workdir: expected the path of a folder, got {path!r}")
    return Path(path)


class RunFolder:
    """A run folder being written or read.

    Raises:
      UsageError: a run folder of another format than this lstm_attn's.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self._hold: files.Hold | None = None
        self._check_format()

    def __reduce__(self) -> Any:
        """A copy reads the folder, and does not hold its lock."""
        return type(self), (self.path,)

    @classmethod
    def open(cls, path: str | os.PathLike, config: dict[str, Any]) -> "RunFolder":
        """Makes the folder for a run of this config, or takes up the one that is there.

        The process holds the folder's lock as long as it holds the value that is returned. The
        config replaces that of an earlier run of the same study.

        Raises:
          UsageError: an empty path, a place that can't be written, a folder in which another
            process works, one of other files than a run's, of another format, or of another study:
            its config has other keys.
        """
        folder = cls(checked_path(path))
        try:
            folder._check_is_run()
            (folder.path / "checkpoints").mkdir(parents=True, exist_ok=True)
            folder._hold = files.hold(folder.path)
            if not os.access(folder.path, os.W_OK):
                raise PermissionError("permission denied")
            if not (folder.path / CONFIG).exists():
                _write_json(folder.path / FORMAT_FILE, {"format": FORMAT})
                _write_json(folder.path / CONFIG, config)
            folder._check_takes(config)
            if folder.config != json.loads(json.dumps(config)):
                _write_json(folder.path / CONFIG, config)
            (folder.path / METRICS).touch()
            cut_torn_line(folder.path / METRICS)
        except OSError as error:
            reason = error.strerror or error
            raise UsageError(f"workdir {folder.path} can't be written: {reason}") from error
        return folder

    def _check_is_run(self) -> None:
        """Raises UsageError for a folder of other files, in which those of a run would be lost."""
        if not self.path.is_dir() or (self.path / CONFIG).exists():
            return
        for name in sorted(os.listdir(self.path)):
            if name not in BEGUN and not name.endswith(files.PARTIAL):
                raise UsageError(
                    f"workdir {self.path} is not a run folder: expected an empty or new one, or "
                    f"one with {CONFIG}, found {name} there"
                )

    def _check_takes(self, config: dict[str, Any]) -> None:
        there, here = flatten(self.config), flatten(config)
        for key in [*there, *here]:
            if (key in there) != (key in here):
                where = "only there" if key in there else "only here"
                raise UsageError(
                    f"workdir {self.path} holds a run of another study: its config differs in "
                    f"keys, such as {key}, which is {where}; choose another"
                )

    def _check_format(self) -> None:
        path = self.path / FORMAT_FILE
        if os.path.exists(path):
            written = _read_json(path)
        elif os.path.exists(self.path / CONFIG):
            written = {}
        else:
            return
        if written != {"format": FORMAT}:
            raise UsageError(
                f"{self.path} was written by another version of lstm_attn: expected format "
                f"{FORMAT} in {FORMAT_FILE}, got {reprlib.repr(written)}"
            )

    @property
    def config(self) -> dict[str, Any]:
        return _read_json(self.path / CONFIG)

    @property
    def environment(self) -> dict[str, Any]:
        return _read_json(self.path / ENVIRONMENT)

    @property
    def cells(self) -> dict[str, dict[str, Any]]:
        """What each cell that was begun is, by name."""
        path = self.path / CELLS
        return _read_json(path) if path.exists() else {}

    def note_cells(self, cells: dict[str, dict[str, Any]], forget: Collection[str] = ()) -> None:
        """Notes what the cells of these names are, and forgets others."""
        kept = {name: cell for name, cell in self.cells.items() if name not in forget}
        _write_json(self.path / CELLS, kept | cells)

    @property
    def results(self) -> list[dict[str, Any]]:
        """The records of the cells that are finished, in the order in which they ended."""
        path = self.path / RESULTS
        return _read_json(path) if path.exists() else []

    def begin(self, environment: dict[str, Any]) -> list[str]:
        """Notes the environment, or compares it with that in which the run was begun.

        Returns:
          The keys that differ, such as versions.jax: with them, a resumed run may differ in bits.
        """
        path = self.path / ENVIRONMENT
        if not path.exists():
            _write_json(path, environment)
        there, here = flatten(self.environment), flatten(environment)
        differ = [key for key in there if key != "started" and there[key] != here.get(key)]
        return list(map(visible, differ))

    def add_result(self, record: dict[str, Any], instead_of: Collection[str] = ()) -> None:
        """Notes that a cell is finished, once what it left is safe on disk.

        Args:
          instead_of: names of cells whose records it replaces, besides its own.
        """
        left = (self.path / METRICS, self.checkpoint(record["cell"]))
        with writing(self.path / RESULTS):
            force(*(path for path in left if path.exists()))
        replaced = {record["cell"], *instead_of}
        kept = [other for other in self.results if other["cell"] not in replaced]
        _write_json(self.path / RESULTS, [*kept, record])

    @property
    def times(self) -> list[dict[str, Any]]:
        """Where the time of each profiled cell went: `cell`, and `seconds` by part."""
        path = self.path / PROFILE / "times.json"
        return _read_json(path) if path.exists() else []

    def add_times(self, record: dict[str, Any]) -> None:
        """Notes a cell's times, replacing those noted before."""
        with writing(self.path / PROFILE):
            (self.path / PROFILE).mkdir(exist_ok=True)
        others = [noted for noted in self.times if noted["cell"] != record["cell"]]
        _write_json(self.path / PROFILE / "times.json", [*others, record])

    def study(self, name: str) -> dict[str, Any] | None:
        """The result of the study of that name; None if it was not done."""
        path = self.path / f"{name}.json"
        return _read_json(path) if path.exists() else None

    def write_study(self, name: str, result: dict[str, Any]) -> None:
        """Notes the result of a study, replacing the one noted before."""
        _write_json(self.path / f"{name}.json", result)

    def checkpoint(self, cell: str) -> Path:
        """Raises UsageError for a name, from a folder that anyone may have made, that leads out."""
        name = f"{cell}.safetensors"
        if Path(name).name != name or "\0" in name:
            raise UsageError(f"{self.path}: expected the name of a cell, got {cell!r}")
        return self.path / "checkpoints" / name

    def add_evaluation(self, cell: str, evaluation: Evaluation) -> None:
        append_line(self.path / METRICS, _line(cell, evaluation))

    def evaluations(self, cell: str) -> list[Evaluation]:
        """What metrics.jsonl holds of the cell, in order."""
        return [
            Evaluation(
                step=line["step"],
                seconds=line["seconds"],
                # float32 goes through JSON and back unchanged; null comes back as NaN.
                metrics={
                    n: np.array(m, float).astype(np.float32) for n, m in line["metrics"].items()
                },
                remembers=np.array(line["remembers"]),
                solved=np.array(line["solved"]),
                diverged=np.array(line["diverged"]),
            )
            for line in self._lines()
            if line["cell"] == cell
        ]

    def drop_evaluations_after(self, cell: str, step: int) -> None:
        """Forgets what was measured of the cell after the checkpoint from which it goes on."""

        def is_kept(line: dict[str, Any]) -> bool:
            return line["cell"] != cell or line["step"] <= step

        if all(map(is_kept, self._lines())):
            with writing(self.path / METRICS):
                cut_torn_line(self.path / METRICS)
        else:
            text = "".join(json.dumps(line) + "\n" for line in self._lines() if is_kept(line))
            write_whole(self.path / METRICS, text.encode())

    def replace_evaluations(
        self, cell: str, evaluations: Sequence[Evaluation], also: Collection[str] = ()
    ) -> None:
        """Puts these evaluations in place of those of the cell, and drops those of others.

        Args:
          also: the cells whose evaluations are dropped.
        """
        kept = [line for line in self._lines() if line["cell"] not in (cell, *also)]
        lines = [*map(json.dumps, kept), *(_line(cell, evaluation) for evaluation in evaluations)]
        write_whole(self.path / METRICS, "".join(f"{line}\n" for line in lines).encode())

    def _lines(self) -> Iterator[dict[str, Any]]:
        with self._open_metrics() as file:
            for number, line in enumerate(file, 1):
                # The last line is torn where the machine stopped while it was written.
                if line.endswith("\n"):
                    try:
                        yield json.loads(line)
                    except (ValueError, RecursionError) as error:
                        raise UsageError(
                            f"{file.name}, line {number}: not JSON: {error}"
                        ) from error

    def _open_metrics(self) -> TextIO:
        try:
            return open(self.path / METRICS)
        except OSError as error:
            raise UsageError(f"{self.path / METRICS} can't be read: {error.strerror}") from error


def _line(cell: str, evaluation: Evaluation) -> str:
    return json.dumps(
        {
            "cell": cell,
            "step": evaluation.step,
            "seconds": round(evaluation.seconds, 3),
            "remembers": evaluation.remembers.tolist(),
            "solved": evaluation.solved.tolist(),
            "diverged": evaluation.diverged.tolist(),
            "metrics": {name: _nulls(m) for name, m in evaluation.metrics.items()},
        },
        allow_nan=False,
    )


def _nulls(metric: np.ndarray) -> Any:
    """A metric as JSON: null for NaN, since JSON has no word for it."""
    values = metric.astype(object)
    values[np.isnan(metric)] = None
    return values.tolist()


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} can't be read: {error}; remove the run or repair it") from error


def _write_json(path: Path, value: Any) -> None:
    write_whole(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())
