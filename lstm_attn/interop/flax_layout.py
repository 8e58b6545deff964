"""LSTM and GRU cells of `flax.linen` and `flax.nnx`, as plain dictionaries.

A linen cell's dictionary is `cell.init(...)["params"]`, or `["params"]["cell"]` inside
`flax.linen.RNN`; an nnx cell's is `nnx.to_pure_dict(nnx.state(cell, nnx.Param))`.
Flax's carry of an LSTM is (c, h), where ours is LSTMState(h, c).

Source: the parameters that flax 0.12 stores.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from lstm_attn.interop.entries import Entries
from lstm_attn.interop.gates import (
    GRU_NAMES,
    LSTM_NAMES,
    join_gates,
    split_gates,
    take_ours,
)

LSTM_GATES = {"i": "ii", "f": "if", "g": "ig", "o": "io"}  # the dense layer of the inputs
NNX_LSTM_GATES = LSTM_GATES | {"f": "if_"}  # `if` can't be an attribute name


def lstm_from_linen(params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Our LSTM from a `flax.linen.LSTMCell` or `OptimizedLSTMCell`, which store the same arrays.

        kernel = [W_ii, W_if, W_ig, W_io],  recurrent_kernel = [W_hi, ..., W_ho],
        bias = [b_hi, ..., b_ho]

    Args:
      params: ii, if, ig, io with kernel [D, H]; hi, hf, hg, ho with kernel [H, H] and bias [H].

    Returns:
      kernel [D, 4H], recurrent_kernel [H, 4H], bias [4H], for `modules.LSTM`.

    Raises:
      UsageError: an entry that is missing, unexpected or of another shape, on one line.
    """
    return _lstm_from_gates(Entries("lstm_from_linen", params), LSTM_GATES)


def lstm_to_linen(params: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `lstm_from_linen`: from kernel, recurrent_kernel and bias to a layer per gate.

    Raises:
      UsageError: as `lstm_from_linen`.
    """
    return _lstm_to_gates(Entries("lstm_to_linen", params), LSTM_GATES)


def lstm_from_nnx(params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Our LSTM from a `flax.nnx.LSTMCell` or `OptimizedLSTMCell`, told apart by their entries.

    Args:
      params: for LSTMCell ii, if_, ig, io and hi, hf, hg, ho as in `lstm_from_linen`; for
        OptimizedLSTMCell dense_i with kernel [D, 4H] and dense_h with kernel [H, 4H] and bias [4H].

    Returns:
      kernel [D, 4H], recurrent_kernel [H, 4H], bias [4H], for `modules.LSTM`.

    Raises:
      UsageError: an entry that is missing, unexpected or of another shape, on one line.
    """
    entries = Entries("lstm_from_nnx", params)
    if not (entries.has_part("dense_i") or entries.has_part("dense_h")):
        return _lstm_from_gates(entries, NNX_LSTM_GATES)
    entries.expect(["dense_i/kernel", "dense_h/kernel", "dense_h/bias"])
    recurrent_kernel = entries.take("dense_h/kernel", "H 4H")
    return {
        "kernel": entries.take("dense_i/kernel", "D 4H"),
        "recurrent_kernel": recurrent_kernel,
        "bias": entries.take("dense_h/bias", "4H"),
    }


def lstm_to_nnx(
    params: Mapping[str, Any], cell: Literal["LSTMCell", "OptimizedLSTMCell"] = "OptimizedLSTMCell"
) -> dict[str, Any]:
    """The inverse of `lstm_from_nnx`, for the cell of this name.

    The result goes into a cell by `nnx.update(cell, result)`, leaves as JAX arrays.

    Raises:
      UsageError: an unknown cell, and as `lstm_from_nnx`.
    """
    entries = Entries("lstm_to_nnx", params)
    entries.check_choice("cell", cell, ("LSTMCell", "OptimizedLSTMCell"))
    if cell == "LSTMCell":
        return _lstm_to_gates(entries, NNX_LSTM_GATES)
    entries.expect(LSTM_NAMES)
    ours = take_ours(entries, LSTM_NAMES)
    return {
        "dense_i": {"kernel": ours["kernel"]},
        "dense_h": {"kernel": ours["recurrent_kernel"], "bias": ours["bias"]},
    }


def gru_from_linen(params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Our GRU from a `flax.linen.GRUCell`.

        bias = [b_ir, b_iz, b_in],  recurrent_bias = [0, 0, b_hn]

    Args:
      params: ir, iz, in with kernel [D, H] and bias [H]; hr, hz with kernel [H, H]; hn with
        kernel [H, H] and bias [H].

    Returns:
      kernel [D, 3H], recurrent_kernel [H, 3H], bias [3H], recurrent_bias [3H], for `modules.GRU`.

    Raises:
      UsageError: an entry that is missing, unexpected or of another shape, on one line.
    """
    entries = Entries("gru_from_linen", params)
    entries.expect(
        [f"{side}{gate}/kernel" for side in "ih" for gate in "rzn"]
        + [f"{side}/bias" for side in ("ir", "iz", "in", "hn")]
    )
    recurrent_kernel = {gate: entries.take(f"h{gate}/kernel", "H H") for gate in "rzn"}
    kernel = {gate: entries.take(f"i{gate}/kernel", "D H") for gate in "rzn"}
    bias = {gate: entries.take(f"i{gate}/bias", "H") for gate in "rzn"}
    n_bias = entries.take("hn/bias", "H")
    none = np.zeros_like(n_bias)
    return {
        "kernel": join_gates(kernel, "rzn"),
        "recurrent_kernel": join_gates(recurrent_kernel, "rzn"),
        "bias": join_gates(bias, "rzn"),
        "recurrent_bias": join_gates({"r": none, "z": none, "n": n_bias}, "rzn"),
    }


def gru_to_linen(params: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `gru_from_linen`; the two biases of r, and those of z, are summed.

    Raises:
      UsageError: as `gru_from_linen`.
    """
    kernel, recurrent_kernel, bias, n_bias = _gru_gates(Entries("gru_to_linen", params))
    cell = {f"i{gate}": {"kernel": kernel[gate], "bias": bias[gate]} for gate in "rzn"}
    cell |= {f"h{gate}": {"kernel": recurrent_kernel[gate]} for gate in "rzn"}
    cell["hn"]["bias"] = n_bias
    return cell


def gru_from_nnx(params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Our GRU from a `flax.nnx.GRUCell`, which has no recurrent bias: ours is zero.

    Args:
      params: dense_i with kernel [D, 3H] and bias [3H]; dense_h with kernel [H, 3H].

    Returns:
      kernel [D, 3H], recurrent_kernel [H, 3H], bias [3H], recurrent_bias [3H], for `modules.GRU`.

    Raises:
      UsageError: an entry that is missing, unexpected or of another shape, on one line.
    """
    entries = Entries("gru_from_nnx", params)
    entries.expect(["dense_i/kernel", "dense_i/bias", "dense_h/kernel"])
    recurrent_kernel = entries.take("dense_h/kernel", "H 3H")
    bias = entries.take("dense_i/bias", "3H")
    return {
        "kernel": entries.take("dense_i/kernel", "D 3H"),
        "recurrent_kernel": recurrent_kernel,
        "bias": bias,
        "recurrent_bias": np.zeros_like(bias),
    }


def gru_to_nnx(params: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `gru_from_nnx`; the two biases of r, and those of z, are summed.

    Raises:
      UsageError: a recurrent bias of n that is not zero, since r multiplies it and the nnx cell
        has none; and as `gru_from_nnx`.
    """
    entries = Entries("gru_to_nnx", params)
    kernel, recurrent_kernel, bias, n_bias = _gru_gates(entries)
    entries.check_zeros("recurrent_bias of n", n_bias, "nnx.GRUCell has none")
    return {
        "dense_i": {"kernel": join_gates(kernel, "rzn"), "bias": join_gates(bias, "rzn")},
        "dense_h": {"kernel": join_gates(recurrent_kernel, "rzn")},
    }


def _lstm_from_gates(entries: Entries, layers: dict[str, str]) -> dict[str, np.ndarray]:
    entries.expect(
        [f"{layer}/kernel" for layer in layers.values()]
        + [f"h{gate}/{name}" for gate in layers for name in ("kernel", "bias")]
    )
    recurrent_kernel = {gate: entries.take(f"h{gate}/kernel", "H H") for gate in layers}
    kernel = {gate: entries.take(f"{layer}/kernel", "D H") for gate, layer in layers.items()}
    bias = {gate: entries.take(f"h{gate}/bias", "H") for gate in layers}
    return {
        "kernel": join_gates(kernel, "ifgo"),
        "recurrent_kernel": join_gates(recurrent_kernel, "ifgo"),
        "bias": join_gates(bias, "ifgo"),
    }


def _lstm_to_gates(entries: Entries, layers: dict[str, str]) -> dict[str, Any]:
    entries.expect(LSTM_NAMES)
    ours = {
        name: split_gates(fused, "ifgo") for name, fused in take_ours(entries, LSTM_NAMES).items()
    }
    from_inputs = {layer: {"kernel": ours["kernel"][gate]} for gate, layer in layers.items()}
    from_state = {
        f"h{gate}": {"kernel": ours["recurrent_kernel"][gate], "bias": ours["bias"][gate]}
        for gate in layers
    }
    return from_inputs | from_state


def _gru_gates(
    entries: Entries,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray]:
    """Our kernels by gate, the bias by gate with those of r and z summed, the other bias of n."""
    entries.expect(GRU_NAMES)
    ours = {
        name: split_gates(fused, "rzn") for name, fused in take_ours(entries, GRU_NAMES).items()
    }
    n_bias = ours["recurrent_bias"]["n"]
    bias = {gate: ours["bias"][gate] + ours["recurrent_bias"][gate] for gate in "rz"}
    return ours["kernel"], ours["recurrent_kernel"], bias | {"n": ours["bias"]["n"]}, n_bias
