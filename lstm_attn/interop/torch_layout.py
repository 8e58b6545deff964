"""`state_dict()` of torch.nn.LSTM, torch.nn.GRU and torch.nn.MultiheadAttention, as numpy arrays.

numpy can read tensors on the CPU, so `lstm_from_torch(module.state_dict())` works; on a GPU, pass
`{name: tensor.cpu() for name, tensor in module.state_dict().items()}`. The inverse:

    module.load_state_dict({name: torch.from_numpy(array) for name, array in entries.items()})

Source: the parameters that torch 2.13 stores, and the equations of its documentation.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lstm_attn.interop.entries import Entries, attention_names
from lstm_attn.interop.gates import GRU_NAMES, LSTM_NAMES, take_ours


def lstm_from_torch(state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """Our LSTMs from a `torch.nn.LSTM`: any number of layers, one direction or both.

        kernel = weight_ih^T,  recurrent_kernel = weight_hh^T,  bias = bias_ih + bias_hh

    The gate order i, f, g, o is the same. Layer n is always under `layers_n`, the name it has in

        flax.linen.Sequential([modules.LSTM(H), modules.LSTM(H)])

    so a single layer is `layers_0`. With both directions, each layer has `forward` and `backward`,
    as in Sequential([modules.Bidirectional(modules.LSTM(H), modules.LSTM(H)), ...]).

    Args:
      state_dict: weight_ih_l0 [4H, D], weight_hh_l0 [4H, H], bias_ih_l0 [4H], bias_hh_l0 [4H], and
        so on for l1 ...; the backward direction ends in _reverse. Without the biases of a module
        of bias=False, ours is zero.

    Returns:
      {"layers_0": {kernel [D, 4H], recurrent_kernel [H, 4H], bias [4H]}, "layers_1": ...}.

    Raises:
      UsageError: an entry that is missing, unexpected (proj_size has no counterpart here) or of
        another shape, on one line.
    """
    return _from_torch(Entries("lstm_from_torch", state_dict), gates=4)


def lstm_to_torch(params: Mapping[str, Any], *, bias: bool = True) -> dict[str, np.ndarray]:
    """The inverse of `lstm_from_torch`: bias_ih is our bias, bias_hh is zero.

    Args:
      params: as `lstm_from_torch` returns them; a single layer is {"layers_0": params} too.
      bias: False for a module with bias=False.

    Raises:
      UsageError: a bias that is not zero with bias=False; layers of different H; and as
        `lstm_from_torch`.
    """
    return _to_torch(Entries("lstm_to_torch", params), bias, gates=4)


def gru_from_torch(state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """Our GRUs from a `torch.nn.GRU`: any number of layers, one direction or both.

        kernel = weight_ih^T,  recurrent_kernel = weight_hh^T,
        bias = bias_ih,  recurrent_bias = bias_hh

    The gate order r, z, n and the equations are the same. Names as in `lstm_from_torch`.

    Args:
      state_dict: weight_ih_l0 [3H, D], weight_hh_l0 [3H, H], bias_ih_l0 [3H], bias_hh_l0 [3H], and
        so on, as in `lstm_from_torch`.

    Returns:
      {"layers_0": {kernel [D, 3H], recurrent_kernel [H, 3H], bias [3H], recurrent_bias [3H]}, ...}.

    Raises:
      UsageError: an entry that is missing, unexpected or of another shape, on one line.
    """
    return _from_torch(Entries("gru_from_torch", state_dict), gates=3)


def gru_to_torch(params: Mapping[str, Any], *, bias: bool = True) -> dict[str, np.ndarray]:
    """The inverse of `gru_from_torch`. Arguments and errors as in `lstm_to_torch`."""
    return _to_torch(Entries("gru_to_torch", params), bias, gates=3)


def multi_head_attention_from_torch(state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """Our attention from a `torch.nn.MultiheadAttention`.

        [W_q, W_k, W_v] = in_proj_weight^T, or each its own weight^T where kdim or vdim is given;
        W_o = out_proj.weight^T

    Heads are consecutive blocks of the features on both sides; their number is not in the arrays.

    Args:
      state_dict: in_proj_weight [3F, F], or q_proj_weight [F, F], k_proj_weight [F, P] and
        v_proj_weight [F, Q] for keys of P and values of Q features; out_proj.weight [F, F]; and
        in_proj_bias [3F] and out_proj.bias [F], without which ours are zero.

    Returns:
      query, key, value and out, each with kernel [inputs, F] and bias [F], for
      `modules.MultiHeadAttention`.

    Raises:
      UsageError: an entry that is missing, unexpected (the bias_k and bias_v of add_bias_kv have no
        counterpart here) or of another shape, on one line.
    """
    entries = Entries("multi_head_attention_from_torch", state_dict)
    separate = "q_proj_weight" in entries
    biases = ["in_proj_bias", "out_proj.bias"] if "in_proj_bias" in entries else []
    weights = ["q_proj_weight", "k_proj_weight", "v_proj_weight"] if separate else []
    entries.expect([*(weights or ["in_proj_weight"]), "out_proj.weight", *biases])
    out = entries.take("out_proj.weight", "F F")
    if separate:
        projections = [
            entries.take(name, axes)
            for name, axes in zip(weights, ("F F", "F P", "F Q"), strict=True)
        ]
    else:
        projections = np.split(entries.take("in_proj_weight", "3F F"), 3)
    bias = np.split(entries.take_or_zeros("in_proj_bias", "3F", like=out), 3)
    parts = {
        name: {"kernel": _transposed(weight), "bias": b.copy()}
        for name, weight, b in zip(("query", "key", "value"), projections, bias, strict=True)
    }
    out_bias = entries.take_or_zeros("out_proj.bias", "F", like=out)
    return parts | {"out": {"kernel": _transposed(out), "bias": out_bias}}


def multi_head_attention_to_torch(
    params: Mapping[str, Any], *, bias: bool = True
) -> dict[str, np.ndarray]:
    """The inverse of `multi_head_attention_from_torch`.

    The projections are separate where keys or values have other features than queries, as in torch.

    Args:
      params: query, key, value and out, each with kernel and bias, or none of them with a bias;
        torch has the same F for the queries, the heads together and the outputs.
      bias: False for a module with bias=False.

    Raises:
      UsageError: a bias that is not zero with bias=False, and as the inverse.
    """
    entries = Entries("multi_head_attention_to_torch", params)
    parts = ("query", "key", "value", "out")
    entries.expect(attention_names(entries, parts))
    inputs = {"query": "F", "key": "P", "value": "Q", "out": "F"}
    weights = {
        part: _transposed(entries.take(f"{part}/kernel", f"{inputs[part]} F")) for part in parts
    }
    biases = {
        part: entries.take_or_zeros(f"{part}/bias", "F", like=weights[part]) for part in parts
    }
    projections = [weights[part] for part in parts[:3]]
    if len({weight.shape for weight in projections}) == 1:
        result = {"in_proj_weight": np.concatenate(projections)}
    else:
        names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
        result = dict(zip(names, projections, strict=True))
    if bias:
        result["in_proj_bias"] = np.concatenate([biases[part] for part in parts[:3]])
        result["out_proj.bias"] = biases["out"]
    else:
        for part in parts:
            entries.check_zeros(f"{part}/bias", biases[part], "bias=False drops it")
    return result | {"out_proj.weight": weights["out"]}


def _transposed(weight: np.ndarray) -> np.ndarray:
    return np.array(weight.T, order="C")


def _layers(entries: Entries, name: str, backward: str) -> tuple[int, bool]:
    """The number of consecutive layers, by an entry of each, and whether both directions exist."""
    count = 0
    while any(entry.format(count) in entries for entry in (name, backward)):
        count += 1
    return max(count, 1), backward.format(0) in entries


def _from_torch(entries: Entries, gates: int) -> dict[str, Any]:
    layers, both = _layers(entries, "weight_ih_l{}", "weight_ih_l{}_reverse")
    kinds = ["weight_ih", "weight_hh"]
    kinds += ["bias_ih", "bias_hh"] if "bias_ih_l0" in entries or "bias_hh_l0" in entries else []
    ends = {"forward": "", "backward": "_reverse"} if both else {"": ""}
    entries.expect(
        [f"{kind}_l{n}{end}" for n in range(layers) for end in ends.values() for kind in kinds]
    )
    width, joined = f"{gates}H", "2H" if both else "H"

    def read(layer: int, end: str) -> dict[str, np.ndarray]:
        suffix = f"_l{layer}{end}"
        inputs = "D" if layer == 0 else joined
        weight = entries.take(f"weight_hh{suffix}", f"{width} H")
        kernel = _transposed(entries.take(f"weight_ih{suffix}", f"{width} {inputs}"))
        biases = [
            entries.take_or_zeros(f"{kind}{suffix}", width, like=weight)
            for kind in ("bias_ih", "bias_hh")
        ]
        if gates == 4:
            named = {"bias": biases[0] + biases[1]}
        else:
            named = {"bias": biases[0], "recurrent_bias": biases[1]}
        return {"kernel": kernel, "recurrent_kernel": _transposed(weight), **named}

    return {
        f"layers_{n}": {direction: read(n, end) for direction, end in ends.items()}
        if both
        else read(n, "")
        for n in range(layers)
    }


def _to_torch(entries: Entries, bias: bool, gates: int) -> dict[str, np.ndarray]:
    layers, both = _layers(entries, "layers_{}/kernel", "layers_{}/backward/kernel")
    names = LSTM_NAMES if gates == 4 else GRU_NAMES
    ends = {"forward/": "", "backward/": "_reverse"} if both else {"": ""}
    entries.expect(
        [f"layers_{n}/{part}{name}" for n in range(layers) for part in ends for name in names]
    )
    joined = "2H" if both else "H"
    result = {}
    for n in range(layers):
        for part, end in ends.items():
            prefix, suffix = f"layers_{n}/{part}", f"_l{n}{end}"
            ours = take_ours(entries, names, prefix, "D" if n == 0 else joined)
            result[f"weight_ih{suffix}"] = _transposed(ours["kernel"])
            result[f"weight_hh{suffix}"] = _transposed(ours["recurrent_kernel"])
            if bias:
                result[f"bias_ih{suffix}"] = ours["bias"]
                second = ours.get("recurrent_bias", np.zeros_like(ours["bias"]))
                result[f"bias_hh{suffix}"] = second
            else:
                for name in names[2:]:
                    entries.check_zeros(f"{prefix}{name}", ours[name], "bias=False drops it")
    return result
