"""flax.linen.RNN over a cell of its own."""

import jax
import jax.numpy as jnp
from flax import linen
from jax import Array

from benchmarks import data, jitted
from benchmarks.workloads import Layer
from lstm_attn import interop


def _network(case: Layer, cell: str) -> jitted.Network:
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


layer, training, training_in_one_program = jitted.builders(_network)
