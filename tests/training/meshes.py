"""A cell on a mesh of a given shape; as a program, on eight devices, which the tests do not have.

python -m tests.training.meshes CASE ...

prints what `measured` gives for each case, one line of JSON.
"""

import dataclasses
import json
import sys
import unittest.mock

import jax
import jax.numpy as jnp

from lstm_attn import ops
from lstm_attn.models import Model
from lstm_attn.tasks import Batch, Task
from lstm_attn.training import Layout, TrainingConfig, make_program, program, run
from tests.training import hlo

TIME, STEPS, BATCHES, TRIALS = 7, 6, 3, 8
CONFIG = TrainingConfig(
    steps=2 * STEPS,
    batch_size=16,
    seeds=TRIALS // 2,
    learning_rates=(1e-3, 1e-2),
    warmup_steps=2,
    # Some gradients have a larger norm, others a smaller one.
    clip_norm=0.5,
    weight_decay=0.1,
    evaluate_every=STEPS,
    evaluation_sequences=200 * BATCHES,
    trials_on_device="map",
)


class Sums(Task):
    """The sum of a sequence of normal numbers: a task that compiles in no time."""

    length = TIME
    baseline = 2 * TIME

    def sample(self, key, batch_size):
        inputs = jax.random.normal(key, (batch_size, TIME, 2))
        return Batch(inputs, inputs.sum(axis=(1, 2)), jnp.ones(batch_size, bool))

    def loss(self, outputs, batch):
        return jnp.mean(jnp.square(outputs - batch.targets))

    def metrics(self, outputs, batch):
        return {"loss": self.loss(outputs, batch), "error": jnp.abs(outputs - batch.targets).mean()}


def lstm():
    """An LSTM of four features: some sizes can be split by two and four devices, some can't."""

    def init(key):
        kernel, recurrent_kernel = (
            jax.random.normal(k, (rows, 16)) / 2
            for k, rows in zip(jax.random.split(key), (2, 4), strict=True)
        )
        return {
            "lstm": ops.LSTMParams(kernel, recurrent_kernel, jnp.zeros(16)),
            "readout": jnp.ones(4),
            "scale": jnp.ones(()),
        }

    def apply(params, inputs):
        outputs, _ = ops.lstm(params["lstm"], inputs)
        return params["scale"] * outputs[:, -1] @ params["readout"]

    return Model(init, apply)


def program_on(trial_shards, batch_shards, **settings):
    """The program of the cell on that many devices."""
    config = dataclasses.replace(CONFIG, **settings)
    mesh = jax.make_mesh(
        (trial_shards, batch_shards),
        ("trial", "batch"),
        axis_types=(jax.sharding.AxisType.Auto,) * 2,
        devices=jax.devices()[: trial_shards * batch_shards],
    )
    laid_out = Layout(mesh, config.trials_on_device, config.trials)
    with unittest.mock.patch.object(program, "choose_layout", return_value=laid_out):
        return make_program(lstm(), Sums(), config), config


def measured(trial_shards, batch_shards, **settings):
    """Losses [2, E, R] in training and evaluation, and the collectives of the program."""
    on_mesh, config = program_on(trial_shards, batch_shards, **settings)
    on_mesh = on_mesh.compiled()
    evaluations = [evaluation for evaluation, _ in run(on_mesh, Sums(), config)]
    losses = [[e.metrics[name].tolist() for e in evaluations] for name in ("train_loss", "loss")]
    return {"losses": losses, "collectives": hlo.collectives(on_mesh.advance.as_text())}


if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", 8)
    for case in sys.argv[1:]:
        trial_shards, batch_shards, settings = json.loads(case)
        print(json.dumps(measured(trial_shards, batch_shards, **settings)), flush=True)
