"""The layers of JAX libraries: flax.linen, flax.nnx, Haiku, Equinox and cuDNN; and jax.nn.

A library that need not be installed is imported by its network.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen, nnx
from jax import Array, lax
from jax.experimental import rnn

from benchmarks import data, jitted
from benchmarks.contenders import Ready, Unavailable
from benchmarks.workloads import Attention, Layer, Recurrent, Training
from lstm_attn import interop
from lstm_attn.interop.gates import reorder

HAIKU_PARAMS = "lstm/linear"


def layer(case: Recurrent, library: str, **choices: Any) -> Ready:
    return jitted.layer(case, NETWORKS[library](case, **choices))


def training(case: Training, library: str, steps: int, **choices: Any) -> Ready:
    """One jitted step a call, as these libraries' own examples train."""
    return jitted.training_step_by_step(case, NETWORKS[library](case, **choices), steps)


def training_in_one_program(case: Training, library: str, steps: int, **choices: Any) -> Ready:
    return jitted.training_in_one_program(case, NETWORKS[library](case, **choices), steps)


def attention(case: Attention) -> Ready:
    """jax.nn.dot_product_attention with JAX's choice of implementation."""
    return jitted.attention(case, jax.nn.dot_product_attention)


def linen_network(case: Layer, cell: str) -> jitted.Network:
    """flax.linen.RNN over a cell of its own."""
    module = linen.RNN(getattr(linen, cell)(case.features))
    convert = interop.lstm_to_linen if case.cell == "lstm" else interop.gru_to_linen
    params = jax.tree.map(jnp.asarray, {"cell": convert(data.parameters(case))})

    def apply(params: dict, inputs: Array) -> Array:
        outputs = module.apply({"params": params}, inputs)
        assert isinstance(outputs, Array)  # and no variables that changed
        return outputs

    def to_ours(params: dict) -> jitted.Arrays:
        if case.cell == "lstm":
            return interop.lstm_from_linen(params["cell"])
        ours = interop.gru_from_linen(params["cell"])
        del ours["recurrent_bias"]  # linen has that of n alone
        return ours

    return jitted.Network(params, apply, to_ours)


def nnx_network(case: Layer, cell: str) -> jitted.Network:
    """flax.nnx.RNN over a cell of its own."""
    rnn_layer = nnx.RNN(getattr(nnx, cell)(case.inputs, case.features, rngs=nnx.Rngs(0)))
    if case.cell == "lstm":
        theirs = interop.lstm_to_nnx(data.parameters(case), cell)  # type: ignore[arg-type]
    else:
        theirs = interop.gru_to_nnx(data.parameters(case))
    nnx.update(rnn_layer.cell, jax.tree.map(jnp.asarray, theirs))
    # The cell keeps random streams, which plain jax.jit may not change: only parameters go in.
    graph, params, *others = nnx.split(rnn_layer, nnx.Param, ...)

    def apply(params: nnx.State, inputs: Array) -> Array:
        return nnx.merge(graph, params, *others, copy=True)(inputs)

    def to_ours(params: nnx.State) -> jitted.Arrays:
        cell_params = nnx.to_pure_dict(params)["cell"]
        if case.cell == "lstm":
            return interop.lstm_from_nnx(cell_params)
        ours = interop.gru_from_nnx(cell_params)
        del ours["recurrent_bias"]  # nnx has none
        return ours

    return jitted.Network(params, apply, to_ours)


def haiku_network(case: Layer) -> jitted.Network:
    """haiku.dynamic_unroll over haiku.LSTM."""
    import haiku

    @haiku.without_apply_rng
    @haiku.transform
    def unrolled(inputs: Array) -> Array:
        cell = haiku.LSTM(case.features)
        start = cell.initial_state(inputs.shape[0])
        return haiku.dynamic_unroll(cell, inputs, start, time_major=False)[0]

    ours = {name: reorder(a, "ifgo", "igfo") for name, a in data.parameters(case).items()}
    # haiku adds one to the forget gate by itself.
    ours["bias"][2 * case.features : 3 * case.features] -= 1
    weights = np.concatenate([ours["kernel"], ours["recurrent_kernel"]])
    params = {HAIKU_PARAMS: {"w": jnp.asarray(weights), "b": jnp.asarray(ours["bias"])}}

    def to_ours(params: dict) -> jitted.Arrays:
        weights = reorder(np.asarray(params[HAIKU_PARAMS]["w"]), "igfo", "ifgo")
        return {
            "kernel": weights[: case.inputs],
            "recurrent_kernel": weights[case.inputs :],
            "bias": reorder(np.asarray(params[HAIKU_PARAMS]["b"]), "igfo", "ifgo"),
        }

    return jitted.Network(params, unrolled.apply, to_ours)


def equinox_network(case: Layer) -> jitted.Network:
    """equinox.nn.LSTMCell and GRUCell, scanned and vmapped as Equinox's documentation does."""
    import equinox

    ours = {name: jnp.asarray(array) for name, array in data.parameters(case).items()}
    kind = equinox.nn.LSTMCell if case.cell == "lstm" else equinox.nn.GRUCell
    cell = equinox.tree_at(
        lambda cell: (cell.weight_ih, cell.weight_hh, cell.bias),
        kind(case.inputs, case.features, key=jax.random.key(0)),
        (ours["kernel"].T, ours["recurrent_kernel"].T, ours["bias"]),
    )
    if case.cell == "gru":
        n_bias = ours["recurrent_bias"][2 * case.features :]
        cell = equinox.tree_at(lambda cell: cell.bias_n, cell, n_bias)
    params, rest = equinox.partition(cell, equinox.is_array)

    def apply(params: Any, inputs: Array) -> Array:
        cell = equinox.combine(params, rest)
        zeros = jnp.zeros(case.features)
        start = (zeros, zeros) if case.cell == "lstm" else zeros

        def step(state: Array | tuple, x: Array) -> tuple[Array | tuple, Array]:
            state = cell(x, state)
            return state, state[0] if isinstance(state, tuple) else state

        return jax.vmap(lambda sequence: lax.scan(step, start, sequence)[1])(inputs)

    def to_ours(params: Any) -> jitted.Arrays:
        return {
            "kernel": np.asarray(params.weight_ih).T,
            "recurrent_kernel": np.asarray(params.weight_hh).T,
            "bias": np.asarray(params.bias),
        }

    return jitted.Network(params, apply, to_ours)


def cudnn_network(case: Layer) -> jitted.Network:
    """cuDNN's LSTM as `jax.experimental.rnn.lstm`, with all parameters in one flat array."""
    theirs = interop.lstm_to_torch({"layers_0": data.parameters(case)})
    # cuDNN's one array: weight_ih, weight_hh, bias_ih, bias_hh, flat.
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    params = jnp.asarray(np.concatenate([theirs[name].ravel() for name in names]))
    sizes = (case.inputs, case.features, 1, False)

    def apply(params: Array, inputs: Array) -> Array:
        start = jnp.zeros((1, inputs.shape[0], case.features))
        lengths = jnp.full((inputs.shape[0],), case.length, jnp.int32)
        return rnn.lstm(
            inputs, start, start, params, lengths,
            input_size=case.inputs, hidden_size=case.features, num_layers=1, dropout=0.0,
            bidirectional=False,
        )[0]  # fmt: skip

    def to_ours(params: Array) -> jitted.Arrays:
        kernel, recurrent_kernel, bias, _ = (
            np.asarray(part[0]) for part in rnn.unpack_lstm_weights(params, *sizes)
        )
        # Each of the two biases has the gradient of their sum.
        return {"kernel": kernel.T, "recurrent_kernel": recurrent_kernel.T, "bias": bias}

    return jitted.Network(params, apply, to_ours)


def _cudnn_on_a_gpu(case: Layer) -> jitted.Network:
    if jax.default_backend() != "gpu":
        raise Unavailable("cuDNN needs a GPU")
    return cudnn_network(case)


NETWORKS: dict[str, Callable[..., jitted.Network]] = {
    "linen": linen_network,
    "nnx": nnx_network,
    "haiku": haiku_network,
    "equinox": equinox_network,
    "cudnn": _cudnn_on_a_gpu,
}
