"""The compiled library, loaded once and registered with JAX."""

import ctypes
from functools import cache

import jax

from lstm_attn.errors import UsageError
from lstm_attn.native.build import library_path

TARGETS = (
    "lstm_attn_lstm_forward",
    "lstm_attn_lstm_backward",
    "lstm_attn_attention_forward",
    "lstm_attn_attention_backward",
)


@cache
def load() -> ctypes.CDLL:
    """The library, its FFI targets registered for the platform "cpu".

    Raises:
      UsageError: not compiled for this machine, or it does not load.
    """
    path = library_path()
    if not path.exists():
        raise UsageError(f"native: {path} does not exist; python -m lstm_attn.native compiles it")
    try:
        library = ctypes.CDLL(str(path))
        handlers = {name: getattr(library, name) for name in TARGETS}
    except (OSError, AttributeError) as error:
        raise UsageError(f"native: {path} does not load: {error}") from None
    for name, handler in handlers.items():
        jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(handler), platform="cpu")
    return library


def available() -> bool:
    """Whether the library is compiled for this machine and loads; after a success it stays true."""
    try:
        load()
    except UsageError:
        return False
    return True
