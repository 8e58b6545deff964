"""Compiled programs kept on disk between runs, in the user's cache folder unless told otherwise."""

import os
import sys
import tempfile
import warnings
from pathlib import Path

import jax

FOLDER = Path("lstm_attn") / "jax"


def default_folder() -> Path:
    """Where this platform keeps what can be made anew."""
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / FOLDER
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"]) / FOLDER
    caches = Path("Library") / "Caches" if sys.platform == "darwin" else Path(".cache")
    return Path.home() / caches / FOLDER


def in_use() -> str:
    """The folder of this process; empty where there is none."""
    # A setting that jax.config has, though its stub does not say so.
    return jax.config.jax_compilation_cache_dir or ""  # type: ignore[attr-defined]


def use(folder: str | None) -> str | None:
    """Turns on JAX's persistent compilation cache for the process.

    A program is found again by its operations, the versions, the device and the compiler's
    options; a found one is the very code that was stored, so a run's bits do not depend on it.

    Args:
      folder: where; "" for no cache; None for JAX_COMPILATION_CACHE_DIR or else `default_folder`.

    Returns:
      None, or one line that says why there is no cache after all: a run goes on without.
    """
    if folder is None:
        folder = in_use() or str(default_folder())
    if folder == "":
        jax.config.update("jax_compilation_cache_dir", None)
        return None
    try:
        _check_writable(Path(folder))
    except OSError as error:
        jax.config.update("jax_compilation_cache_dir", None)
        return f"no compilation cache: {folder} can't be written: {error.strerror or error}"
    jax.config.update("jax_compilation_cache_dir", folder)
    # By default only what took a second to compile is kept; here a grid has many smaller ones.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    # A torn entry or a disk that fills up costs one compilation, not the reader's attention.
    warnings.filterwarnings("ignore", message="Error (reading|writing) persistent compilation")
    return None


def _check_writable(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass
