"""Compiles the C++ sources for this machine into a cache folder."""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import jax
import jaxlib

from lstm_attn import host
from lstm_attn.errors import UsageError, in_words

SOURCE = Path(__file__).parent / "source"
# Not -ffast-math: NaN must stay NaN. The two -fno flags only drop errno and traps, as XLA does. The
# source has explicit vectors, so loops need no other flags.
FLAGS = (
    "-std=c++20",
    "-O3",
    "-mcpu=native" if platform.machine() in ("aarch64", "arm64") else "-march=native",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fPIC",
    "-shared",
    "-pthread",
)
COMPILERS = ("g++", "clang++", "c++")


def _processor() -> str:
    """The model and its instruction sets: a virtual machine may hide some of a model's."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = ("model name", "flags", "Features", "CPU part")
    return "\n".join(sorted({line for line in lines if line.split("\t")[0].strip() in names}))


@cache
def _digest() -> str:
    parts = [jaxlib.__version__, platform.machine(), _processor(), *FLAGS]
    parts += [f"{path.name}\n{path.read_text()}" for path in sorted(SOURCE.iterdir())]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def library_path() -> Path:
    """The path of the shared object, whether or not it exists.

    It is in `lstm_attn/native` of the user's cache folder. Its name is a hash of the sources, the
    flags, the processor and the version of jaxlib, so that a library is loaded only where it fits.

    Raises:
      UsageError: the user has no cache folder, or the sources are missing.
    """
    try:
        return host.cache_folder() / "native" / f"{_digest()}.so"
    except (UsageError, OSError) as error:
        raise UsageError(f"native: {error}") from None


def compiler() -> list[str] | None:
    """$CXX, a command with its arguments such as "ccache g++", or the first of g++, clang++ and c++
    on the path; None if there is none."""
    named = host.words(os.environ.get("CXX", ""))
    commands = [named] if named else [[name] for name in COMPILERS]
    return next((command for command in commands if shutil.which(command[0])), None)


def build() -> Path:
    """Compiles the sources into `library_path()`, anew even if it exists.

    It is written to a temporary name and then renamed, so that another process sees a whole file or
    none. $CXXFLAGS come before our flags, which the kernels need as they are.

    Raises:
      UsageError: no compiler, a folder that cannot be written, the compiler's first error, or what
        it wrote is no library.
    """
    program = compiler()
    if program is None:
        wanted = os.environ.get("CXX") or ", ".join(COMPILERS)
        raise UsageError(f"native: no C++ compiler found, looked for {wanted}")
    path = library_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            output = Path(folder) / path.name
            headers = ("-isystem", jax.ffi.include_dir())
            flags = (*host.words(os.environ.get("CXXFLAGS", "")), *FLAGS, *headers)
            sources = map(str, sorted(SOURCE.glob("*.cc")))
            _run([*program, *flags, *sources, "-o", str(output)], output)
            output.replace(path)
    except OSError as error:
        raise UsageError(f"native: cannot write {path}: {error.strerror}") from None
    return path


def _run(command: list[str], output: Path) -> None:
    """Raises UsageError unless the compiler's command writes a library that loads."""
    try:
        result = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",  # a path may have letters that are not UTF-8
            env={**os.environ, "LC_ALL": "C"},  # "error" in English
            check=False,
        )
    except OSError as error:
        raise UsageError(f"native: {command[0]} can't be run: {error.strerror}") from None
    if result.returncode:
        lines = [line for line in result.stderr.splitlines() if "error" in line]
        reason = (lines or result.stderr.splitlines() or ["no message"])[0]
        raise UsageError(f"native: {command[0]} failed: {reason.strip()}")
    try:
        ctypes.CDLL(str(output))
    except OSError as error:
        raise UsageError(f"native: {command[0]} wrote no library: {in_words(error)}") from None
