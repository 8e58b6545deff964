"""equinox.nn.LSTMCell and GRUCell, scanned and vmapped as Equinox's documentation does."""

import equinox
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from benchmarks import data, jitted
from benchmarks.workloads import Layer


def _network(case: Layer) -> jitted.Network:
    ours = {name: jnp.asarray(array) for name, array in data.parameters(case).items()}
    kind = equinox.nn.LSTMCell if case.cell == "lstm" else equinox.nn.GRUCell
    cell = kind(case.inputs, case.features, key=jax.random.key(0))
    cell = equinox.tree_at(
        lambda cell: (cell.weight_ih, cell.weight_hh, cell.bias),
        cell,
        (ours["kernel"].T, ours["recurrent_kernel"].T, ours["bias"]),
    )
    if case.cell == "gru":
        n_bias = ours["recurrent_bias"][2 * case.features :]
        cell = equinox.tree_at(lambda cell: cell.bias_n, cell, n_bias)
    params, rest = equinox.partition(cell, equinox.is_array)

    def apply(params: equinox.Module, inputs: Array) -> Array:
        cell = equinox.combine(params, rest)
        zeros = jnp.zeros(case.features)
        start = (zeros, zeros) if case.cell == "lstm" else zeros

        def step(state: Array | tuple, x: Array) -> tuple[Array | tuple, Array]:
            state = cell(x, state)
            return state, state[0] if isinstance(state, tuple) else state

        return jax.vmap(lambda sequence: lax.scan(step, start, sequence)[1])(inputs)

    def to_ours(params: equinox.Module) -> jitted.Arrays:
        return {
            "kernel": np.asarray(params.weight_ih).T,
            "recurrent_kernel": np.asarray(params.weight_hh).T,
            "bias": np.asarray(params.bias),
        }

    return jitted.Network(params, apply, to_ours)


layer, training, _ = jitted.builders(_network)
