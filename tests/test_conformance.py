"""What every model and every task must satisfy. A model added to MODELS, a task added to TASKS and a
choice added to a config's key are tested here without another line."""

import dataclasses
import functools
import json
import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import models, ops, tasks, training
from lstm_attn.errors import UsageError
from lstm_attn.model_config import CHOICES
from lstm_attn.models import MODELS, ModelConfig
from lstm_attn.runner import checked_config
from lstm_attn.runner.configs import CompareConfig, TaskConfig
from lstm_attn.tasks import TASKS
from lstm_attn.training import TrainingConfig, checkpoints
from tests import oracles

BATCH = 3
CONFIG = ModelConfig(features=8, num_heads=2, num_layers=2)
TRAINING = TrainingConfig(
    steps=2, evaluate_every=1, warmup_steps=0, batch_size=4, seeds=2, evaluation_sequences=4
)
# For each key whose values are not names, a value other than the default.
OTHER_VALUES = {
    "num_heads": 4,
    "num_layers": 1,
    "forget_bias": 3.0,
    "update_bias": 2.0,
    "chrono_steps": (2.0, 20.0),
    "reset_after": False,
    "segment": 3,
}
OPTIONS = [
    (key, value)
    for key, values in CHOICES.items()
    for value in values
    if value != getattr(CONFIG, key)
] + list(OTHER_VALUES.items())
# The models in which a key acts; one that is not here acts in all of them.
ACTS_IN = {
    "num_heads": ("transformer", "lstm_attention"),
    "num_layers": ("transformer",),
    "lstm_variant": ("lstm", "lstm_attention"),
    "forget_bias": ("lstm", "lstm_attention"),
    "update_bias": ("gru",),
    "chrono_steps": ("lstm", "gru", "lstm_attention"),
    "kernel_init": ("lstm", "gru", "lstm_attention"),
    "recurrent_kernel_init": ("lstm", "gru", "lstm_attention"),
    "reset_after": ("gru",),
    "positions": ("transformer",),
    "norm": ("transformer",),
    "feed_forward": ("transformer",),
    "attention_placement": ("lstm_attention",),
    "segment": ("lstm", "gru", "lstm_attention"),
}
# These change what a result costs and nothing else.
COSTS = ("segment",)
# These only set initial numbers, on which no test here depends.
INITIAL = ("kernel_init", "recurrent_kernel_init", "forget_bias", "update_bias", "chrono_steps")
# A model meets a task in the sizes of its inputs and outputs and in its loss alone: numbers and
# symbols will do for all models, and one model for the other tasks.
OF_ALL_MODELS = ("adding", "copy")
CASES = [(model, task) for task in OF_ALL_MODELS for model in MODELS]
OTHER_TASKS = [("lstm", task) for task in TASKS if task not in OF_ALL_MODELS]
# In `make test`: each of the two tasks, a carry and a cache.
FAST = (("lstm", "adding"), ("transformer", "copy"))


def each_of(cases):
    marked = [pytest.param(*case, marks=() if case in FAST else pytest.mark.full) for case in cases]
    return pytest.mark.parametrize(("name", "task_name"), marked)


each_case = each_of(CASES)
each_task_too = each_of(CASES + OTHER_TASKS)


pytestmark = pytest.mark.usefixtures("compiled_quickly")


class Case:
    """A model on a task with parameters drawn away from initial zeros, a batch, and its outputs."""

    def __init__(self, name, task_name, config):
        self.task = tasks.build(task_name, 4)
        self.model = models.build(name, self.task, config)
        first = jax.jit(self.model.init)(jax.random.key(0))
        leaves, tree = jax.tree.flatten(first)
        keys = jax.random.split(jax.random.key(1), len(leaves))
        noise = [0.2 * jax.random.normal(k, p.shape) for k, p in zip(keys, leaves, strict=True)]
        self.first, self.params = (
            first,
            jax.tree.map(jnp.add, first, jax.tree.unflatten(tree, noise)),
        )
        self.batch = self.task.sample(jax.random.key(2), BATCH)
        self.outputs = np.asarray(jax.jit(self.model.apply)(self.params, self.batch.inputs))
        self.steps = self.task.sequence_length

    def loss(self, params):
        return self.task.loss(self.model.apply(params, self.batch.inputs), self.batch)


@functools.cache
def case_of(name, task_name, config=CONFIG):
    return Case(name, task_name, config)


@each_task_too
def test_outputs_have_the_tasks_shape_and_are_finite(name, task_name):
    """Oracle: the task's sizes, and its loss. Catches outputs of the wrong width, and NaN."""
    case = case_of(name, task_name)
    assert case.outputs.shape == (BATCH, case.steps, case.task.output_features)
    assert case.outputs.dtype == np.float32
    assert np.isfinite(case.outputs).all()
    assert np.isfinite(case.loss(case.params))


def reach(case):
    """How much the output of each step depends on the input of each, [step, step], by gradient."""

    def summed(inputs):
        return jnp.abs(case.model.apply(case.params, inputs)).sum(axis=(0, 2))

    jacobian = jax.jit(jax.jacrev(summed))(case.batch.inputs)
    return np.abs(np.asarray(jacobian)).sum(axis=(1, 3))


def check_causal(case):
    dependence = reach(case)
    assert np.isfinite(dependence).all()
    assert np.all(np.triu(dependence, 1) == 0), "an output sees a later input"
    assert np.all(dependence[np.tril_indices(case.steps)] > 0), "an output misses an earlier input"


@each_case
def test_no_output_sees_a_later_input_and_each_sees_all_earlier_ones(name, task_name):
    """Oracle: the gradient, exactly zero above the diagonal of time. A model that can go step by
    step claims to be causal, and every model can."""
    check_causal(case_of(name, task_name))


@each_case
def test_the_order_of_the_batch_does_not_matter(name, task_name):
    """Oracle: each sequence alone. Catches statistics over the batch, and axes exchanged."""
    case = case_of(name, task_name)
    order = np.array([2, 0, 1])
    exchanged = jax.jit(case.model.apply)(case.params, case.batch.inputs[order])
    np.testing.assert_allclose(exchanged, case.outputs[order], atol=oracles.MODEL)
    alone = jax.jit(case.model.apply)(case.params, case.batch.inputs[1:2])
    np.testing.assert_allclose(alone, case.outputs[1:2], atol=oracles.MODEL)


@each_case
def test_jit_equals_no_jit(name, task_name):
    """Oracle: the same functions run operation by operation. Catches Python that looks at values."""
    case = case_of(name, task_name)
    eager = case.model.apply(case.params, case.batch.inputs)
    np.testing.assert_allclose(eager, case.outputs, atol=oracles.MODEL)


@each_case
def test_vmap_over_trials_equals_a_loop(name, task_name):
    """Oracle: one trial after another. Catches a parameter shared between trials."""
    case = case_of(name, task_name)
    keys = jax.random.split(jax.random.key(3), 2)
    stacked = jax.jit(jax.vmap(case.model.init))(keys)
    outputs = jax.jit(jax.vmap(case.model.apply, in_axes=(0, None)))(stacked, case.batch.inputs)
    init, apply = jax.jit(case.model.init), jax.jit(case.model.apply)
    for trial, key in enumerate(keys):
        params = init(key)
        for mine, other in zip(jax.tree.leaves(params), jax.tree.leaves(stacked), strict=True):
            np.testing.assert_allclose(mine, other[trial], atol=oracles.LAYER)
        np.testing.assert_allclose(
            apply(params, case.batch.inputs), outputs[trial], atol=oracles.MODEL
        )


def run_steps(case):
    """Outputs of the step form, one step after another, and how often it was traced."""
    traces = []

    @jax.jit
    def step(params, state, x):
        traces.append(x.shape)
        return case.model.step(params, state, x)

    state, outputs = case.model.initial_state(BATCH, case.steps), []
    for t in range(case.steps):
        state, output = step(case.params, state, case.batch.inputs[:, t])
        outputs.append(np.asarray(output))
    return np.stack(outputs, axis=1), len(traces)


@each_case
def test_one_step_at_a_time_equals_all_at_once_with_one_compilation(name, task_name):
    """Oracle: the parallel form. Catches a position that lags, a carry of another dtype (which
    would compile twice), and a state that does not know its own length."""
    case = case_of(name, task_name)
    outputs, traces = run_steps(case)
    np.testing.assert_allclose(outputs, case.outputs, atol=oracles.MODEL)
    assert traces == 1


@each_case
def test_segments_of_any_length_equal_all_at_once(name, task_name):
    """Oracle: the parallel form. Catches a state that only works for single steps."""
    case = case_of(name, task_name)
    middle = case.steps // 3
    state, outputs = case.model.initial_state(BATCH, case.steps + 5), []
    for part in (slice(0, middle), slice(middle, case.steps)):
        state, output = case.model.segment(case.params, state, case.batch.inputs[:, part])
        outputs.append(output)
    np.testing.assert_allclose(jnp.concatenate(outputs, axis=1), case.outputs, atol=oracles.MODEL)


@each_case
def test_past_its_room_a_state_is_an_error_or_has_no_end(name, task_name):
    """Oracle: apply on the longer sequence, for a model whose state has no end. Catches a cache
    that overwrites its last entry: it must give one line if the length is known, NaN under jit."""
    case = case_of(name, task_name)
    longer = jnp.concatenate([case.batch.inputs, case.batch.inputs[:, :1]], axis=1)
    state = case.model.initial_state(BATCH, case.steps)
    state, _ = case.model.segment(case.params, state, case.batch.inputs)
    one_step = functools.partial(case.model.step, case.params, state, longer[:, -1])
    if has_room_for_one_more(state):
        expected = case.model.apply(case.params, longer)[:, -1]
        np.testing.assert_allclose(one_step()[1], expected, atol=oracles.MODEL)
        return
    room = rf"expected at most {case.steps} steps, got {case.steps} \+ 1"
    with pytest.raises(UsageError, match=room):
        one_step()
    _, output = jax.jit(case.model.step)(case.params, state, longer[:, -1])
    assert np.isnan(output).all()


def has_room_for_one_more(state):
    """Whether the state is without a cache, which would be full here."""
    return not any(
        isinstance(part, ops.KeyValueCache)
        for part in jax.tree.leaves(state, is_leaf=lambda part: isinstance(part, ops.KeyValueCache))
    )


@each_task_too
def test_every_parameter_has_a_gradient(name, task_name):
    """Catches a parameter that no output uses, and a gradient that is stopped on the way."""
    case = case_of(name, task_name)
    gradients = jax.jit(jax.grad(case.loss))(case.params)
    for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.isfinite(gradient).all(), path
        # The bias of the keys adds one number to all logits of a query, which softmax ignores.
        if "key" not in jax.tree_util.keystr(path) or path[-1].key != "bias":
            assert np.abs(gradient).max() > 1e-9, path


@pytest.mark.full_but("lstm-adding")
@each_case
def test_a_cell_is_compiled_once_and_its_checkpoint_gives_the_same_bits(
    name, task_name, tmp_path, caplog
):
    """Oracle: JAX's own log of compilations; the states that were saved. Catches a second compile
    for the second chunk, a leaf missing in the file, and two leaves of one name."""
    case = case_of(name, task_name)
    program = training.make_program(case.model, case.task, TRAINING)
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        states = program.start()
        for _ in range(2):
            states, metrics = program.advance(states)
    messages = [record.getMessage() for record in caplog.records]
    compiled = [m for m in messages if "Finished XLA compilation of jit(advance)" in m]
    assert len(compiled) == 1
    assert np.isfinite(metrics["loss"]).all()
    checkpoints.save(tmp_path / "cell.safetensors", states)
    restored = checkpoints.restore(tmp_path / "cell.safetensors", program)
    jax.tree.map(np.testing.assert_array_equal, restored, states)
    params = jax.tree.map(lambda leaf: leaf[0], restored.params)
    assert jax.tree.structure(params) == jax.tree.structure(case.params)
    assert np.isfinite(case.model.apply(params, case.batch.inputs)).all()


@pytest.mark.full_but("lstm")
@each_case
def test_a_config_through_json_gives_the_same_parameters(name, task_name):
    """Oracle: the model of the config that was written. Catches a key that JSON loses, a tuple that
    comes back as a list, and a number that comes back as another type."""
    task = case_of(name, task_name).task
    config = dataclasses.replace(CONFIG, **OTHER_VALUES)
    whole = CompareConfig((name,), TaskConfig((task_name,), (4,)), config, TRAINING)
    text = json.dumps(dataclasses.asdict(whole))
    read = checked_config.checked(CompareConfig, json.loads(text))
    assert read == whole
    written, again = (
        jax.jit(models.build(name, task, c).init)(jax.random.key(0)) for c in (config, read.model)
    )
    jax.tree.map(np.testing.assert_array_equal, again, written)


def test_every_key_of_a_config_has_another_value_here():
    """Catches a key that no test changes. Of these, features is tested in tests/test_models.py."""
    keys = {field.name for field in dataclasses.fields(ModelConfig)}
    assert {key for key, _ in OPTIONS} | {"features", "dropout"} == keys


@pytest.mark.full_but("transformer-over_states", "lstm_attention-alternating")
@pytest.mark.parametrize("placement", ["over_states", "alternating"])
@pytest.mark.parametrize("name", MODELS)
def test_dropout_acts_where_there_is_a_block_to_act_in(name, placement):
    """Oracle: apply without it. Catches a rate that does not reach a model's blocks."""
    config = dataclasses.replace(CONFIG, dropout=0.5, attention_placement=placement)
    case = case_of(name, "copy", config)
    drops = name == "transformer" or (name, placement) == ("lstm_attention", "alternating")
    assert (case.model.apply_with_dropout is not None) is drops
    if drops:
        draws = [
            case.model.apply_with_dropout(case.params, case.batch.inputs, jax.random.key(n))
            for n in (0, 1)
        ]
        assert not np.allclose(draws[0], case.outputs)
        assert not np.allclose(draws[0], draws[1])


@pytest.mark.full_but(
    "transformer-positions-alibi",
)
@pytest.mark.parametrize(
    ("name", "key", "value"),
    [(name, key, value) for key, value in OPTIONS for name in ACTS_IN.get(key, MODELS)],
)
def test_each_choice_acts_and_keeps_what_a_model_owes(name, key, value):
    """Oracle: the default's output for an effect; gradient and parallel form for the rest. Catches
    a key without effect, a choice that leaks the future, and one that its step form ignores."""
    usual, case = (
        case_of(name, "copy", config)
        for config in (CONFIG, dataclasses.replace(CONFIG, **{key: value}))
    )
    same_outputs = np.array_equal(case.outputs, usual.outputs)
    leaves = (jax.tree.leaves(c.first) for c in (usual, case))
    same_start = jax.tree.structure(case.first) == jax.tree.structure(usual.first) and all(
        np.array_equal(a, b) for a, b in zip(*leaves, strict=True)
    )
    if key in COSTS:
        np.testing.assert_allclose(case.outputs, usual.outputs, atol=oracles.LAYER)
    else:
        assert not (same_outputs and same_start), "the key does nothing"
    if key in INITIAL:
        return
    tolerance = 0.1 if value == "bfloat16" else 2e-5
    if value != "bfloat16":  # rounded, a small dependence may be none
        check_causal(case)
    outputs, traces = run_steps(case)
    np.testing.assert_allclose(outputs, case.outputs, atol=tolerance)
    assert traces == 1
