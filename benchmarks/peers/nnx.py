"""flax.nnx.RNN over a cell of its own."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from benchmarks import data, jitted
from benchmarks.workloads import Layer
from lstm_attn import interop


def _network(case: Layer, cell: str) -> jitted.Network:
    rnn = nnx.RNN(getattr(nnx, cell)(case.inputs, case.features, rngs=nnx.Rngs(0)))
    if case.cell == "lstm":
        theirs = interop.lstm_to_nnx(data.parameters(case), cell)  # type: ignore[arg-type]
    else:
        theirs = interop.gru_to_nnx(data.parameters(case))
    nnx.update(rnn.cell, jax.tree.map(jnp.asarray, theirs))
    # The cell keeps random streams, which plain jax.jit may not change: only parameters go in.
    graph, params, *others = nnx.split(rnn, nnx.Param, ...)

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


layer, training, _ = jitted.builders(_network)
