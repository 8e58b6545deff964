"""Our fused recurrent parameters, and the order of the gates in them."""

from collections.abc import Iterable, Sequence

import numpy as np

from lstm_attn.interop.entries import Entries

LSTM_NAMES = ("kernel", "recurrent_kernel", "bias")
GRU_NAMES = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")


def split_gates(fused: np.ndarray, order: str) -> dict[str, np.ndarray]:
    """The block of each gate along the last axis, each gate a letter."""
    blocks = np.split(fused, len(order), axis=-1)
    return {gate: block.copy() for gate, block in zip(order, blocks, strict=True)}


def join_gates(gates: dict[str, np.ndarray], order: Iterable[str]) -> np.ndarray:
    """The blocks concatenated in this order."""
    return np.concatenate([gates[gate] for gate in order], axis=-1)


def reorder(fused: np.ndarray, order: str, wanted: str) -> np.ndarray:
    """A fused parameter with its gates in the wanted order."""
    return join_gates(split_gates(fused, order), wanted)


def take_ours(
    entries: Entries, names: Sequence[str], prefix: str = "", inputs: str = "D"
) -> dict[str, np.ndarray]:
    """The parameters of one of our LSTMs or GRUs, by LSTM_NAMES or GRU_NAMES, for G gates.

    kernel [D, GH], recurrent_kernel [H, GH] and bias [GH]; of a GRU also recurrent_bias [GH].
    """
    width = "4H" if names == LSTM_NAMES else "3H"
    axes = {"kernel": f"{inputs} {width}", "recurrent_kernel": f"H {width}"}

    def take(name: str) -> np.ndarray:
        return entries.take(f"{prefix}{name}", axes.get(name, width))

    # First, since an error in another array is then said in terms of the right H.
    recurrent_kernel = take("recurrent_kernel")
    return {name: recurrent_kernel if name == "recurrent_kernel" else take(name) for name in names}
