"""Every model with its batch split over devices: by the compiler, by type, by `jax.shard_map`."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import pytest

from lstm_attn import models, modules, tasks
from lstm_attn.models import MODELS, ModelConfig, Network
from tests import meshed, oracles, test_conformance

BATCH = 8
CONFIG = ModelConfig(features=8, num_heads=2, num_layers=2)
FAST = ("lstm-4-auto-apply", "transformer-4-explicit-apply", "lstm_attention-4-explicit-step")
# Errors of float32 sums over a batch, its steps and features, through the layers.
BOUND = 2 * oracles.rounding_bound("float32", BATCH * 4 + 16, magnitude=4, steps=8)
pytestmark = pytest.mark.usefixtures("compiled_quickly")


def arrays(tree):
    """The leaves with a batch: the length of a cache is one number for all rows."""
    return [leaf for leaf in jax.tree.leaves(tree) if leaf.ndim]


def functions(model, steps):
    """Functions of parameters and inputs, one for each door of a Model."""

    def begin(inputs):
        return model.initial_state(inputs.shape[0], steps)

    return {
        "apply": model.apply,
        "hidden": lambda params, inputs: model.hidden(params, inputs, {}),
        "observe": lambda params, inputs: arrays(model.observe(params, inputs)),
        "segment": lambda params, inputs: arrays(model.segment(params, begin(inputs), inputs)),
        "step": lambda params, inputs: arrays(model.step(params, begin(inputs), inputs[:, 0])),
    }


@functools.cache
def case_of(name, door):
    task = tasks.build("adding", 4)
    model = models.build(name, task, CONFIG)
    case = (
        functions(model, 9)[door],
        model.init(jax.random.key(0)),
        task.sample(jax.random.key(1), BATCH).inputs,
    )
    return case, meshed.alone(*case)


@pytest.mark.full_but(*FAST)
@pytest.mark.parametrize("door", ["apply", "hidden", "observe", "segment", "step"])
@pytest.mark.parametrize(("devices", "kind"), meshed.MESHES)
@pytest.mark.parametrize("name", MODELS)
def test_a_model_on_a_split_batch_is_the_model(name, devices, kind, door):
    """Oracle: one device without a mesh; the text of the compiled program. Catches a layer that
    merges the batch with another axis, and a state that is not split as the inputs are."""
    case, expected = case_of(name, door)
    # On Auto axes the gates, shown by a scan, are summed at each step.
    one_sum = None if (kind, door) == ("auto", "observe") else [("all-reduce", ())]
    meshed.check(case, expected, kind, devices, BOUND, one_sum)


@pytest.mark.parametrize("kind", ["explicit"])
def test_a_model_of_tokens_on_a_split_batch_is_the_model(kind):
    """Oracle: as above. Catches an embedding whose place JAX does not guess."""
    network = Network(modules.LSTM(3), output_features=7, embedding_features=5)
    ids = jax.random.randint(jax.random.key(0), (BATCH, 4), 0, 7, jnp.int32)
    params = network.init(jax.random.key(1), ids)["params"]
    case = (lambda params, ids: network.apply({"params": params}, ids)[1], params, ids)
    meshed.check(case, meshed.alone(*case), kind, 4, BOUND, [("all-reduce", ())])


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        (name, key, value)
        for key, value in test_conformance.OPTIONS
        for name in test_conformance.ACTS_IN.get(key, MODELS)
        if value != "bfloat16"  # its error is not that of float32
    ],
)
def test_each_choice_on_a_split_batch_is_the_choice(name, key, value):
    """Oracle: as above, with one key of the config changed. Catches a choice that merges the batch
    with another axis."""
    task = tasks.build("adding", 4)
    model = models.build(name, task, dataclasses.replace(CONFIG, **{key: value}))
    inputs = task.sample(jax.random.key(1), BATCH).inputs
    case = (model.apply, model.init(jax.random.key(0)), inputs)
    meshed.check(case, meshed.alone(*case), "explicit", 4, BOUND, [("all-reduce", ())])
