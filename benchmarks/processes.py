"""The process of one contender: the parent asks, the child builds, runs and answers.

The parent starts `python -m benchmarks.processes DESCRIPTOR` with one end of a pipe and sends the
contender. A request names a method of `Worker`, with its arguments. The answer is ("done", result),
("unavailable", reason) or ("failed", traceback); before it ("item", value) for each value that a
generator yields.
"""

import contextlib
import ctypes
import gc
import importlib
import inspect
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.contenders import Contender, Ready, Unavailable

# Each child takes GPU memory as it needs it: they share one device.
ENVIRONMENT = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_CPP_MIN_LOG_LEVEL": "3"}
# Packages whose absence is our bug, not a library that is not installed.
OURS = ("benchmarks", "configs", "lstm_attn", "tests", "tools")


class Process:
    """The parent's side, a context manager. The child imports the contender's module at once."""

    def __init__(self, contender: Contender) -> None:
        self.contender = contender
        self._start()

    def _start(self) -> None:
        self._connection, theirs = multiprocessing.Pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.processes", str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            env={**os.environ, **ENVIRONMENT, **self.contender.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # what libraries print does not belong to our tables
        )
        theirs.close()
        self._connection.send(self.contender)

    def ask(self, request: str, *arguments: Any) -> Any:
        """The worker's answer.

        Raises:
          Unavailable: the contender cannot run here, or was killed, as a system short of memory
            does; the next request goes to a fresh process.
          RuntimeError: it failed, or its process ended otherwise; with the contender's name.
        """
        self._connection.send((request, *arguments))
        return self._receive()[1]

    def stream(self, request: str, *arguments: Any) -> Iterator[Any]:
        """What the request yields, value by value. Raises as `ask` does."""
        self._connection.send((request, *arguments))
        while (answer := self._receive())[0] == "item":
            yield answer[1]

    def _receive(self) -> tuple[str, Any]:
        try:
            kind, result = self._connection.recv()
        except (EOFError, ConnectionResetError) as error:
            status = self._process.wait()
            if status == -signal.SIGKILL:
                self._start()
                raise Unavailable("it was killed, perhaps for want of memory") from error
            raise RuntimeError(
                f"{self.contender.name}: its process ended with status {status}"
            ) from error
        if kind == "unavailable":
            raise Unavailable(result)
        if kind == "failed":
            raise RuntimeError(f"{self.contender.name}: {result}")
        return kind, result

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()
        self._process.kill()
        self._process.wait()


class Worker:
    """The child's side: one contender, and the case that it is ready for."""

    def __init__(self, contender: Contender) -> None:
        self.contender = contender
        self.ready: Ready | None = None
        self._configured = False

    def import_module(self) -> Any:
        """The contender's module."""
        try:
            return importlib.import_module(self.contender.module)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.split(".")[0] in OURS:
                raise
            raise Unavailable(f"{error.name} is not installed") from error

    def call(self, function: str, *arguments: Any, **named: Any) -> Any:
        """What a function of the contender's module returns."""
        import jax

        if not self._configured:
            jax.config.update("jax_num_cpu_devices", self.contender.devices)
            # Compilation is measured: no program may come from an earlier run.
            jax.config.update("jax_enable_compilation_cache", False)
            self._configured = True
        return getattr(self.import_module(), function)(*arguments, **named)

    def prepare(self, case: Any, contender: Contender) -> dict[str, Any]:
        """Builds and compiles, runs once to warm up, and says what that took."""
        import jax

        self.ready = None
        jax.clear_caches()
        self.ready = self.call(contender.function, case, **contender.arguments)
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
    # At once, while other children import too; an error is reported with the first request.
    with contextlib.suppress(Exception):
        worker.import_module()
    while True:
        request, *arguments = connection.recv()
        try:
            result = getattr(worker, request)(*arguments)
            if inspect.isgenerator(result):
                for item in result:
                    connection.send(("item", item))
                result = None
            answer = ("done", result)
        except Unavailable as error:
            answer = ("unavailable", str(error))
        except Exception:
            answer = ("failed", traceback.format_exc())
        connection.send(answer)


if __name__ == "__main__":
    # The parent may end, by an error of another contender too, without asking its children.
    with contextlib.suppress(EOFError, ConnectionError):
        serve(Connection(int(sys.argv[1])))
