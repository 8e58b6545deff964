"""Our fused recurrent parameters, and gates side by side in them in another order."""

from collections.abc import Iterable

import numpy as np

from lstm_attn.interop.entries import Entries

LSTM_NAMES = ("kernel", "recurrent_kernel", "bias")
GRU_NAMES = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")


def split_gates(fused: np.ndarray, order: str) -> dict[str, np.ndarray]:
    """The block of each gate along the last axis, each gate a letter."""
    blocks = np.split(fused, len(order), axis=-1)
    return {gate: block.copy() for gate, block in zip(order, blocks, strict=True)}


def join_gates(gates: dict[str, np.ndarray], order: Iterable[str]) -> np.ndarray:
    """The blocks side by side in this order."""
    return np.concatenate([gates[gate] for gate in order], axis=-1)


def reorder(fused: np.ndarray, order: str, wanted: str) -> np.ndarray:
    """A fused parameter with its gates in the wanted order."""
    return join_gates(split_gates(fused, order), wanted)


def take_lstm(entries: Entries, prefix: str = "", inputs: str = "D") -> dict[str, np.ndarray]:
    """kernel [D, 4H], recurrent_kernel [H, 4H] and bias [4H] of one of our LSTMs."""
    recurrent_kernel = entries.take(f"{prefix}recurrent_kernel", "H 4H")
    return {
        "kernel": entries.take(f"{prefix}kernel", f"{inputs} 4H"),
        "recurrent_kernel": recurrent_kernel,
        "bias": entries.take(f"{prefix}bias", "4H"),
    }


def take_gru(entries: Entries, prefix: str = "", inputs: str = "D") -> dict[str, np.ndarray]:
    """kernel [D, 3H], recurrent_kernel [H, 3H] and two biases [3H] of one of our GRUs."""
    recurrent_kernel = entries.take(f"{prefix}recurrent_kernel", "H 3H")
    return {
        "kernel": entries.take(f"{prefix}kernel", f"{inputs} 3H"),
        "recurrent_kernel": recurrent_kernel,
        "bias": entries.take(f"{prefix}bias", "3H"),
        "recurrent_bias": entries.take(f"{prefix}recurrent_bias", "3H"),
    }
