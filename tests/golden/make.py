"""Write tests/golden/*.npz from PyTorch and Keras: python -m tests.golden.make

Needs the extra `peers`. Parameters and inputs are drawn by numpy from fixed seeds, so that a new
version of a library changes the outputs only, and `make test-peers` shows whether it does.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")  # before Keras is imported

import json

import keras
import numpy as np
import torch

from tests.golden import FOLDER, flatten

BATCH, LENGTH, FEATURES_IN, FEATURES = 2, 4, 2, 3


def draw(seed, *shape):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


def set_torch(module, seed):
    """Draws all parameters of a module, biases too, and returns them by name."""
    entries = {
        name: draw(seed + n, *tensor.shape)
        for n, (name, tensor) in enumerate(module.state_dict().items())
    }
    module.load_state_dict({name: torch.from_numpy(array) for name, array in entries.items()})
    return entries


def set_keras(layer, seed):
    """Draws all weights of a layer, biases too, and returns them by the end of their paths.

    Names are as `lstm_attn.interop` documents: of attention the last two parts of the path, of
    recurrent layers the last.
    """
    parts = 2 if isinstance(layer, keras.layers.MultiHeadAttention) else 1
    entries = {}
    for n, weight in enumerate(layer.weights):
        array = draw(seed + n, *weight.shape)
        weight.assign(array)
        entries["/".join(weight.path.split("/")[-parts:])] = array
    return entries


def torch_recurrent(kind):
    """Outputs and final states, [layers * directions, B, H], of torch.nn.LSTM or torch.nn.GRU."""
    options = {
        "one_layer": {},
        "no_bias": {"bias": False},
        "two_layers": {"num_layers": 2},
        "bidirectional": {"bidirectional": True},
        "two_layers_bidirectional_no_bias": {
            "num_layers": 2,
            "bidirectional": True,
            "bias": False,
        },
    }
    cases = {}
    for n, (name, arguments) in enumerate(options.items()):
        module = kind(FEATURES_IN, FEATURES, batch_first=True, **arguments)
        params = set_torch(module, 100 * n)
        inputs = draw(100 * n + 99, BATCH, LENGTH, FEATURES_IN)
        outputs, final = module(torch.from_numpy(inputs))
        final = {"h": final} if kind is torch.nn.GRU else dict(zip("hc", final, strict=True))
        cases[name] = {"params": params, "inputs": inputs, "outputs": outputs} | final
    return cases


def torch_multi_head_attention():
    """Self-attention, and cross-attention whose keys and values have features of their own."""
    options = {
        "self": {},
        "self_no_bias": {"bias": False},
        "cross": {"kdim": 3, "vdim": 5},
        "cross_no_bias": {"kdim": 3, "vdim": 5, "bias": False},
    }
    cases = {}
    for n, (name, arguments) in enumerate(options.items()):
        module = torch.nn.MultiheadAttention(4, num_heads=2, batch_first=True, **arguments)
        params = set_torch(module, 1000 + 100 * n)
        arrays = {"query": draw(n, BATCH, LENGTH, 4)}
        if "kdim" in arguments:
            arrays |= {"key": draw(n + 50, BATCH, 5, 3), "value": draw(n + 60, BATCH, 5, 5)}
        query, key, value = (
            torch.from_numpy(arrays.get(name, arrays["query"]))
            for name in ("query", "key", "value")
        )
        outputs, _ = module(query, key, value)
        cases[name] = {"params": params, "outputs": outputs} | arrays
    return cases


def torch_attention():
    """torch.nn.functional.scaled_dot_product_attention, arrays stored as [B, T, N, K]."""
    batch, queries, keys, heads, features = 2, 3, 5, 4, 2
    # Every query may attend to some key, as torch leaves the other case open.
    mask = np.random.default_rng(5).random((batch, heads, queries, keys)) < 0.5
    mask[..., 1] = True
    bias = draw(6, batch, heads, queries, keys)
    options = {
        "plain": {},
        "mask": {"attn_mask": mask},
        "bias": {"attn_mask": bias},
        "is_causal": {"is_causal": True},
        "scale": {"scale": 0.3},
        "grouped": {"enable_gqa": True},
        "grouped_mask": {"enable_gqa": True, "attn_mask": mask},
    }
    cases = {}
    for n, (name, arguments) in enumerate(options.items()):
        groups = 2 if "enable_gqa" in arguments else heads
        arrays = {
            "query": draw(10 * n + 1, batch, queries, heads, features),
            "key": draw(10 * n + 2, batch, keys, groups, features),
            "value": draw(10 * n + 3, batch, keys, groups, features),
        }
        tensors = [torch.from_numpy(array).transpose(1, 2) for array in arrays.values()]
        given = {
            key: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
            for key, value in arguments.items()
        }
        outputs = torch.nn.functional.scaled_dot_product_attention(*tensors, **given)
        stored = {"scale": arguments["scale"]} if "scale" in arguments else {}
        if "attn_mask" in arguments:
            kind = "mask" if arguments["attn_mask"].dtype == bool else "bias"
            stored[kind] = arguments["attn_mask"]
        cases[name] = arrays | stored | {"outputs": outputs.transpose(1, 2)}
    return cases


def torch_transformer_layer():
    """torch.nn.TransformerEncoderLayer, F = 4, 2 heads; gelu is the exact one, x * Phi(x), by erf.

    In training mode with no dropout, so that torch takes the plain path and not the fused one.
    """
    cases = {}
    for n, (name, norm_first) in enumerate({"norm_first": True, "norm_last": False}.items()):
        module = torch.nn.TransformerEncoderLayer(
            4, 2, 6, dropout=0.0, activation="gelu", batch_first=True, norm_first=norm_first
        )
        params = set_torch(module, 2000 + 100 * n)
        inputs = draw(2050 + n, BATCH, LENGTH, 4)
        causal = np.tril(np.ones((LENGTH, LENGTH), bool))
        tensor = torch.from_numpy(inputs)
        cases[name] = {
            "params": params,
            "inputs": inputs,
            "outputs": module(tensor),
            "causal_mask": causal,  # True where a query may attend, the opposite of torch's
            "outputs_causal": module(tensor, src_mask=torch.from_numpy(~causal)),
            "num_heads": 2,
            "layer_norm_epsilon": module.norm1.eps,
            "activation": "gelu, exact (erf)",
        }
    return cases


def keras_recurrent(kind, options):
    """Outputs and final states of keras.layers.LSTM or GRU; of both directions, one entry each."""
    cases = {}
    for n, (name, arguments) in enumerate(options.items()):
        layer = kind(FEATURES, return_sequences=True, return_state=True, **arguments)
        inputs = draw(3000 + n, BATCH, LENGTH, FEATURES_IN)
        states = ("h",) if kind is keras.layers.GRU else ("h", "c")
        layer(inputs)
        params = set_keras(layer, 3000 + 100 * n)
        outputs, *final = layer(inputs)
        cases[name] = {"params": params, "inputs": inputs, "outputs": outputs}
        cases[name] |= dict(zip(states, final, strict=True))
    both = keras.layers.Bidirectional(kind(FEATURES, return_sequences=True))
    inputs = draw(3900, BATCH, LENGTH, FEATURES_IN)
    both(inputs)
    params = {
        "forward": set_keras(both.forward_layer, 3910),
        "backward": set_keras(both.backward_layer, 3920),
    }
    return cases | {"bidirectional": {"params": params, "inputs": inputs, "outputs": both(inputs)}}


def keras_lstm():
    return keras_recurrent(keras.layers.LSTM, {"bias": {}, "no_bias": {"use_bias": False}})


def keras_gru():
    return keras_recurrent(
        keras.layers.GRU,
        {
            f"reset_{name}{ending}": {"reset_after": reset_after, "use_bias": use_bias}
            for name, reset_after in (("after", True), ("before", False))
            for ending, use_bias in (("", True), ("_no_bias", False))
        },
    )


def keras_multi_head_attention():
    """Self-attention, and cross-attention whose query, key and value differ in features."""
    options = {
        "self": {"key_dim": 2},
        "self_no_bias": {"key_dim": 2, "use_bias": False},
        "cross": {"key_dim": 3, "output_shape": 5},
    }
    cases = {}
    for n, (name, arguments) in enumerate(options.items()):
        layer = keras.layers.MultiHeadAttention(num_heads=2, **arguments)
        arrays = {"query": draw(4000 + n, BATCH, LENGTH, 4)}
        if name == "cross":
            arrays |= {"key": draw(4010, BATCH, 5, 3), "value": draw(4020, BATCH, 5, 6)}
        query, key, value = (
            arrays.get(name, arrays["query"]) for name in ("query", "key", "value")
        )
        layer(query, value, key)
        params = set_keras(layer, 4100 + 100 * n)
        cases[name] = {"params": params, "outputs": layer(query, value, key)} | arrays
    return cases


def keras_additive_attention():
    """keras.layers.AdditiveAttention(use_scale=True), query [B, T, A], key and value [B, S, A]."""
    layer = keras.layers.AdditiveAttention(use_scale=True)
    query, key, value = draw(1, 2, 3, 4), draw(2, 2, 5, 4), draw(3, 2, 5, 4)
    layer([query, value, key])
    scale = set_keras(layer, 5000)["scale"]
    arrays = {"scale": scale, "query": query, "key": key, "value": value}
    mask = np.arange(5) < np.array([[3], [5]])
    masked = layer([query, value, key], mask=[None, mask])
    return {
        "plain": arrays | {"outputs": layer([query, value, key])},
        "value_mask": arrays | {"value_mask": mask, "outputs": masked},
    }


FILES = {
    "torch_lstm": lambda: torch_recurrent(torch.nn.LSTM),
    "torch_gru": lambda: torch_recurrent(torch.nn.GRU),
    "torch_multi_head_attention": torch_multi_head_attention,
    "torch_attention": torch_attention,
    "torch_transformer_layer": torch_transformer_layer,
    "keras_lstm": keras_lstm,
    "keras_gru": keras_gru,
    "keras_multi_head_attention": keras_multi_head_attention,
    "keras_additive_attention": keras_additive_attention,
}


def make(name):
    """The arrays of one file by their keys."""
    with torch.no_grad():
        return flatten(FILES[name]())


def main():
    versions = {"torch": torch.__version__, "keras": keras.__version__, "numpy": np.__version__}
    for name in FILES:
        made_by = {library: versions[library] for library in (name.split("_")[0], "numpy")}
        path = FOLDER / f"{name}.npz"
        np.savez_compressed(path, versions=json.dumps(made_by), **make(name))
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
