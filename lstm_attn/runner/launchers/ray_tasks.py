"""Cells as tasks of Ray, each in its own process: a killed worker affects no other cell."""

import logging
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from lstm_attn import training
from lstm_attn.errors import UsageError
from lstm_attn.runner import worker
from lstm_attn.runner.launchers import Lost, Options

# It holds a path and an answer only; this is about the least that Ray accepts.
OBJECT_STORE_BYTES = 100_000_000
CONNECT_SECONDS = 20


class RayTask:
    """One task. Ray's own retries are off: the driver replaces lost workers, and counts a loss
    only when it happens twice at the same step, which Ray can't know."""

    def __init__(self, reference: Any) -> None:
        self._reference = reference

    def ended(self) -> bool:
        done, _ = ray.wait([self._reference], timeout=0)
        return bool(done)

    def answer(self) -> str | None:
        try:
            return ray.get(self._reference)
        except RayTaskError as error:
            return str(error)  # it did not start: the worker's machine lacks a package
        except RayError as error:
            raise Lost(type(error).__name__) from error

    def cancel(self) -> None:
        ray.cancel(self._reference, force=True)


class RayTasks:
    """A Ray cluster: the one at an address, or one of this machine while it is entered."""

    at_once = None

    def __init__(self, options: Options, workdir: Path) -> None:
        self._options = options

    def __enter__(self) -> "RayTasks":
        # Read when Ray starts: no usage statistics are sent.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        address = self._options.ray_address or os.environ.get("RAY_ADDRESS") or "local"
        of_its_own: dict[str, Any] = {
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
        }
        try:
            _reach(address)
            ray.init(
                address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **(of_its_own if address == "local" else {}),
            )
        except (OSError, ValueError, RuntimeError) as error:
            line = str(error).partition("\n")[0]
            raise UsageError(f"--ray_address: no cluster at {address}: {line}") from error
        try:
            self._check_room("--cell_cores", "CPU", self._options.cell_cores)
            self._check_room("--cell_gpus", "GPU", self._options.cell_gpus)
        except UsageError:
            ray.shutdown()
            raise
        return self

    def _check_room(self, flag: str, resource: str, wanted: int) -> None:
        """Refuses a task larger than every machine; Ray would wait for one without a word."""
        alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        most = max(resources.get(resource, 0) for resources in alive)
        if wanted > most:
            raise UsageError(f"{flag}: {wanted} wanted, but no machine has more than {most:.0f}")

    def __exit__(self, *error: object) -> None:
        ray.shutdown()

    def launch(self, folders: Sequence[Path]) -> list[RayTask]:
        # One process a task (max_calls): JAX sets its number of devices once in a process.
        task = ray.remote(
            num_cpus=self._options.cell_cores,
            num_gpus=self._options.cell_gpus,
            max_retries=0,
            max_calls=1,
        )(worker.attempt)
        cache = training.compilation_cache_folder()
        return [
            RayTask(task.remote(str(folder.resolve()), self._options.cell_cores, cache))
            for folder in folders
        ]


def _reach(address: str) -> None:
    """Raises OSError where nothing answers at HOST:PORT; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
