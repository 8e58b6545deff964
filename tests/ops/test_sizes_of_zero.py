"""Sizes of zero, in every op and implementation: values and gradients."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import modules, ops
from lstm_attn.ops.dispatch import ATTENTION_IMPLEMENTATIONS, RECURRENT_IMPLEMENTATIONS
from lstm_attn.ops.lstm import KINDS
from tests import recurrence_cases

SIZES = {"B": 2, "T": 3, "S": 4, "D": 5, "H": 6, "N": 4, "M": 2, "K": 7, "V": 8}
GRU_AXES = {"kernel": "D 3H", "recurrent_kernel": "H 3H", "bias": "3H", "recurrent_bias": "3H"}
AXES = {**{kind: row.axes for kind, row in KINDS.items()}, ops.GRUParams: GRU_AXES}


def recurrent(op, kind, **options):
    state = "B H" if kind is ops.GRUParams else ops.LSTMState("B H", "B H")
    arguments = (kind(**AXES[kind]), "B T D", state)
    return lambda params, inputs, state: op(params, inputs, state, **options), arguments


def one_step(op, kind):
    state = "B H" if kind is ops.GRUParams else ops.LSTMState("B H", "B H")
    return op, (kind(**AXES[kind]), state, "B D")


def attention(implementation):
    def run(*arrays):
        return ops.dot_product_attention(*arrays, implementation=implementation)

    return run, ("B T N K", "B S M K", "B S M K")


def linear_recurrence(name, form):
    variant = recurrence_cases.VARIANTS[name]

    def run(arrays, state):
        shrinks = {"decay": jax.nn.sigmoid, "log_decay": jax.nn.log_sigmoid}
        arrays = arrays | {key: shrinks[key](arrays[key]) for key in shrinks if key in arrays}
        return recurrence_cases.called(name, form, arrays | {"initial_state": state})

    return run, ({key: f"B T {axes}" for key, axes in variant.axes.items()}, variant.state)


def linear_recurrence_step(variant):
    arrays = {key: f"B {axes}" for key, axes in variant.axes.items()}
    return lambda arrays, state: variant.step(state, **arrays), (arrays, variant.state)


STEPS = {
    "lstm_step": ops.LSTMParams,
    "peephole_lstm_step": ops.PeepholeLSTMParams,
    "coupled_lstm_step": ops.CoupledLSTMParams,
    "layer_norm_lstm_step": ops.LayerNormLSTMParams,
    "gru_step": ops.GRUParams,
}
CASES = {name: one_step(getattr(ops, name), kind) for name, kind in STEPS.items()}
CASES |= {
    f"lstm {kind.__name__} {choice}": recurrent(ops.lstm, kind, implementation=choice)
    for kind in KINDS
    for choice in RECURRENT_IMPLEMENTATIONS
    if choice in ("auto", "scan") or kind is ops.LSTMParams
}
CASES |= {
    f"gru {choice}": recurrent(ops.gru, ops.GRUParams, implementation=choice)
    for choice in ("auto", "scan", "fused")
}
CASES |= {
    "lstm in segments": recurrent(ops.lstm, ops.LSTMParams, segment=2),
    "gru in segments": recurrent(ops.gru, ops.GRUParams, segment=2),
    "lstm_gates": recurrent(ops.lstm_gates, ops.LSTMParams),
    "gru_gates": recurrent(ops.gru_gates, ops.GRUParams),
}
CASES |= {
    f"dot_product_attention {choice}": attention(choice)
    for choice in ATTENTION_IMPLEMENTATIONS
    if choice not in ("cudnn", "pallas")
}
RECURRENCES = {
    f"{recurrence_cases.VARIANTS[name].op.__name__} {name} {form}": linear_recurrence(name, form)
    for name, form in recurrence_cases.one_form_each()
} | {
    variant.step.__name__: linear_recurrence_step(variant)
    for variant in recurrence_cases.VARIANTS.values()
}
CASES |= RECURRENCES
CASES |= {
    "dot_product_weights": (ops.dot_product_weights, ("B T N K", "B S M K")),
    "additive_attention": (ops.additive_attention, ("B T D", "B S D", "B S H", "D")),
    "attention_pooling": (ops.attention_pooling, ("B T", "B T H")),
    "rotary": (lambda array: ops.rotary(array, jnp.arange(array.shape[1])), ("B T N K",)),
    "append": (
        lambda key, value: ops.append(ops.empty_cache(*key.shape, jnp.float32), key, value)[:2],
        ("B T N K", "B T N K"),
    ),
}


def letters_of(name):
    """One letter of each size that may be zero; heads and their groups are zero together. M is
    micro-steps in a recurrence."""
    words = " ".join(jax.tree.leaves(CASES[name][1]))
    skipped = "" if name in RECURRENCES else "M"
    return [letter for letter in SIZES if letter in words and letter not in skipped]


def arrays_of(name, sizes):
    rng = np.random.default_rng(0)

    def drawn(letters):
        shape = [int(axis[:-1] or 1) * sizes[axis[-1]] for axis in letters.split()]
        return rng.normal(size=shape).astype(np.float32)

    return jax.tree.map(drawn, CASES[name][1])


def values_and_slopes(name, arrays):
    function = CASES[name][0]

    @jax.jit
    def run(arrays):
        outputs, pull_back = jax.vjp(function, *arrays)
        floats = jax.tree.map(jnp.cos, outputs)
        moved = jax.jvp(function, arrays, jax.tree.map(jnp.ones_like, arrays))[1]
        return outputs, pull_back(floats), moved

    return jax.tree.map(np.asarray, run(arrays))


# All recurrences ask one function, `ops.dispatch.choose_form`: each has one size of zero in turn, and
# the one with the most sizes has each.
ALL_SIZES = "delta_rule delta products 3"
TABLE = [
    (name, letter)
    for number, name in enumerate(CASES)
    for at, letter in enumerate(letters_of(name))
    if name not in RECURRENCES or name == ALL_SIZES or number % len(letters_of(name)) == at
]


@pytest.mark.full_but(
    "lstm LSTMParams fused-D",
    "lstm LSTMParams fused-H",
    "lstm LSTMParams native-D",
    "lstm LSTMParams native-T",
    "gru fused-D",
    "delta_rule delta products 3-M",
    "dot_product_attention auto-K",
    "dot_product_attention dense-N",
    "dot_product_weights-B",
)
@pytest.mark.parametrize(("name", "letter"), TABLE)
def test_values_and_gradients_with_a_size_of_zero(name, letter):
    """Identity: without features or micro-steps, an op is the one with one of zero; with any other size of
    zero, gradients are zero, but of a state that is handed on. Catches a division by zero."""
    sizes = {**SIZES, letter: 0} | ({"M": 0} if letter == "N" else {})
    arrays = arrays_of(name, sizes)
    outputs, slopes, moved = values_and_slopes(name, arrays)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((outputs, slopes, moved)))
    shapes = [leaf.shape for leaf in jax.tree.leaves(slopes)]
    assert shapes == [leaf.shape for leaf in jax.tree.leaves(arrays)]
    without = "DKVM" if name in RECURRENCES else "DK"
    if letter in without or (name, letter) == ("attention_pooling", "H"):
        one = {**SIZES, letter: 1}
        letters = jax.tree.leaves(CASES[name][1])
        drawn, tree = jax.tree.flatten(arrays_of(name, one))
        lacks = [letter in axes for axes in letters]
        kept = iter(jax.tree.leaves(arrays))
        padded = [
            np.zeros_like(leaf) if gone else before
            for leaf, gone, before in zip(drawn, lacks, kept, strict=True)
        ]
        expected = values_and_slopes(name, jax.tree.unflatten(tree, padded))
        for mine, theirs in zip(
            jax.tree.leaves(outputs), jax.tree.leaves(expected[0]), strict=True
        ):
            if mine.size:
                np.testing.assert_allclose(mine, theirs, atol=1e-6)
        pairs = zip(jax.tree.leaves(slopes), jax.tree.leaves(expected[1]), lacks, strict=True)
        for mine, theirs, gone in pairs:
            if not gone:
                np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-6)
        return
    over_time = {"lstm", "gru", *(one.op.__name__ for one in recurrence_cases.VARIANTS.values())}
    hands_on = letter == "T" and name.partition(" ")[0] in over_time
    for number, (mine, given) in enumerate(zip(slopes, arrays, strict=True)):
        is_state = hands_on and number == len(arrays) - 1
        expected = jax.tree.map(np.cos if is_state else np.zeros_like, given)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), mine, expected)


def test_every_op_with_arrays_of_floats_is_in_the_table():
    """Catches an op that no case calls."""
    exact = {"accumulator", "empty_cache", "empty_pooling_state", "within"}
    of_positions = {"alibi_bias", "sinusoidal_positions"}
    functions = {name for name in ops.__all__ if inspect.isfunction(getattr(ops, name))}
    covered = {name.partition(" ")[0] for name in CASES}
    assert functions - exact - of_positions == covered


@pytest.mark.full_but("LSTM-T", "MultiHeadAttention-D")
@pytest.mark.parametrize("letter", "BTD")
@pytest.mark.parametrize(
    "module",
    [
        modules.LSTM(4),
        modules.GRU(4),
        modules.LayerNormLSTM(4),
        modules.Bidirectional(modules.LSTM(4), modules.GRU(4)),
        modules.MultiHeadAttention(2, qkv_features=4, out_features=3),
        modules.AdditiveAttention(4),
        modules.Transformer(4, 2, 1),
        modules.LSTMAttention(4, 2),
        modules.AttentionPooling(4),
    ],
    ids=lambda module: type(module).__name__,
)
def test_modules_begin_and_run_with_a_size_of_zero(module, letter):
    """Catches an initialiser that divides by the number of features in, and NaN."""
    sizes = {"B": 2, "T": 3, "D": 5, letter: 0}
    inputs = np.ones([sizes[axis] for axis in "BTD"], np.float32)

    @jax.jit
    def run(key):
        params = module.init(key, inputs)
        total, slopes = jax.value_and_grad(lambda p: module.apply(p, inputs).sum())(params)
        return total, slopes

    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(run(jax.random.key(0))))
