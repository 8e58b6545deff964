"""What this process may use of its host: cores, the user's cache folder, XLA's flags."""

import atexit
import contextlib
import functools
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from lstm_attn.errors import UsageError

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")
# How many threads XLA starts on a CPU. It reads this itself; it does not read cgroups.
CORES_VARIABLE = "PJRT_NPROC"


def usable_cores() -> int:
    """How many CPU cores this process may use, at least 1.

    Threads, host devices and reports all ask here. It is the least of the cores in the affinity
    mask, the cgroup's quota of time, rounded down, and $PJRT_NPROC.
    """
    allowed, quota = _allowed_cores(), cgroup_quota()
    return allowed if quota is None else max(1, min(allowed, int(quota)))


def limit_xla_threads() -> None:
    """Lets XLA start as many threads as `usable_cores`, where its own count would be greater.

    XLA counts the cores in the affinity mask. Call it before JAX computes.
    """
    if (cores := usable_cores()) < _allowed_cores():
        os.environ[CORES_VARIABLE] = str(cores)


def _allowed_cores() -> int:
    """Without the quota: what XLA counts."""
    named = os.environ.get(CORES_VARIABLE, "")
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(cores, int(named) or cores) if named.isdecimal() else cores


def cgroup_quota() -> float | None:
    """The cores whose time this process's cgroup may use, such as 1.5; None for no quota.

    A quota of an outer group holds for the inner ones, so the least of all counts. cgroup v2 has
    `cpu.max`, v1 has `cpu.cfs_quota_us` and `cpu.cfs_period_us`; a host may mount both. It is read
    once.
    """
    return _read_quota(CGROUPS, OWN_CGROUPS)


@functools.cache
def _read_quota(root: Path, own: Path) -> float | None:
    quotas: list[float] = []
    for folder in _cgroup_folders(root, own):
        try:
            if (folder / "cpu.max").exists():
                quota, period = (folder / "cpu.max").read_text().split()
            else:
                quota = (folder / "cpu.cfs_quota_us").read_text()
                period = (folder / "cpu.cfs_period_us").read_text()
            if quota != "max" and int(quota) > 0:
                quotas.append(int(quota) / int(period))
        except (OSError, ValueError, ZeroDivisionError):  # this group has no quota of its own
            continue
    return min(quotas, default=None)


def _cgroup_folders(root: Path, own: Path) -> Iterator[Path]:
    """This process's groups that may limit its time, from the inner to the outer ones."""
    try:
        lines = own.read_text().splitlines()
    except (OSError, ValueError):
        lines = []
    for line in lines:
        controllers, _, path = line.partition(":")[2].partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        # v1 mounts controllers under their names, with a link for each. v2 has none in this line;
        # next to v1 it has a folder of its own.
        names = (controllers, "cpu") if controllers else ("unified",)
        mount = next(filter(Path.is_dir, (root / name for name in names)), root)
        # In a container the path may be that on the host: then only the mount itself is there.
        inner = mount.joinpath(*(part for part in Path(path).parts if part not in ("/", "..")))
        yield inner
        yield from (outer for outer in inner.parents if outer.is_relative_to(mount))


def cache_folder() -> Path:
    """`lstm_attn` in the user's cache folder, whether or not it exists.

    Raises:
      UsageError: the user has none: no $XDG_CACHE_HOME, no $HOME and no entry in the system's list
        of users, as for a numeric user in a container.
    """
    try:
        folder = platformdirs.user_cache_path("lstm_attn", appauthor=False)
    except (RuntimeError, KeyError):
        folder = Path("~")
    if folder.parts[0] == "~":
        raise UsageError("this user has no home folder; set HOME or XDG_CACHE_HOME to a folder")
    return folder


def give_matplotlib_a_folder() -> None:
    """A temporary folder for matplotlib's files, where the user's own can't be written.

    Call it before matplotlib is imported, which would warn of it or fail, by its version.
    """
    if "MPLCONFIGDIR" in os.environ:
        return
    with contextlib.suppress(RuntimeError, KeyError, UsageError):  # no home
        folders = (platformdirs.user_config_path("matplotlib"), cache_folder())
        if all(map(_can_be_written, folders)):
            return
    with contextlib.suppress(OSError):
        folder = tempfile.mkdtemp(prefix="lstm_attn-matplotlib-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["MPLCONFIGDIR"] = folder


def _can_be_written(folder: Path) -> bool:
    """Whether the folder, or the nearest one above it that is there, can be written."""
    try:
        there = next(one for one in (folder, *folder.parents) if one.exists())
    except (OSError, StopIteration):
        return False
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def xla_flag(name: str) -> str | None:
    """The value of a flag such as "xla_cpu_max_isa" in $XLA_FLAGS, read as XLA reads it; None
    where it is not given. Of several the last counts; a text without a dash at its start is the
    name of a file of flags."""
    text = os.environ.get("XLA_FLAGS", "").strip()
    if text and not text.startswith("-"):
        try:
            text = Path(text).read_text()
        except (OSError, ValueError):
            return None
    given = [word.partition("=") for word in words(text)]
    values = [value for key, equals, value in given if key == f"--{name}" and equals]
    return values[-1] if values else None


def words(text: str) -> list[str]:
    """The words of an environment variable that holds a command or flags, as a shell splits them.

    A quote that is never closed is a letter like any other.
    """
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()
