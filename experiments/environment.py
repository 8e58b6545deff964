"""What a result depends on beside its config: versions, device, layout, commit."""

import datetime
import os
import platform
import subprocess
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
