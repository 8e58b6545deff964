"""The compiled library, loaded once and registered with JAX."""

import ctypes
from functools import cache

import jax

from lstm_attn.errors import UsageError, in_words
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
    try:
        is_there = path.exists()
        library = ctypes.CDLL(str(path)) if is_there else None
        handlers = {name: getattr(library, name) for name in TARGETS if library}
        for name, handler in handlers.items():
            jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(handler), platform="cpu")
    except Exception as error:  # of the file system, the linker or JAX: it is not there
        raise UsageError(f"native: {path} does not load: {in_words(error)}") from None
    if library is None:
        raise UsageError(f"native: {path} does not exist; python -m lstm_attn.native compiles it")
    return library


def available() -> bool:
    """Whether the library is compiled for this machine and loads; after a success it stays true."""
    try:
        load()
    except UsageError:
        return False
    return True
