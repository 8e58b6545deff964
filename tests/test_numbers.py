"""Numbers of numpy are numbers, wherever a user gives one; a bool is none.

The oracle is the same call with Python's own numbers.
"""

import dataclasses
import importlib
import inspect
import json
import pkgutil
import re
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen

import lstm_attn
from lstm_attn import analysis, generation, interop, models, modules, ops, tasks, text, training
from lstm_attn.errors import UsageError, check_whole
from lstm_attn.model_config import ModelConfig
from lstm_attn.plain_numbers import WHOLE, number_fields, plain
from lstm_attn.runner import checked_config
from lstm_attn.runner.configs import RATES, CompareConfig
from lstm_attn.tasks import Task
from tests import recurrence_cases
from tests.ops import test_gru, test_lstm
from tests.study_fixtures import study_of

KEY = jax.random.key(0)
# By their names: a whole number and another number, of numpy and of others.
WHOLE_KINDS = {"int32": np.int32, "int64": np.int64, "uint8": np.uint8, "jax": jnp.int32}
REAL_KINDS = {"float32": np.float32, "float64": np.float64, "fraction": Fraction, "int": int}


# Settings: every dataclass of the package with fields of numbers that a user writes.


def settings_of_the_package():
    """Name -> an instance with its defaults, or of the shortest task."""
    found = {}
    for module in pkgutil.walk_packages(lstm_attn.__path__, "lstm_attn."):
        if module.name.endswith(("__main__", "ray_tasks", "slurm_jobs")):
            continue
        for name, kind in vars(importlib.import_module(module.name)).items():
            is_here = inspect.isclass(kind) and kind.__module__ == module.name
            if not is_here or not dataclasses.is_dataclass(kind) or inspect.isabstract(kind):
                continue
            if issubclass(kind, Task):
                continue
            fields = [one for one in dataclasses.fields(kind) if one.default is dataclasses.MISSING]
            if not fields and number_fields(kind) and "flax" not in str(kind.__mro__):
                found[f"{module.name}.{name}"] = kind()
    return found


SETTINGS = settings_of_the_package()
OWN = [(name, field) for name, settings in SETTINGS.items() for field in number_fields(settings)]
# Of fields that are None or empty by default.
SAMPLES = {"warmup_steps": 8, "evaluate_every": 50, "chrono_steps": (2.0, 8.0)}


def test_the_settings_are_those_that_there_are():
    """Catches a search that finds nothing."""
    names = {name.rpartition(".")[2] for name in SETTINGS}
    assert names >= {
        "ModelConfig", "TrainingConfig", "TuningConfig", "TaskConfig", "MemoryConfig",
        "DataConfig", "MeasuredOn", "SearchedTask", "TrainedOn", "Sampling", "Options",
        "GradientReachConfig", "LanguageModelConfig", "OneTaskConfig",
    }  # fmt: skip
    assert len(OWN) > 45


@pytest.mark.parametrize(("name", "field"), OWN, ids=lambda one: one.rpartition(".")[2])
def test_a_setting_takes_numbers_of_numpy(name, field):
    """Catches a number that is refused, one that JSON can't hold, and settings that differ from the
    same ones. In the same field a bool is refused, Python's or numpy's."""
    settings = SETTINGS[name]
    value = getattr(settings, field) or SAMPLES.get(field, getattr(settings, field))
    expected = dataclasses.replace(settings, **{field: value})
    is_whole = number_fields(settings)[field] in WHOLE
    for kind in (WHOLE_KINDS if is_whole else REAL_KINDS).values():
        if kind is int and any(one != int(one) for one in np.atleast_1d(value)):
            continue
        if kind is np.uint8 and np.max(value) > 255:
            continue
        given = tuple(map(kind, value)) if isinstance(value, tuple) else kind(value)
        got = getattr(dataclasses.replace(settings, **{field: given}), field)
        rounded = np.float32(value).tolist() if kind is np.float32 else value
        assert got == (tuple(rounded) if isinstance(value, tuple) else rounded)
        for one in got if isinstance(got, tuple) else (got,):
            assert type(one) in ((int,) if is_whole else (int, float))
        if kind is not np.float32:
            assert json.dumps(got) == json.dumps(getattr(expected, field)) or kind is int
            assert hash(dataclasses.replace(settings, **{field: given})) == hash(expected)
    if isinstance(value, tuple):
        assert getattr(dataclasses.replace(settings, **{field: np.array(value)}), field) == value
    for flag in (True, np.True_, "3", *([np.float32(2.5), 2.0] if is_whole else [])):
        wrong = (flag, flag) if isinstance(value, tuple) else flag
        with pytest.raises(UsageError, match=field) as caught:
            dataclasses.replace(settings, **{field: wrong})
        assert "\n" not in str(caught.value)


TASKS = {
    **{name: lambda length, name=name: tasks.build(name, length) for name in tasks.TASKS},
    "a range": lambda length: tasks.build("adding", length, shortest=plain(length) // 2),
    "from its shortest": lambda shortest: tasks.build("adding", 30, shortest=shortest),
}  # fmt: skip


@pytest.mark.parametrize("make", TASKS.values(), ids=TASKS)
@pytest.mark.parametrize("kind", WHOLE_KINDS.values(), ids=WHOLE_KINDS)
def test_a_task_takes_a_length_of_numpy(make, kind):
    """Catches a length that is refused, or kept as numpy's."""
    task = make(kind(12))
    assert task == make(12)
    assert {type(task.length), type(task.shortest), type(task.sequence_length)} == {int}
    with pytest.raises(UsageError):
        make(np.True_)


def test_a_config_takes_numbers_of_numpy():
    """Through `checked`, which reads configs of files, flags and functions. Catches dacite's types,
    which know Python's numbers alone."""
    tree = dataclasses.asdict(CompareConfig())
    expected = checked_config.checked(CompareConfig, tree)
    tree["task"]["lengths"] = (np.int64(10), np.int32(50))
    tree["model"]["features"] = np.int64(30)
    tree["model"]["forget_bias"] = np.float32(1)
    tree["training"]["learning_rates"] = tuple(map(np.float64, expected.training.learning_rates))
    tree["training"]["steps"] = jnp.int32(2000)
    assert checked_config.checked(CompareConfig, tree) == expected
    fields = {"task.lengths": (np.int64(10), jnp.int32(50))}
    asked = {"features": np.int64(30), "learning_rates": np.array(RATES), "steps": np.int32(2000)}
    assert study_of("compare").configure(fields, asked) == expected
    for value, key in ((np.True_, "features"), (np.float64(30), "features"), (True, "dropout")):
        wrong = {**tree, "model": {**tree["model"], key: value}}
        with pytest.raises(UsageError, match=rf"config: model.{key}: expected a"):
            checked_config.checked(CompareConfig, wrong)


def test_one_number_or_an_array_of_them_are_rates():
    """By hand. Catches np.geomspace's rates, which are refused, and one rate that is no tuple."""
    for given in (np.float64(0.5), Fraction(1, 2), 0.5, [0.5], np.array([0.5])):
        assert training.TrainingConfig(learning_rates=given).learning_rates == (0.5,)


@pytest.mark.parametrize(
    "value", [True, np.True_, 2.0, np.float32(2), "2", None, [2], np.array([2])]
)
def test_what_is_no_whole_number_is_refused(value):
    """By hand. Catches a bool that counts as 1, and a text."""
    with pytest.raises(UsageError, match="n: expected a whole number"):
        check_whole("n", value)


# Functions and layers: every public one with a number among its arguments.

LSTM = jax.tree.map(jnp.asarray, test_lstm.random_case(0, 2, 6, 3, 4, np.float32))
GRU = jax.tree.map(jnp.asarray, test_gru.random_case(0, 2, 6, 3, 4, np.float32))
HEADS = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 2, 4)), jnp.float32)
X = jnp.ones((2, 6, 8))
HEADS_OF_MEMORY = dict.fromkeys(("query", "key", "value"), HEADS)
MEMORY = HEADS_OF_MEMORY | {"beta": HEADS[..., 0]}
STEPS = jnp.arange(6)
ENDS = np.array([[3.0, 5.0, np.inf], [2.0, 9.0, 4.0]])
FIT = analysis.fit_horizon(
    np.repeat([8, 16], 4),
    np.array([1, 1, 1, 0, 0, 0, 1, 0]) > 0,
    np.tile(range(4), 2),
    resamples=20,
)


def layer(make, *others):
    """Shapes and dtypes of a layer's parameters and outputs; where a number is wrong they differ,
    or the strict promotion of the tests refuses it."""
    return lambda n, r: jax.eval_shape(make(n, r).init_with_output, KEY, X, *others)


def shaped(call):
    """Shapes and dtypes where 64 bits are allowed, so that a number of 64 widens what it meets."""

    def shapes(n, r):
        with jax.enable_x64(True):
            return jax.eval_shape(lambda: call(n, r))

    return shapes


def initial(make):
    return lambda n, r: make(n, r)(KEY, (48,), jnp.float32)


# Name -> the call, of n and r: what makes a whole number and another number of Python's.
CALLS = {
    "ops.alibi_bias": lambda n, r: ops.alibi_bias(n(4), STEPS, STEPS),
    "ops.delta_rule": shaped(lambda n, r: recurrence_cases.called("delta", n(3), MEMORY)),
    "ops.dot_product_attention": shaped(lambda n, r: [ops.dot_product_attention(HEADS, HEADS, HEADS, scale=r(0.5), local_window_size=window, implementation=how) for window in (n(2), (n(2), n(0))) for how in ("dense", "chunked")]),
    "ops.dot_product_weights": shaped(lambda n, r: ops.dot_product_weights(HEADS, HEADS, scale=r(0.5), local_window_size=n(1))),
    "ops.empty_cache": lambda n, r: ops.empty_cache(n(2), n(3), n(4), n(5), jnp.float32),
    "ops.empty_pooling_state": lambda n, r: ops.empty_pooling_state(X, n(3)),
    "ops.gated_linear_attention": shaped(lambda n, r: recurrence_cases.called("attention undecayed", n(3), HEADS_OF_MEMORY)),
    "ops.gru": shaped(lambda n, r: ops.gru(GRU[0], GRU[1], segment=n(4))),
    "ops.linear_recurrence": shaped(lambda n, r: recurrence_cases.called("real", n(3), {"decay": X, "inputs": X})),
    "ops.lstm": shaped(lambda n, r: ops.lstm(LSTM[0], LSTM[1], segment=n(4), implementation="scan")),
    "ops.sinusoidal_positions": lambda n, r: ops.sinusoidal_positions(STEPS, n(8), jnp.float32),
    "modules.GRU": layer(lambda n, r: modules.GRU(n(4), segment=n(4))),
    "modules.LSTM": layer(lambda n, r: modules.LSTM(n(4), segment=n(4))),
    "modules.PeepholeLSTM": layer(lambda n, r: modules.PeepholeLSTM(n(4), segment=n(4))),
    "modules.CoupledLSTM": layer(lambda n, r: modules.CoupledLSTM(n(4), segment=n(4))),
    "modules.LayerNormLSTM": layer(lambda n, r: modules.LayerNormLSTM(n(4), segment=n(4))),
    "modules.AdditiveAttention": lambda n, r: jax.eval_shape(modules.AdditiveAttention(n(4)).init_with_output, KEY, X, X, X),
    "modules.AttentionPooling": layer(lambda n, r: modules.AttentionPooling(n(4))),
    "modules.LSTMAttention": layer(lambda n, r: modules.LSTMAttention(n(4), num_heads=n(2))),
    "modules.LSTMAttentionBlocks": layer(lambda n, r: modules.LSTMAttentionBlocks(n(8), num_heads=n(2), num_layers=n(2), dropout=r(0.5))),
    "modules.MultiHeadAttention": layer(lambda n, r: modules.MultiHeadAttention(n(2), qkv_features=n(4), out_features=n(5))),
    "modules.Transformer": layer(lambda n, r: modules.Transformer(n(8), num_heads=n(2), num_layers=n(2), dropout=r(0.5))),
    "modules.TransformerBlock": layer(lambda n, r: modules.TransformerBlock(n(2), n(16), dropout=r(0.5))),
    "modules.LSTMCell": layer(lambda n, r: linen.RNN(modules.LSTMCell(n(4)))),
    "modules.GRUCell": layer(lambda n, r: linen.RNN(modules.GRUCell(n(4)))),
    "modules.chrono_coupled": initial(lambda n, r: modules.chrono_coupled(r(2), r(8))),
    "modules.chrono_gru": initial(lambda n, r: modules.chrono_gru(r(2), r(8))),
    "modules.chrono_lstm": initial(lambda n, r: modules.chrono_lstm(r(2), r(8))),
    "modules.every_gate": initial(lambda n, r: modules.every_gate(n(4), jax.nn.initializers.ones)),
    "training.lay_out": lambda n, r: str(training.lay_out(n(4), n(2))),
    "training.quickly_compiled": lambda n, r: training.quickly_compiled(n(1)),
    "analysis.bounded_mean_interval": lambda n, r: analysis.bounded_mean_interval(np.array([0.25, 0.5]), r(0), r(1), draws=n(50)),
    "analysis.fit_horizon": lambda n, r: analysis.fit_horizon(np.repeat([8, 16], 4), np.array([1, 1, 1, 0, 0, 0, 1, 0]) > 0, np.tile(range(4), 2), ridge=r(0.5), resamples=n(20)),
    "analysis.hierarchical_bootstrap": lambda n, r: analysis.hierarchical_bootstrap(ENDS[:, :2], resamples=n(50)),
    "analysis.independent_rate_test": lambda n, r: analysis.independent_rate_test((n(5), n(3)), (n(8), n(8))),
    "analysis.learning_rate_window": lambda n, r: analysis.learning_rate_window(np.array([0.1, 0.2, 0.4]), np.array([0.5, 0.1, 0.3]), factor=r(2)),
    "analysis.log_rank": lambda n, r: analysis.log_rank(ENDS[0], ENDS[1], r(8)),
    "analysis.next_lengths": lambda n, r: analysis.next_lengths(FIT, n(4), n(64)),
    "analysis.rate_interval": lambda n, r: analysis.rate_interval(n(3), n(8)),
    "analysis.reach": lambda n, r: analysis.reach(np.array([[[1.0, 0.5, 0.1], [1.0, 0.2, 0.0]]]), r(0.5)),
    "analysis.restricted_mean": lambda n, r: analysis.restricted_mean(ENDS[0], r(8)),
    "analysis.survival_curve": lambda n, r: analysis.survival_curve(ENDS[0], r(8)),
    "analysis.verdict": lambda n, r: analysis.verdict("a", "b", "x", analysis.PairedTest(n(5), n(0), n(5), r(0.0625)), r(0.0625)),
    "tasks.Mqar": lambda n, r: tasks.Mqar(n(24), pairs=n(3), vocabulary=n(16)).sample(KEY, 2).targets,
    "text.token_counts": lambda n, r: text.token_counts(np.array([0, 1, 1]), n(3), n(2)),
}  # fmt: skip
# Those that are called elsewhere, take numbers of arrays or records, or run for long.
ELSEWHERE = {
    "modules.Recurrent": "abstract; LSTM and GRU are two of it",
    "modules.continue_positions": "tests/modules/test_positions.py",
    **{f"tasks.{kind.__name__}": "above" for kind in tasks.TASKS.values() if kind is not tasks.Mqar}, "tasks.OverRange": "above", "tasks.build": "above",
    "tasks.adding": "above", "tasks.copy": "above", "tasks.over_range": "above", "tasks.TextPrediction": "LONGER",
    "training.TrainingConfig": "above", "training.Layout": "what lay_out returns",
    "training.run": "began: a clock", "training.step_seconds": "of a benchmark",
    "training.Program": "what make_program returns", "training.train_over_segments": "LONGER",
    "generation.Sampling": "above", "generation.Generator": "what make_generator returns",
    "generation.make_generator": "LONGER", "generation.generate": "LONGER",
    "analysis.BudgetFit": "a result", "analysis.Difference": "a result", "analysis.HorizonFit": "a result",
    "analysis.IndependentTest": "a result", "analysis.Interval": "a result", "analysis.LengthGeneralisation": "a result", "analysis.Median": "a result",
    "analysis.PairedTest": "a result", "analysis.Window": "a result",
    "analysis.compare_records": "of records", "analysis.exact_tests": "of records", "analysis.fit_against_budget": "of arrays",
    "analysis.holm": "of arrays", "analysis.median_steps": "of arrays", "analysis.rate_difference": "of arrays",
    "analysis.summarise": "of a history", "analysis.cuts_of": "a length of a task", "analysis.horizon_beyond": "a length of a task",
    "analysis.length_generalisation": "LONGER", "analysis.look": "an axis of a program",
    "analysis.look_at_trials": "an axis of a program", "analysis.metrics_when_cut": "an axis of a program",
    "analysis.norms_of_trials": "an axis of a program",
    "interop.multi_head_attention_to_keras": "LONGER",
    "text.Split": "a result", "text.check": "of DataConfig, above", "text.prepare": "of DataConfig, above",
}  # fmt: skip
ROOMS = {"ops": ops, "modules": modules, "tasks": tasks, "training": training, "analysis": analysis, "interop": interop, "text": text, "generation": generation}  # fmt: skip


def public_numbers():
    """The public functions and classes that have numbers among their arguments."""
    number = re.compile(r"(?<![\w.])(int|float)\b(?!\d)")
    for room, module in ROOMS.items():
        for name in getattr(
            module, "__all__", ["Sampling", "Generator", "make_generator", "generate"]
        ):
            made = getattr(module, name)
            if callable(made) and getattr(made, "__module__", "").startswith("lstm_attn"):
                kinds = [
                    str(one.annotation)
                    if not inspect.isclass(one.annotation)
                    else one.annotation.__name__
                    for one in inspect.signature(made).parameters.values()
                ]
                if any(number.search(kind) and "numpy" not in kind for kind in kinds):
                    yield f"{room}.{name}"


def test_every_public_number_is_in_the_table():
    """Oracle: the signatures. Catches a new function whose numbers nobody has tried."""
    assert {*public_numbers()} - {*CALLS} - {*ELSEWHERE} == set()


def written(n, r):
    model = models.build(
        "lstm",
        tasks.from_arrays(*2 * [IDS, IDS[:, 0]], loss="cross_entropy"),
        ModelConfig(features=n(4)),
    )
    generator = generation.make_generator(model, generation.Sampling(r(0.5), n(2)), n(2))
    pieces = generation.generate(
        generator, model.init(KEY), IDS[0], samples=n(2), length=n(4), seed=n(3), context=n(8)
    )
    return np.concatenate(list(pieces), axis=1)


def trained_over_segments(n, r):
    optimizer = optax.sgd(0.5)
    parameters = jnp.float32(2)
    loss = lambda params, state, part: (jnp.mean(params * part), state)  # noqa: E731
    begun = optimizer.init(parameters)
    return training.train_over_segments(loss, optimizer, parameters, begun, (), X, n(3))


def beyond(n, r):
    task = tasks.adding(n(4))
    model = models.build("gru", task, ModelConfig(features=4))
    params = jax.tree.map(lambda leaf: leaf[None], model.init(KEY))
    return analysis.length_generalisation(
        model,
        params,
        task,
        [n(4), n(6)],
        KEY,
        trials=n(1),
        sequences=n(4),
        batch_size=n(2),
        most_padding=r(2),
    )


IDS = np.arange(12).reshape(2, 6) % 5
LONGER = {
    "written": written,
    "segments": trained_over_segments,
    "beyond": beyond,
    "interop.multi_head_attention_to_keras": lambda n, r: interop.multi_head_attention_to_keras({name: {"kernel": np.ones((4, 4)), "bias": np.ones(4)} for name in ("query", "key", "value", "out")}, n(2)),
    "tasks.TextPrediction": lambda n, r: tasks.TextPrediction(text.Text(None, {"train": text.Split(np.arange(9), 9, 0)}, "a text"), n(4)).length,
}  # fmt: skip


@pytest.mark.parametrize(
    "name", [*CALLS, *(pytest.param(one, marks=pytest.mark.full) for one in LONGER)]
)
def test_a_function_takes_numbers_of_numpy(name):
    """Catches a number that is refused, that widens a result or that strict promotion refuses."""
    call = {**CALLS, **LONGER}[name]
    expected = call(int, float)
    for whole, real in ((np.int64, np.float64), (np.int32, np.float32)):
        got = call(whole, real)
        assert jax.tree.structure(got) == jax.tree.structure(expected)
        for ours, theirs in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
            if hasattr(theirs, "dtype"):
                assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
            if not isinstance(theirs, jax.ShapeDtypeStruct):
                np.testing.assert_array_equal(ours, theirs)
