"""What the driver of a grid asks of a launcher."""

import dataclasses
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol


@dataclasses.dataclass(frozen=True)
class Options:
    """What the flags say: cores and gpus of a worker; the others as their flags tell."""

    cores: int
    gpus: int
    ray_address: str | None
    slurm: tuple[str, ...]
    slurm_folder: Path


class Lost(Exception):
    """A worker ended without an answer: killed, or gone with its machine."""


class Work(Protocol):
    """One worker for one cell: waiting for its place, at work, or ended."""

    def ended(self) -> bool: ...

    def answer(self) -> str | None:
        """Of a worker that has ended: None where all is well, else why its cell failed.

        Raises:
          Lost: it gave none.
        """

    def cancel(self) -> None:
        """Ends the worker now, wherever it is."""


class Launcher(AbstractContextManager[Any], Protocol):
    """Starts workers, which may run while it is entered.

    at_once: how many workers there may be at a time, None where the cluster sees to that.
    """

    @property
    def at_once(self) -> int | None: ...

    def launch(self, folders: Sequence[Path]) -> Sequence[Work]:
        """One worker for each of these cells' folders, running `worker.attempt` there."""
