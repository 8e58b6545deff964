"""Train states to and from one safetensors file, bit for bit."""

import os
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from lstm_attn.errors import UsageError
from lstm_attn.training import hosts
from lstm_attn.training.program import Program
from lstm_attn.training.trial import TrialState


def save(path: Path, states: TrialState) -> None:
    """Writes the states under names such as `params.readout.kernel`.

    The file appears whole or not at all: it is written beside its place, then renamed.
    """
    arrays = {
        name: np.ascontiguousarray(leaf) for name, leaf in _named(hosts.whole(states)).items()
    }
    partial = path.with_suffix(".partial")
    save_file(arrays, partial)
    os.replace(partial, path)


def restore(path: Path, program: Program) -> TrialState:
    """The states that `save` wrote, placed on devices as the program wants them.

    Raises:
      ValueError: an unreadable file, or one whose arrays are not those of the program; one line.
    """
    arrays = _load(path)
    leaves = []
    for name, leaf in _named(program.shapes).items():
        found = arrays.get(name)
        if found is None or found.shape != leaf.shape or found.dtype != leaf.dtype:
            got = "nothing" if found is None else f"{found.dtype} {found.shape}"
            raise UsageError(
                f"checkpoint {path}: {name} expected {leaf.dtype} {leaf.shape}, got {got}"
            )
        leaves.append(found)
    states = jax.tree.unflatten(jax.tree.structure(program.shapes), leaves)
    return hosts.placed(states, program.shardings)


def load_params(path: Path) -> dict[str, Any]:
    """The parameters of all trials, a leading axis R, without a program to place them by."""
    params: dict[str, Any] = {}
    for name, array in _load(path).items():
        if name.startswith("params."):
            _, *inner, leaf = name.split(".")
            place = params
            for key in inner:
                place = place.setdefault(key, {})
            place[leaf] = array
    return params


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UsageError(
            f"checkpoint {path} can't be read: {error}; remove it to train its cell anew"
        ) from error


def _named(states: TrialState) -> dict[str, jax.Array]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(states)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}
