"""FALLBACK, to be removed: keywords of `ops` that are being written at this moment."""

import inspect
from collections.abc import Callable
from typing import Any

from benchmarks.contenders import Unavailable


def known(function: Callable, keywords: dict[str, Any]) -> dict[str, Any]:
    """The keywords that the function has; one that it lacks must not change the result."""
    names = inspect.signature(function).parameters
    for name, value in keywords.items():
        if name not in names and value not in ("auto", "scan", "dense", None):
            raise Unavailable(f"{name}={value!r} is not there yet")
    return {name: value for name, value in keywords.items() if name in names}
