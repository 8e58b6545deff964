"""Cells as tasks of Ray, each in a process of its own."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from experiments import worker
from experiments.launchers.work import Lost, Options
from lstm_attn.errors import UsageError

# Nothing but a path and an answer goes through it; this is about the least that Ray accepts.
OBJECT_STORE_BYTES = 100_000_000


def make(options: Options) -> "RayTasks":
    return RayTasks(options)


class RayTask:
    """One task; Ray's own retries are off, for the driver replaces a lost worker and says so."""

    def __init__(self, reference: Any) -> None:
        self._reference = reference

    def ended(self) -> bool:
        done, _ = ray.wait([self._reference], timeout=0)
        return bool(done)

    def answer(self) -> str | None:
        try:
            return ray.get(self._reference)
        except RayTaskError as error:
            return str(error)  # not even begun: a package that the worker's machine lacks
        except RayError as error:
            raise Lost(type(error).__name__) from error

    def cancel(self) -> None:
        ray.cancel(self._reference, force=True)


class RayTasks:
    """A cluster of Ray: that of an address, or one of this machine's cores while it is entered."""

    at_once = None

    def __init__(self, options: Options) -> None:
        self._options = options

    def __enter__(self) -> "RayTasks":
        # Read when Ray starts: nothing is reported to anyone.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        address = self._options.ray_address or os.environ.get("RAY_ADDRESS") or "local"
        quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
        try:
            if address == "local":
                ray.init(
                    address,
                    include_dashboard=False,
                    object_store_memory=OBJECT_STORE_BYTES,
                    **quiet,
                )
            else:
                ray.init(address, **quiet)
        except (ConnectionError, ValueError, RuntimeError) as error:
            line = str(error).partition("\n")[0]
            raise UsageError(f"--ray_address: no cluster at {address}: {line}") from error
        for resource, wanted in (("CPU", self._options.cores), ("GPU", self._options.gpus)):
            most = max(node["Resources"].get(resource, 0) for node in ray.nodes() if node["Alive"])
            if wanted > most:
                ray.shutdown()
                raise UsageError(
                    f"--cell_{resource.lower()}: "
                    f"{wanted} {resource}s a cell, but the largest machine has {most:.0f}"
                )
        return self

    def __exit__(self, *_: object) -> None:
        ray.shutdown()

    def launch(self, folders: Sequence[Path]) -> list[RayTask]:
        # A process each (max_calls): JAX's number of devices is set once for a process.
        task = ray.remote(
            num_cpus=self._options.cores,
            num_gpus=self._options.gpus,
            max_retries=0,
            max_calls=1,
        )(worker.attempt)
        cache = worker.compilation_cache_in_use()
        return [
            RayTask(task.remote(str(folder.resolve()), self._options.cores, cache))
            for folder in folders
        ]
