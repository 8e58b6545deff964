"""haiku.dynamic_unroll over haiku.LSTM."""

import haiku
import jax.numpy as jnp
import numpy as np
from jax import Array

from benchmarks import data, jitted
from benchmarks.contenders import Unavailable
from benchmarks.workloads import Layer
from lstm_attn.interop.gates import reorder

LINEAR = "lstm/linear"


def _network(case: Layer) -> jitted.Network:
    if case.cell == "gru":
        raise Unavailable("haiku.GRU resets before the product, which is another function")

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
    params = {LINEAR: {"w": jnp.asarray(weights), "b": jnp.asarray(ours["bias"])}}

    def to_ours(params: dict) -> jitted.Arrays:
        weights = reorder(np.asarray(params[LINEAR]["w"]), "igfo", "ifgo")
        return {
            "kernel": weights[: case.inputs],
            "recurrent_kernel": weights[case.inputs :],
            "bias": reorder(np.asarray(params[LINEAR]["b"]), "igfo", "ifgo"),
        }

    return jitted.Network(params, unrolled.apply, to_ours)


layer, training, _ = jitted.builders(_network)
