"""Train states to and from files, bit for bit: the latest, and one kept from before it.

CELL.safetensors           the latest, written after every chunk
CELL.previous.safetensors  an earlier one, which was forced to disk
CELL.damaged-1.safetensors set aside because it is damaged

A process that is killed loses at most its current chunk: the latest file is either whole or absent.
Forcing a file to disk takes many times as long as writing it and matters only when the machine
stops: so once in KEEP_SECONDS the latest file is forced to disk, with the metrics up to it, and
kept as the previous one.
"""

import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file
from safetensors.numpy import save as to_bytes

from lstm_attn.errors import UsageError
from lstm_attn.files import force, write_partial, writing
from lstm_attn.flat import difference
from lstm_attn.training import multihost
from lstm_attn.training.program import Program, step_of
from lstm_attn.training.train_step import TrialState

KEEP_SECONDS = 10.0
FORMAT = 2
ENTRY = "lstm_attn"
UNSEALED = "0" * 64
LENGTH_BYTES = 8  # with which a safetensors file begins: the length of its header


class Stored(NamedTuple):
    """arrays: by name. config: what they were trained for, None where it was not noted."""

    arrays: dict[str, np.ndarray]
    config: dict[str, Any] | None


class Damaged(UsageError):
    """A file that is cut off, or not as it was written."""


class Resumed(NamedTuple):
    """states: to go on from, None for a start. notes: what the user should know, a line each."""

    states: TrialState | None
    notes: list[str]


def save(path: Path, states: TrialState, config: Any = None, log: Path | None = None) -> None:
    """Writes the states under names such as `params.readout.kernel`.

    Args:
      config: what they are trained for, as JSON values; `restore` compares it.
      log: the metrics, forced to disk before a checkpoint is kept, so that they are never behind.

    Raises:
      UsageError: a full disk, a read-only folder; what was there stays.
    """
    arrays = _named(multihost.whole(states))
    with writing(path):
        partial = write_beside(path, arrays, int(arrays["step"][0]), config)
        if path.exists() and _age(previous(path)) >= KEEP_SECONDS:
            force(*([log] if log else []), path)
            os.replace(path, previous(path))
            force(path.parent)
        os.replace(partial, path)


def resume(path: Path, program: Program, config: Any = None) -> Resumed:
    """The newest intact states, of the latest file or the previous one, placed as by `restore`.

    A damaged file is set aside under another name, so that it is neither read nor written again.

    Raises:
      UsageError: files but no intact one, one of another config or program, or one that a newer
        lstm_attn wrote; then nothing is moved.
    """
    damaged: list[Damaged] = []
    for place in (path, previous(path)):
        if place.exists():
            try:
                states = restore(place, program, config)
            except Damaged as error:
                damaged.append(error)
            else:
                step = step_of(states)
                # Only the latest can have been found damaged before.
                return Resumed(states, [_set_aside(path, step, error) for error in damaged])
    if damaged:
        raise UsageError(
            f"{'; '.join(map(str, damaged))}; there is no intact one to go on from: remove it to "
            "train the cell anew"
        )
    return Resumed(None, [])


def restore(path: Path, program: Program, config: Any = None) -> TrialState:
    """The states of one file, placed on devices as the program wants them.

    Raises:
      UsageError: a file that is damaged, of another config, of a newer format, or whose arrays are
        not those of the program.
    """
    arrays = _read(path, config).arrays
    leaves = []
    for name, leaf in _named(program.shapes).items():
        array = arrays.get(name)
        if array is None or array.shape != leaf.shape or array.dtype != leaf.dtype:
            got = "nothing" if array is None else f"{array.dtype} {array.shape}"
            raise UsageError(
                f"checkpoint {path}: {name} expected {leaf.dtype} {leaf.shape}, got {got}"
            )
        leaves.append(array)
    states = jax.tree.unflatten(jax.tree.structure(program.shapes), leaves)
    return multihost.placed(states, program.shardings)


def load_params(path: Path, config: Any = None) -> dict[str, Any]:
    """The parameters of all trials, a leading axis R, without a program to place them by.

    Raises:
      UsageError: as `restore`.
    """
    params: dict[str, Any] = {}
    for name, array in _read(path, config).arrays.items():
        if name.startswith("params."):
            _, *inner, leaf = map(_unescaped, name.split("."))
            place = params
            for key in inner:
                place = place.setdefault(key, {})
            place[leaf] = array
    return params


def previous(path: Path) -> Path:
    """Where the checkpoint before the latest is kept."""
    return path.with_suffix(f".previous{path.suffix}")


def _read(path: Path, config: Any) -> Stored:
    stored = read(path)
    if config is not None and stored.config is not None:
        differs = difference(stored.config, config)
        if differs:
            raise UsageError(f"checkpoint {path} is of another config: {differs}")
    return stored


def _age(path: Path) -> float:
    """Seconds since the file was written; infinite where there is none."""
    return time.time() - path.stat().st_mtime if path.exists() else np.inf


def _set_aside(path: Path, step: int, error: Damaged) -> str:
    number = 1
    while (aside := path.with_suffix(f".damaged-{number}{path.suffix}")).exists():
        number += 1
    with writing(aside):
        os.replace(path, aside)
    return f"{error}; it is now {aside.name}, and training goes on from step {step}"


def _named(states: TrialState) -> dict[str, Any]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(states)
    return {".".join(map(_escaped, path)): leaf for path, leaf in leaves}


def _escaped(key: Any) -> str:
    """A key of a tree without dots, which stand between keys: a module may be named `block.1`."""
    return jax.tree_util.keystr((key,), simple=True).replace("%", "%25").replace(".", "%2E")


def _unescaped(name: str) -> str:
    return name.replace("%2E", ".").replace("%25", "%")


def write_beside(path: Path, arrays: Mapping[str, np.ndarray], step: int, config: Any) -> Path:
    """Writes a checkpoint to a file next to the path, and returns where, to be renamed to it.

    Raises:
      OSError: it can't be written.
    """
    entry = {"format": FORMAT, "step": step, "config": config, "sha256": UNSEALED}
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    content = to_bytes(contiguous, metadata={ENTRY: json.dumps(entry)})
    # Nothing follows the digits in the entry, so that they are the last such in the header.
    start = content.rfind(UNSEALED.encode(), 0, LENGTH_BYTES + _header_length(content))
    end = start + len(UNSEALED)
    digits = hashlib.sha256(content).hexdigest().encode()
    whole = memoryview(content)
    return write_partial(path, [whole[:start], digits, whole[end:]])


def read(path: Path) -> Stored:
    """The contents of the file, after its checksum.

    Raises:
      Damaged: it is not as it was written.
      UsageError: it was written by a newer lstm_attn, or can't be opened.
    """
    try:
        entry = _entry(path)
        if entry is not None:
            _check(path, entry)
        return Stored(load_file(path), None if entry is None else entry["config"])
    except OSError as error:
        raise UsageError(f"checkpoint {path} can't be read: {error.strerror or error}") from error
    except SafetensorError as error:
        raise Damaged(f"checkpoint {path} is damaged: {error}") from error


def _entry(path: Path) -> dict[str, Any] | None:
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    if metadata is None:
        return None
    try:
        entry = json.loads(metadata[ENTRY])
    except (KeyError, ValueError) as error:
        raise Damaged(f"checkpoint {path} is damaged: it lacks the note of its step") from error
    return entry


def _check(path: Path, entry: dict[str, Any]) -> None:
    digits = entry.get("sha256")
    if not isinstance(digits, str) or _checksum(path, digits) != digits:
        raise Damaged(f"checkpoint {path} is damaged: its checksum does not match")
    if entry["format"] > FORMAT:
        raise UsageError(
            f"checkpoint {path} was written by a newer lstm_attn, in format {entry['format']}; "
            f"this one knows formats up to {FORMAT}"
        )


def _checksum(path: Path, digits: str) -> str:
    with open(path, "rb") as file:
        start = file.read(LENGTH_BYTES)
        start += file.read(_header_length(start))
        before, found, after = start.rpartition(digits.encode())
        digest = hashlib.sha256(before + UNSEALED.encode() * bool(found) + after)
        return hashlib.file_digest(file, lambda: digest).hexdigest()


def _header_length(content: bytes) -> int:
    return int.from_bytes(content[:LENGTH_BYTES], "little")
