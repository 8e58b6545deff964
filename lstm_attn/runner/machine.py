"""What a result depends on beside its config: versions, device, layout, commit."""

import datetime
import os
import platform
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

from lstm_attn import native
from lstm_attn.training import Layout

# What every result depends on.
PACKAGES = ("lstm_attn", "jax", "jaxlib", "flax", "optax", "numpy")


def describe(layout: Layout) -> dict[str, Any]:
    """As JSON values; `commit` is null outside a git checkout, `-dirty` marks changed files."""
    device = layout.mesh.devices.flat[0]
    here = machine()
    return {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": here["commit"],
        "versions": here["versions"],
        "device": {
            "backend": jax.default_backend(),
            "kind": here["processor"] if device.platform == "cpu" else device.device_kind,
            "local_devices": jax.local_device_count(),
            "cores": here["cores"],
            "native_kernel": native.available(),
        },
        "layout": str(layout),
        "platform": here["platform"],
    }


def machine(others: Sequence[str] = ()) -> dict[str, Any]:
    """What can be told without starting JAX; `others` are packages whose versions matter too."""
    return {
        "commit": _commit(),
        "versions": {"python": platform.python_version()}
        | {package: _version(package) for package in (*PACKAGES, *others)},
        "processor": _processor(),
        "cores": os.cpu_count(),
        "platform": platform.platform(),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        here = Path(__file__).parent
        result = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip() or None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


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
