"""cuDNN's LSTM through jax.experimental.rnn, on a GPU."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.experimental import rnn

from benchmarks import data, jitted
from benchmarks.contenders import Unavailable
from benchmarks.workloads import Layer
from lstm_attn import interop


def _network_on_gpu(case: Layer) -> jitted.Network:
    if jax.default_backend() != "gpu":
        raise Unavailable("cuDNN needs a GPU")
    if case.cell == "gru":
        raise Unavailable("jax.experimental.rnn has no GRU")
    return network(case)


def network(case: Layer) -> jitted.Network:
    """The LSTM as `jax.experimental.rnn.lstm`, with all parameters in one flat array."""
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


layer, training, training_in_one_program = jitted.builders(_network_on_gpu)
