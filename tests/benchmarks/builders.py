"""Contenders for tests of the benchmark harness; worker processes import this file."""

import dataclasses
import os
import signal
import time

import numpy as np

from benchmarks.contenders import Ready, Unavailable


@dataclasses.dataclass(frozen=True)
class Case:
    """A contender of known work."""

    title: str = "a case"
    flops: int = 10**9
    bytes: int = 10**6


def sleeping(case, seconds=0.01, value=1.0):
    return Ready(lambda: time.sleep(seconds), {"value": np.array([value])}, steps=2)


def unavailable(case):
    raise Unavailable("not on this machine")


def broken(case):
    raise ZeroDivisionError("a bug")


def crashed(case):
    os.kill(os.getpid(), signal.SIGSEGV)


def killed(case):
    os.kill(os.getpid(), signal.SIGKILL)
