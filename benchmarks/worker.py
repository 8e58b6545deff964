"""The process of one contender: makes it ready, then runs it once whenever it is asked.

The parent starts `python -m benchmarks.worker DESCRIPTOR` with one end of a pipe. Requests are
tuples; every answer is ("done", result), ("unavailable", reason) or ("failed", traceback).
"""

import contextlib
import ctypes
import gc
import importlib
import sys
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.contenders import Contender, Ready, Unavailable

OURS = ("benchmarks", "experiments", "lstm_attn", "tests")


class Worker:
    """One contender, and the case that it is ready for."""

    def __init__(self, contender: Contender) -> None:
        self.contender = contender
        self.ready: Ready | None = None
        self._configured = False

    def import_module(self) -> None:
        """Imports the builder's module."""
        try:
            importlib.import_module(self.contender.module)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.split(".")[0] in OURS:
                raise
            raise Unavailable(f"{error.name} is not installed") from error

    def prepare(self, case: Any, contender: Contender) -> dict[str, Any]:
        """Builds and compiles, runs once to warm up, and says what that took."""
        import jax

        if not self._configured:
            jax.config.update("jax_num_cpu_devices", self.contender.devices)
            # Compile times are measured: none may come from an earlier run.
            jax.config.update("jax_enable_compilation_cache", False)
            self._configured = True
        self.ready = None
        jax.clear_caches()
        self.import_module()
        builder = getattr(sys.modules[contender.module], contender.function)
        self.ready = builder(case, **contender.arguments)
        peak_bytes = _resident_growth(self.ready.run)
        device = jax.devices()[0]
        return {
            "values": self.ready.values,
            "steps": self.ready.steps,
            "compile_seconds": self.ready.compile_seconds,
            "temporary_bytes": self.ready.temporary_bytes,
            "peak_bytes": peak_bytes,
            "work": self.ready.work,
            "parameters": self.ready.parameters,
            "device": device.platform if device.platform == "cpu" else device.device_kind,
        }

    def run(self) -> float:
        """Seconds of one run."""
        assert self.ready, "run is asked for after prepare"
        began = time.perf_counter()
        self.ready.run()
        return time.perf_counter() - began


def _resident_growth(run: Callable[[], object]) -> int | None:
    """By how many bytes the process grew at most while it ran, or None where Linux is not."""
    status, forget = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not status.exists() or not forget.exists():
        run()
        return None

    def kilobytes(name: str) -> int:
        lines = status.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))

    gc.collect()
    # Freed memory that the allocator keeps would hide what the run takes.
    ctypes.CDLL(None).malloc_trim(0)
    before = kilobytes("VmRSS")
    try:
        forget.write_text("5")  # the peak starts anew
    except OSError:  # a container may refuse it
        run()
        return None
    run()
    return 1024 * max(kilobytes("VmHWM") - before, 0)


def serve(connection: Connection) -> None:
    """Answers requests until the parent closes its end."""
    worker = Worker(connection.recv())
    # At once, while other children import too; what fails now is told when it is asked for.
    with contextlib.suppress(Exception):
        worker.import_module()
    while True:
        request, *arguments = connection.recv()
        try:
            answer = ("done", getattr(worker, request)(*arguments))
        except Unavailable as error:
            answer = ("unavailable", str(error))
        except Exception:
            answer = ("failed", traceback.format_exc())
        connection.send(answer)


if __name__ == "__main__":
    # The parent ends, by an error of another contender too, without asking its children.
    with contextlib.suppress(EOFError, ConnectionError):
        serve(Connection(int(sys.argv[1])))
