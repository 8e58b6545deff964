"""Weights of the Keras 3 layers LSTM, GRU and MultiHeadAttention, as a dictionary of arrays.

The keys are `weight.name` for a recurrent layer, and the last two parts of `weight.path` for
attention, where query and key each have a kernel:

    {weight.name: weight for weight in layer.weights}
    {"/".join(weight.path.split("/")[-2:]): weight for weight in layer.weights}

The inverse is `weight.assign(entries[weight.name])`, or with the path. For a
keras.layers.Bidirectional, convert `layer.forward_layer` and `layer.backward_layer` and put them
under `forward` and `backward` for `modules.Bidirectional`.

Source: the weights that Keras 3.15 stores, and its equations.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lstm_attn.interop.entries import Entries, attention_names
from lstm_attn.interop.gates import (
    GRU_NAMES,
    LSTM_NAMES,
    reorder,
    take_ours,
)

ATTENTION_PARTS = {"query": "query", "key": "key", "value": "value", "out": "attention_output"}
# The axes of inputs and outputs of each part, in Keras and in ours.
HEADS_APART = {
    "query": ("F", "N K"),
    "key": ("P", "N K"),
    "value": ("Q", "N V"),
    "out": ("N V", "O"),
}
HEADS_JOINED = {"query": ("F", "NK"), "key": ("P", "NK"), "value": ("Q", "NV"), "out": ("NV", "O")}


def lstm_from_keras(weights: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Our LSTM from a `keras.layers.LSTM`. Names, shapes and gate order i, f, g, o are the same.

    Args:
      weights: kernel [D, 4H], recurrent_kernel [H, 4H], bias [4H]; without the bias of a layer of
        use_bias=False, ours is zero.

    Returns:
      kernel [D, 4H], recurrent_kernel [H, 4H], bias [4H], for `modules.LSTM`.

    Raises:
      UsageError: an entry that is missing, unexpected or of another shape, on one line.
    """
    entries = Entries("lstm_from_keras", weights)
    entries.expect(_with_bias(entries))
    recurrent_kernel = entries.take("recurrent_kernel", "H 4H")
    return {
        "kernel": entries.take("kernel", "D 4H"),
        "recurrent_kernel": recurrent_kernel,
        "bias": entries.take_or_zeros("bias", "4H", like=recurrent_kernel),
    }


def lstm_to_keras(params: Mapping[str, Any], *, bias: bool = True) -> dict[str, np.ndarray]:
    """The inverse of `lstm_from_keras`.

    Args:
      params: kernel, recurrent_kernel and bias.
      bias: False for a layer with use_bias=False.

    Raises:
      UsageError: a bias that is not zero with bias=False, and as `lstm_from_keras`.
    """
    entries = Entries("lstm_to_keras", params)
    entries.expect(LSTM_NAMES)
    ours = take_ours(entries, LSTM_NAMES)
    if not bias:
        entries.check_zeros("bias", ours.pop("bias"), "bias=False drops it")
    return ours


def gru_from_keras(
    weights: Mapping[str, Any], *, reset_after: bool = True
) -> dict[str, np.ndarray]:
    """Our GRU from a `keras.layers.GRU`, whose gate order is z, r, n.

        reset_after:  bias, recurrent_bias = the two rows of its bias
        otherwise:    bias = its bias,  recurrent_bias = 0

    The result is for a `modules.GRU` of the same reset_after: the equations differ.

    Args:
      weights: kernel [D, 3H], recurrent_kernel [H, 3H], and bias [2, 3H], or [3H] where reset_after
        is False; without the bias of a layer with use_bias=False, ours are zero.
      reset_after: as of the layer.

    Returns:
      kernel [D, 3H], recurrent_kernel [H, 3H], bias [3H], recurrent_bias [3H].

    Raises:
      UsageError: an entry that is missing, unexpected or of another shape, on one line.
    """
    entries = Entries("gru_from_keras", weights)
    entries.expect(_with_bias(entries))
    recurrent_kernel = entries.take("recurrent_kernel", "H 3H")
    kernel = entries.take("kernel", "D 3H")
    rows = entries.take_or_zeros("bias", "2 3H" if reset_after else "3H", like=recurrent_kernel)
    bias, recurrent_bias = rows if reset_after else (rows, np.zeros_like(rows))
    ours = (kernel, recurrent_kernel, bias, recurrent_bias)
    return {name: reorder(array, "zrn", "rzn") for name, array in zip(GRU_NAMES, ours, strict=True)}


def gru_to_keras(
    params: Mapping[str, Any], *, reset_after: bool = True, bias: bool = True
) -> dict[str, np.ndarray]:
    """The inverse of `gru_from_keras`.

    Args:
      params: kernel, recurrent_kernel, bias and recurrent_bias.
      reset_after: as of the layer and of our module. Where it is False the two biases appear as a
        sum only, and are summed.
      bias: False for a layer with use_bias=False.

    Raises:
      UsageError: a bias that is not zero with bias=False, and as `gru_from_keras`.
    """
    entries = Entries("gru_to_keras", params)
    entries.expect(GRU_NAMES)
    ours = {
        name: reorder(array, "rzn", "zrn") for name, array in take_ours(entries, GRU_NAMES).items()
    }
    biases = [ours.pop(name) for name in GRU_NAMES[2:]]
    if bias:
        return ours | {"bias": np.stack(biases) if reset_after else biases[0] + biases[1]}
    for name, array in zip(GRU_NAMES[2:], biases, strict=True):
        entries.check_zeros(name, array, "bias=False drops it")
    return ours


def multi_head_attention_from_keras(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Our attention from a `keras.layers.MultiHeadAttention`: head n is block n of our features.

    Args:
      weights: query/kernel [F, N, K], key/kernel [P, N, K], value/kernel [Q, N, V] and
        attention_output/kernel [N, V, O], for queries, keys and values of F, P and Q features; and
        biases [N, K], [N, K], [N, V] and [O], without which ours are zero.

    Returns:
      query, key, value and out, each with kernel [inputs, outputs] and bias [outputs], for
      `modules.MultiHeadAttention` with qkv_features = N K and out_features = O. That module needs
      V = K, this function does not.

    Raises:
      UsageError: an entry that is missing, unexpected or of another shape, on one line.
    """
    entries = Entries("multi_head_attention_from_keras", weights)
    entries.expect(attention_names(entries, ATTENTION_PARTS.values()))
    result = {}
    for part, theirs in ATTENTION_PARTS.items():
        inputs, outputs = HEADS_APART[part]
        kernel = entries.take(f"{theirs}/kernel", f"{inputs} {outputs}")
        bias = entries.take_or_zeros(f"{theirs}/bias", outputs, like=kernel).reshape(-1)
        result[part] = {"kernel": kernel.reshape(-1, bias.size), "bias": bias}
    return result


def multi_head_attention_to_keras(
    params: Mapping[str, Any], num_heads: int, *, bias: bool = True
) -> dict[str, np.ndarray]:
    """The inverse of `multi_head_attention_from_keras`.

    Args:
      params: query, key, value and out, each with kernel and bias, or none of them with a bias.
      num_heads: N, which our arrays do not contain.
      bias: False for a layer with use_bias=False.

    Raises:
      UsageError: features that num_heads does not divide; a bias that is not zero with bias=False;
        and as the inverse.
    """
    entries = Entries("multi_head_attention_to_keras", params)
    entries.expect(attention_names(entries, ATTENTION_PARTS))
    result = {}
    for part, theirs in ATTENTION_PARTS.items():
        inputs, outputs = HEADS_JOINED[part]
        kernel = entries.take(f"{part}/kernel", f"{inputs} {outputs}")
        part_bias = entries.take_or_zeros(f"{part}/bias", outputs, like=kernel)
        joined = inputs if part == "out" else outputs
        heads = (num_heads, entries.divide(joined, "num_heads", num_heads))
        shape = (*heads, -1) if part == "out" else (-1, *heads)
        result[f"{theirs}/kernel"] = kernel.reshape(shape)
        if not bias:
            entries.check_zeros(f"{part}/bias", part_bias, "bias=False drops it")
        else:
            result[f"{theirs}/bias"] = part_bias if part == "out" else part_bias.reshape(heads)
    return result


def _with_bias(entries: Entries) -> tuple[str, ...]:
    return LSTM_NAMES if "bias" in entries else LSTM_NAMES[:2]
