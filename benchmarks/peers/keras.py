"""keras.layers.LSTM and GRU on JAX: the layer jitted without state, training by train_on_batch."""

import time

import keras
import numpy as np
from jax import Array

from benchmarks import data, jitted
from benchmarks.contenders import Ready, compile_seconds
from benchmarks.workloads import Layer, Recurrent, Training
from lstm_attn import interop


def layer(case: Recurrent) -> Ready:
    recurrent = _layer(case, return_sequences=True)
    recurrent.build((case.batch, case.length, case.inputs))
    _assign(case, recurrent)
    names = [weight.name for weight in recurrent.trainable_variables]
    others = [variable.value for variable in recurrent.non_trainable_variables]

    def apply(params: list[Array], inputs: Array) -> Array:
        return recurrent.stateless_call(params, others, inputs)[0]

    def to_ours(params: list[Array]) -> jitted.Arrays:
        convert = interop.lstm_from_keras if case.cell == "lstm" else interop.gru_from_keras
        return convert(dict(zip(names, params, strict=True)))

    params = [weight.value for weight in recurrent.trainable_variables]
    return jitted.layer(case, jitted.Network(params, apply, to_ours))


def training(case: Training, steps: int) -> Ready:
    recurrent, dense = _layer(case, return_sequences=False), keras.layers.Dense(1)
    model = keras.Sequential([keras.Input((case.length, case.inputs)), recurrent, dense])
    _assign(case, recurrent)
    readout = data.readout(case)
    dense.kernel.assign(readout["kernel"])
    dense.bias.assign(readout["bias"])
    # Keras adds epsilon before it corrects the moments, a factor of 14 to 32 in the first steps.
    adam = keras.optimizers.Adam(jitted.LEARNING_RATE, epsilon=1e-8 / 20)
    model.compile(adam, loss="mean_squared_error")
    batches = data.batches(case, steps)
    losses, seconds = [], []
    for batch in batches:
        model.reset_metrics()  # else the loss is the mean over all batches so far
        began = time.perf_counter()
        losses.append(model.train_on_batch(*batch))
        seconds.append(time.perf_counter() - began)

    def run() -> None:
        for batch in batches:
            model.train_on_batch(*batch)

    return Ready(run, data.comparable(case, np.array(losses)), steps, compile_seconds(seconds))


def _layer(case: Layer, return_sequences: bool) -> keras.layers.Layer:
    kind = keras.layers.LSTM if case.cell == "lstm" else keras.layers.GRU
    return kind(case.features, return_sequences=return_sequences)


def _assign(case: Layer, recurrent: keras.layers.Layer) -> None:
    convert = interop.lstm_to_keras if case.cell == "lstm" else interop.gru_to_keras
    theirs = convert(data.parameters(case))
    for weight in recurrent.weights:
        if weight.name in theirs:
            weight.assign(theirs[weight.name])
