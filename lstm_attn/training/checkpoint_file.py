"""Arrays with their step and config in one safetensors file, sealed by a checksum.

The header's metadata is one entry, `lstm_attn`, a JSON object:

    format   2. Files of format 1 have no metadata, and are read without a check.
    step     optimiser steps done
    config   what the arrays were trained for
    sha256   of the whole file, with zeros in the place of these digits

The same rule of the checksum holds in every later format, so that a damaged format number is told
from a newer one. No part of a file is code: safetensors holds numbers and text.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from lstm_attn.errors import UsageError
from lstm_attn.files import write_partial

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


def write_beside(path: Path, arrays: Mapping[str, np.ndarray], step: int, config: Any) -> Path:
    """Writes what is to be at the path beside it, and says where.

    Raises:
      OSError: it can't be written.
    """
    entry = {"format": FORMAT, "step": step, "config": config, "sha256": UNSEALED}
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    content = save(contiguous, metadata={ENTRY: json.dumps(entry)})
    # Nothing follows the digits in the entry, so that they are the last such in the header.
    start = content.rfind(UNSEALED.encode(), 0, LENGTH_BYTES + _header_length(content))
    end = start + len(UNSEALED)
    digits = hashlib.sha256(content).hexdigest().encode()
    whole = memoryview(content)
    return write_partial(path, [whole[:start], digits, whole[end:]])


def read(path: Path) -> Stored:
    """What the file holds, once its checksum was found right.

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
