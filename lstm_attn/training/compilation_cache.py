"""JAX's cache of compiled programs on disk, so that a second process compiles nothing anew."""

import tempfile
import warnings
from pathlib import Path

import jax

from lstm_attn import host
from lstm_attn.errors import UsageError


def compilation_cache_folder() -> str:
    """The folder of JAX's compilation cache in this process; empty where there is none."""
    # jax.config has this setting, though its stub does not say so.
    return jax.config.jax_compilation_cache_dir or ""  # type: ignore[attr-defined]


def use_compilation_cache(folder: str | None = None) -> str | None:
    """Turns on JAX's persistent compilation cache for this process, as every study does.

        training.use_compilation_cache()  # in a notebook: a restart then compiles nothing anew

    JAX looks a program up by its operations, the versions, the device and the compiler's options,
    and runs the very code that it stored: the bits of a run do not depend on the cache.

    Args:
      folder: where; "" for no cache; None for JAX_COMPILATION_CACHE_DIR, or else `lstm_attn/jax` in
        the user's cache folder.

    Returns:
      None, or one line that says why there is no cache; the run then goes on without it.
    """
    if folder is None:
        try:
            folder = compilation_cache_folder() or str(host.cache_folder() / "jax")
        except UsageError as error:
            return f"no compilation cache: {error}"
    if folder == "":
        jax.config.update("jax_compilation_cache_dir", None)
        return None
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        jax.config.update("jax_compilation_cache_dir", None)
        return f"no compilation cache: {folder} can't be written: {error.strerror or error}"
    jax.config.update("jax_compilation_cache_dir", folder)
    # JAX's default keeps only programs that took a second to compile; a grid has many smaller ones.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    # A torn entry or a full disk costs one compilation, and needs no warning.
    warnings.filterwarnings("ignore", message="Error (reading|writing) persistent compilation")
    return None
