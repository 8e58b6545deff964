"""Our LSTM and GRU, by implementation."""

from typing import Any

import jax.numpy as jnp
from jax import Array

from benchmarks import data, jitted
from benchmarks.contenders import Ready
from benchmarks.workloads import Recurrent, Training
from lstm_attn import ops

PARAMETERS = {"lstm": ops.LSTMParams, "gru": ops.GRUParams}


def layer(case: Recurrent, implementation: str, devices: int) -> Ready:
    return jitted.layer(case, _network(case, implementation), devices)


def training(case: Training, implementation: str, devices: int, steps: int) -> Ready:
    network = _network(case, implementation)
    return jitted.training_in_one_program(case, network, steps, devices)


def _network(case: Recurrent | Training, implementation: str) -> jitted.Network:
    kind: Any = PARAMETERS[case.cell]

    def apply(params: ops.LSTMParams | ops.GRUParams, inputs: Array) -> Array:
        return run(params, inputs, implementation)

    params = kind(**{name: jnp.asarray(a) for name, a in data.parameters(case).items()})
    return jitted.Network(params, apply, lambda tree: tree._asdict())


def run(params: ops.LSTMParams | ops.GRUParams, inputs: Array, implementation: str) -> Array:
    """Outputs [B, T, H]."""
    function: Any = ops.lstm if isinstance(params, ops.LSTMParams) else ops.gru
    try:
        return function(params, inputs, implementation=implementation)[0]
    except TypeError:  # FALLBACK until ops has the keyword
        return function(params, inputs)[0]
