"""Errors against float64 in each dtype, extreme inputs, and gradients of gradients."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax.test_util import check_grads

from lstm_attn import models, modules, ops, tasks
from lstm_attn.models import MODELS, ModelConfig
from lstm_attn.modules.transformer import layer_norm
from tests import oracles
from tests.ops import test_gru, test_lstm, test_lstm_variants

BATCH, LENGTH, FEATURES_IN, FEATURES, KEYS = 2, 200, 16, 64, 8192


def recurrent_case(kind):
    """Float32 parameters with a memory of some twenty steps, and inputs."""
    rng = np.random.default_rng(0)
    gates = {"lstm": 4, "gru": 3, "coupled": 3, "peephole": 4, "layer_norm": 4}[kind]
    kernels = [
        rng.normal(size=(size, gates * FEATURES)) / np.sqrt(size)
        for size in (FEATURES_IN, FEATURES)
    ]
    keep = {"gru": 1, "coupled": 0}.get(kind, 1)
    bias = 3.0 * np.repeat(np.arange(gates) == keep, FEATURES)
    extra = {
        "lstm": [],
        "coupled": [],
        "gru": [np.zeros_like(bias)],
        "peephole": [0.3 * rng.normal(size=3 * FEATURES)],
        "layer_norm": [np.ones(size * FEATURES) for size in (4, 4, 1)] + [np.zeros(FEATURES)],
    }[kind]
    params = [array.astype(np.float32) for array in (*kernels, bias, *extra)]
    return params, rng.normal(size=(BATCH, LENGTH, FEATURES_IN)).astype(np.float32)


KINDS = {
    "lstm": ops.LSTMParams,
    "peephole": ops.PeepholeLSTMParams,
    "coupled": ops.CoupledLSTMParams,
    "layer_norm": ops.LayerNormLSTMParams,
    "gru": ops.GRUParams,
}


def recurrent(kind, params, inputs):
    function = ops.gru if kind == "gru" else ops.lstm
    return function(KINDS[kind](*params), inputs)[0]


def attention(params, inputs, implementation="dense"):
    query, key, value = inputs
    return ops.dot_product_attention(query, key, value, implementation=implementation)


def attention_case():
    rng = np.random.default_rng(1)
    shapes = ((1, 4, 2, 32), (1, KEYS, 2, 32), (1, KEYS, 2, 32))
    query, key, value = (rng.normal(size=shape).astype(np.float32) for shape in shapes)
    return [], (query / 4, key, 1 + value)


def pooling(params, inputs):
    return ops.attention_pooling(*inputs)[0]


def pooling_case():
    rng = np.random.default_rng(2)
    return [], tuple(
        (1 + rng.normal(size=shape)).astype(np.float32) for shape in ((1, KEYS), (1, KEYS, 4))
    )


def additive(params, inputs):
    return ops.additive_attention(*inputs, params[0])


def additive_case():
    rng = np.random.default_rng(3)
    shapes = ((1, 2, 8), (1, KEYS, 8), (1, KEYS, 4))
    query, key, value = (rng.normal(size=shape).astype(np.float32) for shape in shapes)
    return [rng.normal(size=8).astype(np.float32)], (query, key, 1 + value)


def unit(key):
    return key * (jnp.sum(key * key, axis=-1, keepdims=True) + 1e-6) ** -0.5


def prepared(name, params, inputs):
    """A linear recurrence on what layers make of their inputs: decays below 1, keys of length 1."""
    dtype = inputs[0].dtype
    inputs = [array.astype(ops.accumulator(dtype)) for array in inputs]
    if name == "linear recurrence":
        a, b = inputs
        return ops.linear_recurrence(jax.nn.sigmoid(a), b.astype(dtype))[0]
    query, key, value, first, second = inputs
    query, key, value = (array.astype(dtype) for array in (unit(query), unit(key), value))
    decay = {"log_decay": jax.nn.log_sigmoid(first)}
    if name == "delta rule":
        return ops.delta_rule(query, key, value, 2 * jax.nn.sigmoid(second), **decay)[0]
    gate = second if name == "mLSTM" else None
    if gate is None:
        value = (value * jax.nn.sigmoid(second)[..., None].astype(dtype)).astype(dtype)
    return ops.gated_linear_attention(query, key, value, **decay, log_input_gate=gate)[0]


def prepared_case(name):
    rng = np.random.default_rng(4)
    if name == "linear recurrence":
        shapes = [(BATCH, LENGTH, FEATURES)] * 2
    else:
        head = (BATCH, LENGTH, 3)
        shapes = [(*head, 5), (*head, 5), (*head, 7), head, head]
    # A memory of some twenty steps: the decay is the first of two, or the fourth of five.
    means = (3, 0) if name == "linear recurrence" else (0, 0, 0, 3, 0)
    return [], tuple(
        (mean + rng.normal(size=shape)).astype(np.float32)
        for mean, shape in zip(means, shapes, strict=True)
    )


RECURRENCES = ("linear recurrence", "gated linear attention", "mLSTM", "delta rule")
CASES = {
    "attention": (attention, attention_case),
    "chunked attention": (functools.partial(attention, implementation="chunked"), attention_case),
    "pooling": (pooling, pooling_case),
    "additive": (additive, additive_case),
} | {
    kind: (functools.partial(recurrent, kind), functools.partial(recurrent_case, kind))
    for kind in KINDS
}
CASES |= {
    name: (functools.partial(prepared, name), functools.partial(prepared_case, name))
    for name in RECURRENCES
}


def errors(name, dtype):
    """Largest error of the outputs over the largest output, and the relative error of gradients.

    Oracle: the op in float64, which the tests of ops/ hold to its equations, on the same numbers:
    inputs, and parameters that enter a product, are rounded to the dtype first.
    """
    function, case = CASES[name]
    params, inputs = case()
    inputs = jax.tree.map(lambda array: jnp.asarray(array, dtype), inputs)

    def scalar(params, inputs):
        outputs = function(params, inputs)
        return jnp.sum(jnp.sin(outputs.astype(ops.accumulator(outputs.dtype)))), outputs

    slopes = jax.jit(jax.value_and_grad(scalar, argnums=(0, 1), has_aux=True))
    (_, outputs), gradients = slopes(list(map(jnp.asarray, params)), inputs)
    assert outputs.dtype == dtype
    assert all(gradient.dtype == np.float32 for gradient in gradients[0])
    rounded = [np.asarray(jnp.asarray(p, dtype) if p.ndim == 2 else p, np.float64) for p in params]
    with jax.enable_x64(True):
        exact_inputs = jax.tree.map(lambda a: jnp.asarray(np.asarray(a, np.float64)), inputs)
        (_, exact), exact_gradients = slopes(list(map(jnp.asarray, rounded)), exact_inputs)
        exact, exact_gradients = jax.tree.map(np.asarray, (exact, exact_gradients))
    error = np.abs(np.asarray(outputs, np.float64) - exact).max() / np.abs(exact).max()
    differences = jax.tree.map(
        lambda a, b: np.linalg.norm(np.asarray(a, np.float64) - b) / np.linalg.norm(b),
        gradients,
        exact_gradients,
    )
    return error, max(jax.tree.leaves(differences))


# Bounds of the errors of low precision, in units of the compute dtype: (outputs, gradients).
# Only products are in that dtype: their operands and the outputs are rounded once each, and the
# roundings are independent, so that they add like a random walk and not with the length of a sum.
#
# Attention. Outputs: the weights and the outputs are rounded, the terms' absolute values sum to at
# most 1.2 of the output (values are 1 + normal): 2.4. Gradients: four roundings (value, weight,
# slope, gradient of the outputs), each before a difference of two numbers of up to twice its size: 8;
# additive attention has three more products before the logits (tanh, score, their slopes): 14.
#
# Recurrence. A candidate sums x W and h U, operands rounded: sqrt(2) = 1.5 units. The cell adds them
# with the weight i or 1 - f, and keeps f = sigmoid(3) of what it has: the errors' spread is
# 1.5 w / sqrt(1 - f^2), which is 1.5 * 3.3 w. The largest of 25,600 outputs is 4 spreads away, and
# is rounded itself: 1 + 20 w. A gradient's norm averages over its entries: 2 spreads, 1 + 10 w.
# w is .5 if the input gate is independent (f + i is not 1), else 1 - f = .05.
#
# Linear recurrences compute in float32. Query, key and value are rounded before the op, which the
# output sees as three factors, and the output once: 4. Gradients pass the same roundings twice: 8.
# The mLSTM divides two such sums: twice that.
#
# With sums, carries and softmax statistics in the compute dtype (`ops.checks.accumulator` made the
# identity), rounding errors grow with the length, and each row has an entry above its bounds: the
# least are 31 of 8 for the gradients of attention, 26 of 8 chunked, 6 of 2 for the GRU's outputs.
ADDING_GATES, SHARING_GATES, READ_ONLY = (11.0, 6.0), (2.0, 1.5), (4.0, 8.0)
UNITS_OF_PRODUCTS = {
    "attention": (2.4, 8.0),
    "chunked attention": (2.4, 8.0),
    "pooling": (2.4, 8.0),
    "additive": (2.4, 14.0),
    "lstm": ADDING_GATES,
    "peephole": ADDING_GATES,
    "layer_norm": ADDING_GATES,
    "coupled": SHARING_GATES,
    "gru": SHARING_GATES,
    **dict.fromkeys(RECURRENCES, READ_ONLY),
    "mLSTM": (8.0, 16.0),
}


def bounds(name, dtype):
    """The bounds of both errors: of the products in the dtype, and of sums in float32.

    A sum over all keys has KEYS terms. In the gradients its error is common to all keys, while what
    it is subtracted from cancels: two such sums. A recurrent step sums features in and features;
    gradients sum over batch and time as well. Errors of float32 grow like those of the products.
    """
    of_outputs, of_gradients = UNITS_OF_PRODUCTS[name]
    if name in (*KINDS, *RECURRENCES):
        step = oracles.rounding_bound("float32", FEATURES_IN + FEATURES)
        over_time = oracles.rounding_bound("float32", FEATURES_IN + FEATURES + BATCH * LENGTH)
        sums = of_outputs * step, of_gradients * over_time
    else:
        over_keys = oracles.rounding_bound("float32", KEYS)
        sums = 1.2 * over_keys, 2 * over_keys
    if dtype == "float32":
        return sums
    unit = oracles.UNITS[dtype]
    return of_outputs * unit + sums[0], of_gradients * unit + sums[1]


@pytest.mark.full_but(
    "lstm-bfloat16", "attention-bfloat16", "layer_norm-bfloat16", "delta rule-bfloat16"
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("name", CASES)
def test_errors_against_float64_are_those_of_the_products_alone(name, dtype):
    """Oracle: float64 on the same rounded numbers. Catches a lost accumulator, a carry or a
    softmax in the compute dtype, and gradients summed over time in it."""
    of_outputs, of_gradients = bounds(name, dtype)
    outputs, gradients = errors(name, dtype)
    assert outputs < of_outputs
    assert gradients < of_gradients


def test_every_op_is_in_the_table():
    """Catches an op without a bound: each function of `ops` is one of these cases, a step
    of one, shows the gates or weights that one computes with, or computes nothing that is summed."""
    covered = {"lstm", "gru", "dot_product_attention", "additive_attention", "attention_pooling"}
    covered |= {"linear_recurrence", "gated_linear_attention", "delta_rule"}
    steps = {
        "lstm_step",
        "gru_step",
        "peephole_lstm_step",
        "coupled_lstm_step",
        "layer_norm_lstm_step",
        "linear_recurrence_step",
        "gated_linear_attention_step",
        "delta_rule_step",
    }
    shown = {"lstm_gates", "gru_gates", "dot_product_weights"}
    exact = {"accumulator", "append", "empty_cache", "empty_pooling_state", "within"}
    positions = {"alibi_bias", "rotary", "sinusoidal_positions"}
    functions = {name for name in ops.__all__ if inspect.isfunction(getattr(ops, name))}
    assert functions == covered | steps | shown | exact | positions
    assert set(UNITS_OF_PRODUCTS) == set(CASES)


@pytest.mark.full_but(
    "attention-10000.0-float32",
    "chunked attention-10000.0-float32",
    "pooling-10000.0-float32",
    "additive-10000.0-float32",
    "layer_norm-1e-30-float32",
    "lstm-10000.0-float32",
    "gru-10000.0-float32",
    "mLSTM-10000.0-float32",
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("size", [1e4, 1e-30])
@pytest.mark.parametrize("name", CASES)
def test_no_finite_number_up_to_ten_thousand_gives_nan(name, size, dtype, monkeypatch):
    """Inputs and parameters all that large, of random sign, or so small that a variance vanishes.
    Catches exp without its maximum, and a norm divided by zero."""
    monkeypatch.setattr("tests.test_numerics.LENGTH", 7)
    monkeypatch.setattr("tests.test_numerics.KEYS", 7)
    function, case = CASES[name]
    rng = np.random.default_rng(0)

    def extreme(array):
        return jnp.asarray(size * rng.choice([-1.0, 1.0], array.shape), dtype)

    params, inputs = jax.tree.map(extreme, case())

    def scalar(params, inputs):
        return jnp.sum(function(params, inputs).astype(jnp.float32))

    value, gradients = jax.jit(jax.value_and_grad(scalar, argnums=(0, 1)))(params, inputs)
    assert np.isfinite(value)
    for gradient in jax.tree.leaves(gradients):
        assert np.isfinite(np.asarray(gradient, np.float64)).all()


@pytest.mark.full
@pytest.mark.parametrize("name", MODELS)
def test_no_model_gives_nan_for_inputs_up_to_ten_thousand(name):
    """Values and gradients, in float32 and in bfloat16. Catches an activation that overflows."""
    task = tasks.copy(2)
    inputs = 1e4 * jax.random.rademacher(jax.random.key(0), (2, 22, 10), jnp.float32)
    for dtype in ("float32", "bfloat16"):
        model = models.build(name, task, ModelConfig(features=8, dtype=dtype))
        params = jax.jit(model.init)(jax.random.key(1))
        slopes = jax.value_and_grad(lambda p, model=model: jnp.mean(model.apply(p, inputs)))
        for leaf in jax.tree.leaves(jax.jit(slopes)(params)):
            assert np.isfinite(leaf).all()


@pytest.mark.full_but("lstm")
@pytest.mark.parametrize("name", MODELS)
def test_bfloat16_models_keep_float32_parameters_carries_and_outputs(name):
    """Oracle: the float32 model with the same parameters. Catches a dtype without effect, and one
    that changes what is stored."""
    task = tasks.copy(2)
    batch = task.sample(jax.random.key(0), 2)
    exact, rounded = (
        models.build(name, task, ModelConfig(features=8, dtype=dtype))
        for dtype in ("float32", "bfloat16")
    )
    params = jax.jit(rounded.init)(jax.random.key(1))
    assert {leaf.dtype.name for leaf in jax.tree.leaves(params)} == {"float32"}
    outputs, expected = (jax.jit(model.apply)(params, batch.inputs) for model in (rounded, exact))
    assert outputs.dtype == np.float32
    difference = np.abs(outputs - expected).max()
    assert 0 < difference < 0.1
    carry = {leaf.dtype.name for leaf in jax.tree.leaves(rounded.initial_state(2, 22))}
    # A cache holds operands of products; carries and sums are float32.
    assert carry <= {"float32"} | (
        {"bfloat16", "int32"} if "attention" in name or name == "transformer" else set()
    )


@pytest.mark.full_but("LSTM")
@pytest.mark.parametrize(
    "make",
    [
        functools.partial(modules.LSTM, 4),
        functools.partial(modules.LayerNormLSTM, 4),
        functools.partial(modules.GRU, 4, reset_after=False),
        functools.partial(modules.Transformer, 4, num_heads=2, num_layers=1, positions="rotary"),
        functools.partial(modules.LSTMAttention, 4, num_heads=2),
        functools.partial(modules.LSTMAttentionBlocks, 4, num_heads=2, num_layers=1),
        functools.partial(modules.AttentionPooling, 4),
    ],
    ids=lambda make: make.func.__name__,
)
def test_float64_works_when_enabled(make, float64):
    """Oracle: float32, to its own error and not below it. Catches a value rounded to float32 on the
    way, and a carry of another dtype."""
    inputs = jax.random.normal(jax.random.key(0), (2, 6, 3), jnp.float64)
    exact = make(dtype=jnp.float64, param_dtype=jnp.float64)
    params = exact.init(jax.random.key(1), inputs)["params"]
    assert {leaf.dtype.name for leaf in jax.tree.leaves(params)} == {"float64"}
    outputs = exact.apply({"params": params}, inputs)
    assert outputs.dtype == np.float64
    # A slope by finite differences of 1e-9 is lost in float32, and right to 1e-6 in float64.
    direction = jax.tree.map(lambda leaf: jnp.ones_like(leaf), params)
    moved = jax.tree.map(lambda leaf, by: leaf + 1e-9 * by, params, direction)

    def total(p):
        return exact.apply({"params": p}, inputs).sum()

    slope = jax.jvp(total, (params,), (direction,))[1]
    np.testing.assert_allclose((total(moved) - total(params)) / 1e-9, slope, rtol=1e-5, atol=1e-5)
    before = make(dtype="float64").empty_carry(2, 6)
    carry, _ = exact.apply({"params": params}, inputs, initial_carry=before, return_carry=True)
    for first, last in zip(jax.tree.leaves(before), jax.tree.leaves(carry), strict=True):
        assert first.dtype == last.dtype
        assert last.dtype.name in ("float64", "int32")


class Normed(nn.Module):
    """The Transformer's norm alone."""

    dtype: None = None
    param_dtype: type = jnp.float32

    @nn.compact
    def __call__(self, inputs):
        return layer_norm(self, "norm", inputs)


@pytest.mark.parametrize("mean", [0.0, 1e2, 1e4])
def test_a_norm_keeps_its_digits_where_the_mean_is_large(mean):
    """Oracle: the norm in float64 on the same numbers. Catches the variance as E[x^2] - E[x]^2,
    which at a mean of 1e4 is wrong by thousands."""
    inputs = mean + jax.random.normal(jax.random.key(0), (2, 3, 64))
    params = {"params": {"norm": {"scale": jnp.ones(64), "bias": jnp.zeros(64)}}}
    expected = oracles.normalise(np.asarray(inputs, np.float64))
    # The error of the sum in the mean; what is left after it has a spread of 1.
    bound = oracles.rounding_bound("float32", 64, magnitude=max(mean, 1))
    np.testing.assert_allclose(Normed().apply(params, inputs), expected, atol=bound)


SMALL = {
    "lstm": lambda: test_lstm.random_case(0, 1, 3, 2, 2),
    "gru": lambda: test_gru.random_case(0, 1, 3, 2, 2),
    **{
        kind.__name__: functools.partial(test_lstm_variants.random_case, kind, 2, 1)
        for kind in test_lstm_variants.SHAPES
    },
}


@pytest.mark.full_but("lstm")
@pytest.mark.parametrize("name", SMALL)
def test_gradients_of_gradients_of_recurrence(name, float64):
    """Oracle: central differences of the gradient, in float64. Catches a rule for one order only."""
    params, inputs, state = SMALL[name]()
    function = ops.gru if name == "gru" else ops.lstm

    def scalar(params, inputs):
        return jnp.sum(jnp.sin(function(params, inputs, state)[0]))

    case = (type(params)(*map(jnp.asarray, params)), jnp.asarray(inputs))
    check_grads(scalar, case, order=2, modes=["rev"], eps=1e-5, rtol=1e-3)


@pytest.mark.full
@pytest.mark.parametrize("name", ["attention", "additive", "pooling"])
def test_gradients_of_gradients_of_attention(name, float64):
    """Oracle: as above, for arrays of a few steps. Catches a rule for one order only."""
    rng = np.random.default_rng(0)
    shapes = {
        "attention": [(1, 3, 1, 2)] * 3,
        "additive": [(1, 3, 2)] * 3,
        "pooling": [(1, 3), (1, 3, 2)],
    }[name]
    params = [jnp.asarray(rng.normal(size=2))] if name == "additive" else []

    def scalar(*inputs):
        return jnp.sum(jnp.sin(CASES[name][0](params, inputs)))

    case = tuple(jnp.asarray(rng.normal(size=shape)) for shape in shapes)
    check_grads(scalar, case, order=2, modes=["rev"], eps=1e-5, rtol=1e-3)
