"""Our LSTM and GRU, by implementation."""

from typing import Any

import jax.numpy as jnp
from jax import Array

from benchmarks import data, jitted
from benchmarks.contenders import Ready
from benchmarks.workloads import Recurrent, Training
from lstm_attn import ops

# Parameters, and the function that takes them.
CELLS: dict[str, tuple[Any, Any]] = {
    "lstm": (ops.LSTMParams, ops.lstm),
    "gru": (ops.GRUParams, ops.gru),
}


def layer(case: Recurrent, implementation: str, devices: int) -> Ready:
    return jitted.layer(case, _network(case, implementation, None), devices)


def training(
    case: Training, implementation: str, devices: int, steps: int, segment: int | None = None
) -> Ready:
    """`segment` as of ops.lstm: how many steps are computed anew together, None for none."""
    network = _network(case, implementation, segment)
    return jitted.training_in_one_program(case, network, steps, devices)


def _network(
    case: Recurrent | Training, implementation: str, segment: int | None
) -> jitted.Network:
    kind, function = CELLS[case.cell]

    def apply(params: ops.LSTMParams | ops.GRUParams, inputs: Array) -> Array:
        return function(params, inputs, implementation=implementation, segment=segment)[0]

    params = kind(**{name: jnp.asarray(a) for name, a in data.parameters(case).items()})
    return jitted.Network(params, apply, lambda tree: tree._asdict())
