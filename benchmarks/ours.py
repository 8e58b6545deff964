"""Our LSTM, GRU and attention, by implementation."""

from functools import partial
from typing import Any

import jax.numpy as jnp
from jax import Array

from benchmarks import data, jitted
from benchmarks.contenders import Ready
from benchmarks.workloads import Attention, Layer
from lstm_attn import ops

# Parameters, and the function that takes them.
CELLS: dict[str, tuple[Any, Any]] = {
    "lstm": (ops.LSTMParams, ops.lstm),
    "gru": (ops.GRUParams, ops.gru),
}


def _network(case: Layer, implementation: str, segment: int | None = None) -> jitted.Network:
    """`segment` as of ops.lstm: how many steps are recomputed together, None for none."""
    kind, function = CELLS[case.cell]

    def apply(params: ops.LSTMParams | ops.GRUParams, inputs: Array) -> Array:
        return function(params, inputs, implementation=implementation, segment=segment)[0]

    params = kind(**{name: jnp.asarray(a) for name, a in data.parameters(case).items()})
    return jitted.Network(params, apply, lambda tree: tree._asdict())


layer, _, training = jitted.builders(_network)


def attention(case: Attention, implementation: str) -> Ready:
    attend = partial(ops.dot_product_attention, implementation=implementation)
    return jitted.attention(case, attend)
