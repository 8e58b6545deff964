"""What PyTorch and Keras compute, kept as files: parameters, inputs and outputs of tiny cases.

`python -m tests.golden.make` writes them; each holds the versions of its libraries.
"""

import json
from pathlib import Path

import numpy as np

from tests import oracles

FOLDER = Path(__file__).parent
# The longest way through a case: nine steps of a Transformer layer (a norm, three products, the
# logits, the weights, three more products) or eight time steps in two layers of a recurrence, each
# a sum of at most eight terms, whose absolute values sum to at most three times the largest result.
STEPS, TERMS, CANCELLED = 9, 8, 3


def assert_close(computed, expected, name=""):
    """Holds our result to a library's, or to another processor's, which sums in another order."""
    oracles.assert_close(computed, expected, TERMS, STEPS, cancelled=CANCELLED, name=name)


def load(name):
    """The cases of a file by name, each a nested dictionary of arrays."""
    with np.load(FOLDER / f"{name}.npz") as file:
        return nest({key: file[key] for key in file.files if key != "versions"})


def versions(name):
    """The versions of the libraries that made a file, by the library's name."""
    with np.load(FOLDER / f"{name}.npz") as file:
        return json.loads(str(file["versions"]))


def nest(flat):
    """Nested dictionaries from keys with bars: names of parameters hold dots and slashes."""
    tree = {}
    for key, value in flat.items():
        *parents, leaf = key.split("|")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[leaf] = value
    return tree


def flatten(tree, prefix=""):
    """The inverse of `nest`."""
    flat = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}|")
        else:
            flat[f"{prefix}{key}"] = np.asarray(value)
    return flat
