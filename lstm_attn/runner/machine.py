"""The machine of a run: the versions, device and commit that results depend on."""

import datetime
import platform
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

from lstm_attn import host, native
from lstm_attn.training import Layout

# Every result depends on these.
PACKAGES = ("lstm_attn", "jax", "jaxlib", "flax", "optax", "numpy")


def environment(layout: Layout) -> dict[str, Any]:
    """What environment.json says of a run, as JSON values."""
    device = layout.mesh.devices.flat[0]
    here = describe()
    return {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": here["commit"],
        "versions": here["versions"],
        "device": {
            "backend": jax.default_backend(),
            "kind": here["processor"] if device.platform == "cpu" else device.device_kind,
            "local_devices": jax.local_device_count(),
            "cores": here["cores"],
            "vector_bits": here["vector_bits"],
            "native_kernel": native.library_path().stem if native.available() else None,
        },
        "layout": str(layout),
        "platform": here["platform"],
    }


def describe(others: Sequence[str] = ()) -> dict[str, Any]:
    """Commit, versions and hardware, without starting JAX; `others` are more packages to name.

    `commit` is null outside a git checkout; `-dirty` marks changed files.
    """
    return {
        "commit": _commit(),
        "versions": {"python": platform.python_version()}
        | {package: _version(package) for package in (*PACKAGES, *others)},
        "processor": _processor(),
        "cores": host.usable_cores(),
        "vector_bits": _vector_bits(),
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
        result = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return result.stdout.strip() or None


def _processor() -> str:
    names = _of_processor("model name")
    return names or platform.processor() or platform.machine()


def _vector_bits() -> int | None:
    """The width of the widest vectors that XLA compiles for here; None where it is not known.

    Sums are grouped by it, so that results of two widths differ in bits.
    """
    limit = host.xla_flag("xla_cpu_max_isa") or ""
    widest = {"SSE4_2": 128, "AVX": 256, "AVX2": 256}.get(limit)
    known = _of_processor("flags").split()
    widths = {"avx512f": 512, "avx2": 256, "avx": 256, "sse2": 128}
    bits = next((bits for flag, bits in widths.items() if flag in known), None)
    return min(bits, widest) if bits and widest else bits


def _of_processor(name: str) -> str:
    """What /proc/cpuinfo says under that name; empty where it says nothing."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    found = [line.partition(":")[2].strip() for line in lines if line.startswith(name)]
    return found[0] if found else ""
