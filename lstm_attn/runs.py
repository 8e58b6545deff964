"""The run folder: what a run was, what it measured, and where to go on. No JAX.

format.json         the format of this folder
config.json         the whole config
environment.json    versions, device, layout, commit
metrics.jsonl       one evaluation of all trials of a cell a line
checkpoints/        the latest train states of each cell, CELL.safetensors
results.json        one record a finished cell
STUDY.json          what a study found beside it, such as horizon.json
text/               of language models: their text as ids of tokens, and what these mean
profile/            with --profile: times.json, and a trace of each cell for TensorBoard
report.html, *.png  drawn from the above by `lstm_attn.report`
.lock               held by the process that works here; it says which

A record in results.json is there once the cell's metrics and checkpoint have been forced to disk.
Nothing in the folder is executed, and nothing of it is a pickle. Its values are read as they are:
what shows them, `lstm_attn.report` and the programs' terminal, escapes them.
"""

import json
import os
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from lstm_attn import files
from lstm_attn.errors import UsageError, visible
from lstm_attn.files import append_line, cut_torn_line, force, write_whole, writing
from lstm_attn.flat import difference, flatten
from lstm_attn.history import Evaluation

FORMAT, FORMAT_FILE = 2, "format.json"
CONFIG, ENVIRONMENT = "config.json", "environment.json"
METRICS, RESULTS = "metrics.jsonl", "results.json"
PROFILE = "profile"


class RunFolder:
    """A run folder being written or read.

    Raises:
      UsageError: a run folder of another format than this lstm_attn's.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self._hold: files.Hold | None = None
        self._check_format()

    @classmethod
    def open(cls, path: str | os.PathLike, config: dict[str, Any]) -> "RunFolder":
        """Makes the folder for a run of this config, or takes up the one that is there.

        The process holds the folder's lock as long as it holds the value that is returned.

        Raises:
          UsageError: a place that can't be written, a folder in which another process works or
            one that holds a run of another config, naming the first key that differs.
        """
        folder = cls(path)
        try:
            (folder.path / "checkpoints").mkdir(parents=True, exist_ok=True)
            folder._hold = files.hold(folder.path)
            if not os.access(folder.path, os.W_OK):
                raise PermissionError("permission denied")
            if (folder.path / CONFIG).exists():
                folder._check_config(config)
            else:
                _write_json(folder.path / FORMAT_FILE, {"format": FORMAT})
                _write_json(folder.path / CONFIG, config)
            (folder.path / METRICS).touch()
            cut_torn_line(folder.path / METRICS)
        except OSError as error:
            reason = error.strerror or error
            raise UsageError(f"workdir {folder.path} can't be written: {reason}") from error
        return folder

    def _check_config(self, config: dict[str, Any]) -> None:
        differs = difference(self.config, config)
        if differs:
            raise UsageError(
                f"workdir {self.path} holds a run of another config: {differs}; "
                "choose another --workdir or remove it"
            )

    def _check_format(self) -> None:
        path = self.path / FORMAT_FILE
        if os.path.exists(path):
            found = _read_json(path)
        elif os.path.exists(self.path / CONFIG):
            found = {}
        else:
            return
        if found != {"format": FORMAT}:
            raise UsageError(
                f"{self.path} was written by another version of lstm_attn: expected format "
                f"{FORMAT} in {FORMAT_FILE}, got {reprlib.repr(found)}"
            )

    @property
    def config(self) -> dict[str, Any]:
        return _read_json(self.path / CONFIG)

    @property
    def environment(self) -> dict[str, Any]:
        return _read_json(self.path / ENVIRONMENT)

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

    def add_result(self, record: dict[str, Any]) -> None:
        """Notes that a cell is finished, once what it left is safe on disk."""
        left = (self.path / METRICS, self.checkpoint(record["cell"]))
        with writing(self.path / RESULTS):
            force(*(path for path in left if path.exists()))
        _write_json(self.path / RESULTS, [*self.results, record])

    @property
    def times(self) -> list[dict[str, Any]]:
        """Where the time of each profiled cell went: `cell`, and `seconds` by part."""
        path = self.path / PROFILE / "times.json"
        return _read_json(path) if path.exists() else []

    def add_times(self, record: dict[str, Any]) -> None:
        """Notes a cell's times, in the place of those noted before."""
        with writing(self.path / PROFILE):
            (self.path / PROFILE).mkdir(exist_ok=True)
        others = [noted for noted in self.times if noted["cell"] != record["cell"]]
        _write_json(self.path / PROFILE / "times.json", [*others, record])

    def study(self, name: str) -> dict[str, Any] | None:
        """What the study of that name found, None where it was not made."""
        path = self.path / f"{name}.json"
        return _read_json(path) if path.exists() else None

    def write_study(self, name: str, found: dict[str, Any]) -> None:
        """Notes what a study found, in the place of what it had noted before."""
        _write_json(self.path / f"{name}.json", found)

    def checkpoint(self, cell: str) -> Path:
        """Raises UsageError for a name, from a folder that anyone may have made, that leads out."""
        name = f"{cell}.safetensors"
        if Path(name).name != name or "\0" in name:
            raise UsageError(f"{self.path}: expected the name of a cell, got {cell!r}")
        return self.path / "checkpoints" / name

    def add_evaluation(self, cell: str, evaluation: Evaluation) -> None:
        line = json.dumps(
            {
                "cell": cell,
                "step": evaluation.step,
                "seconds": round(evaluation.seconds, 3),
                "solved": evaluation.solved.tolist(),
                "diverged": evaluation.diverged.tolist(),
                "metrics": {name: _nulls(m) for name, m in evaluation.metrics.items()},
            },
            allow_nan=False,
        )
        append_line(self.path / METRICS, line)

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
