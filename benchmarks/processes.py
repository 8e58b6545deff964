"""The process of one contender: the parent asks for functions to be called there, one at a time.

A comparison asks for `prepare` and `run` below.
"""

import ctypes
import gc
import importlib
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.contenders import Contender, Ready, Unavailable

# Each child takes GPU memory as it needs it: they share one device.
ENVIRONMENT = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_CPP_MIN_LOG_LEVEL": "3"}
# Packages whose absence is our bug, not a library that is not installed.
OURS = ("benchmarks", "configs", "lstm_attn", "tests", "tools")
STDOUT = 1
# In a child: what its contender made ready.
_ready: list[Ready] = []


class Process:
    """A child that imports the contender's module at once; a context manager that ends it."""

    def __init__(self, contender: Contender) -> None:
        self.contender = contender
        self._start()

    def _start(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, spawn, _begin, (self.contender.devices,))
        with _environment({**ENVIRONMENT, **self.contender.environment}):
            # At once, while other children import too; `ask` reports an error of the import.
            others = set(multiprocessing.active_children())
            self._pool.submit(importlib.import_module, self.contender.module)
            (self._child,) = set(multiprocessing.active_children()) - others

    def ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What the function returns in the child.

        Raises:
          Unavailable: the contender cannot run here, or its process was killed, as a system short
            of memory does; the next request goes to a fresh process.
          RuntimeError: it failed, with the contender's name and the child's traceback; or its
            process ended by itself, such as by a segmentation fault.
        """
        try:
            return self._pool.submit(_answer, function, *arguments).result()
        except BrokenProcessPool as error:
            # The pool waits for the child. If we did too, only one of us would hear its status.
            self._pool.shutdown()
            status = self._child.exitcode
            self._start()
            if status != -signal.SIGKILL:
                raise RuntimeError(
                    f"{self.contender.name}: its process ended with status {status}"
                ) from error
            raise Unavailable("its process was killed, perhaps for want of memory") from error
        except RuntimeError as error:
            raise RuntimeError(f"{self.contender.name}: {error}") from error

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(wait=not any(error), cancel_futures=True)


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Our environment with these variables, which a child that is started meanwhile inherits."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _begin(devices: int) -> None:
    """First of all in a child, before JAX computes."""
    # A pool's process outlives an interrupt, and a parent that is killed, unless told otherwise.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # What libraries print does not belong to our tables.
    os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)
    import jax

    jax.config.update("jax_num_cpu_devices", devices)
    # Compilation is measured: no program may come from an earlier run.
    jax.config.update("jax_enable_compilation_cache", False)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent, "this is a child"
    parent.join()
    os._exit(1)


def _answer(function: Callable[..., Any], *arguments: Any) -> Any:
    """What the function returns; of an error, what the parent can read of it."""
    try:
        return function(*arguments)
    except Unavailable:
        raise
    except Exception as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and missing.split(".")[0] not in OURS:
            raise Unavailable(f"{missing} is not installed") from error
        raise RuntimeError(traceback.format_exc()) from None


def prepare(case: Any, contender: Contender) -> dict[str, Any]:
    """In a child: builds and compiles, runs once to warm up, and returns all that is ready but the
    run itself, by how much the process grew in it, and the device."""
    import jax

    _ready.clear()
    jax.clear_caches()
    build = getattr(importlib.import_module(contender.module), contender.function)
    ready = build(case, **contender.arguments)
    _ready.append(ready)
    device = jax.devices()[0]
    return {
        **{name: value for name, value in vars(ready).items() if name != "run"},
        "peak_bytes": _resident_growth(ready.run),
        "device": device.platform if device.platform == "cpu" else device.device_kind,
    }


def run() -> float:
    """In a child: seconds of one run of what was prepared last."""
    began = time.perf_counter()
    _ready[0].run()
    return time.perf_counter() - began


def _resident_growth(run: Callable[[], object]) -> int | None:
    """By how many bytes the process grew at most while it ran; None where the system does not say,
    which Linux does outside some containers."""
    gc.collect()
    with suppress(AttributeError):
        # Freed memory that the allocator keeps would hide what the run takes.
        ctypes.CDLL(None).malloc_trim(0)
    try:
        before = _kilobytes("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    except OSError:
        run()
        return None
    run()
    return 1024 * max(_kilobytes("VmHWM") - before, 0)


def _kilobytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
