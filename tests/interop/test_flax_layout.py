"""Conversion from and to the cells of flax.linen and flax.nnx, against those cells."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lstm_attn import interop, modules
from lstm_attn.errors import UsageError
from tests import oracles

sizes = st.tuples(*[st.integers(1, 5)] * 4)
seeds = st.integers(0, 2**16)
# Every example compiles two loops, and shrinking a failure takes hundreds.
few_examples = settings(max_examples=4, phases=(Phase.generate,))


# Up to ten features in and of the state, with weights and inputs of up to three; five time steps.
ROUNDED = (3 * 10, 5)


def randomised(tree, seed):
    """The same tree with random arrays: initial biases are zero and would hide mistakes."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), tree)


def assert_same_tree(mine, theirs):
    assert jax.tree.structure(mine) == jax.tree.structure(theirs)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b, strict=True), mine, theirs)


def run_linen(cell, params, inputs):
    runner = nn.RNN(cell, return_carry=True)
    return runner.apply({"params": {"cell": params}}, inputs)


def run_nnx(cell, inputs):
    return nnx.RNN(cell, return_carry=True, rngs=nnx.Rngs(0))(inputs)


def pure(cell):
    return jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(cell, nnx.Param)))


def put(cell, params):
    nnx.update(cell, jax.tree.map(jnp.asarray, params))


def assert_same_run(ours, theirs):
    """(carry, outputs) of each; Flax's carry of an LSTM is (c, h)."""
    (my_carry, my_outputs), (carry, outputs) = ours, theirs
    oracles.assert_close(my_outputs, outputs, *ROUNDED)
    if isinstance(carry, tuple):
        oracles.assert_close(my_carry.c, carry[0], *ROUNDED)
        oracles.assert_close(my_carry.h, carry[1], *ROUNDED)
    else:
        oracles.assert_close(my_carry, carry, *ROUNDED)


LINEN = [
    (nn.LSTMCell, modules.LSTM, interop.lstm_from_linen, interop.lstm_to_linen),
    (nn.OptimizedLSTMCell, modules.LSTM, interop.lstm_from_linen, interop.lstm_to_linen),
    (nn.GRUCell, modules.GRU, interop.gru_from_linen, interop.gru_to_linen),
]
NNX = [
    (nnx.LSTMCell, modules.LSTM, interop.lstm_from_nnx, interop.lstm_to_nnx, {"cell": "LSTMCell"}),
    (nnx.OptimizedLSTMCell, modules.LSTM, interop.lstm_from_nnx, interop.lstm_to_nnx, {}),
    (nnx.GRUCell, modules.GRU, interop.gru_from_nnx, interop.gru_to_nnx, {}),
]


@pytest.mark.full_but("GRUCell")
@pytest.mark.parametrize(
    ("cell", "module", "from_linen", "to_linen"), LINEN, ids=lambda v: getattr(v, "__name__", None)
)
@few_examples
@given(sizes=sizes, seed=seeds)
def test_linen_cell_runs_the_same_and_goes_back(cell, module, from_linen, to_linen, sizes, seed):
    """Oracle: flax.linen.RNN and the entries that came in. Catches gates exchanged, a bias lost."""
    batch, length, features_in, features = sizes
    inputs = np.random.default_rng(seed).normal(size=(batch, length, features_in))
    inputs = inputs.astype(np.float32)
    theirs = nn.RNN(cell(features)).init(jax.random.key(0), inputs)["params"]["cell"]
    theirs = randomised(theirs, seed)
    ours = from_linen(theirs)
    run = module(features).apply({"params": ours}, inputs, return_carry=True)
    assert_same_run(run, run_linen(cell(features), theirs, inputs))
    assert_same_tree(to_linen(ours), theirs)


@pytest.mark.full_but("LSTMCell")
@pytest.mark.parametrize(
    ("cell", "module", "from_nnx", "to_nnx", "options"),
    NNX,
    ids=lambda v: getattr(v, "__name__", None),
)
@few_examples
@given(sizes=sizes, seed=seeds)
def test_nnx_cell_runs_the_same_and_goes_back(cell, module, from_nnx, to_nnx, options, sizes, seed):
    """Oracle: flax.nnx.RNN and the entries that came in. Catches the gate order of fused kernels,
    and names that nnx would not find."""
    batch, length, features_in, features = sizes
    inputs = np.random.default_rng(seed).normal(size=(batch, length, features_in))
    inputs = inputs.astype(np.float32)
    theirs = cell(features_in, features, rngs=nnx.Rngs(0))
    put(theirs, randomised(pure(theirs), seed))
    ours = from_nnx(pure(theirs))
    run = module(features).apply({"params": ours}, inputs, return_carry=True)
    assert_same_run(run, run_nnx(theirs, jnp.asarray(inputs)))
    assert_same_tree(to_nnx(ours, **options), pure(theirs))


def our_gru(n_bias=1.0):
    rng = np.random.default_rng(3)
    params = {
        "kernel": rng.normal(size=(2, 9)),
        "recurrent_kernel": rng.normal(size=(3, 9)),
        "bias": rng.normal(size=9),
        "recurrent_bias": rng.normal(size=9) * np.repeat([1, 1, n_bias], 3),
    }
    return {name: array.astype(np.float32) for name, array in params.items()}


@pytest.mark.parametrize("library", ["linen", "nnx"])
def test_biases_that_only_appear_as_a_sum_are_summed(library):
    """Oracle: a run of our own GRU, with recurrent biases that Flax does not have. Catches a lost
    one, and a sum that includes the bias of n, which r multiplies."""
    params = our_gru(n_bias=1.0 if library == "linen" else 0.0)
    inputs = np.random.default_rng(4).normal(size=(2, 5, 2)).astype(np.float32)
    ours = modules.GRU(3).apply({"params": params}, inputs, return_carry=True)
    if library == "linen":
        theirs = run_linen(nn.GRUCell(3), interop.gru_to_linen(params), inputs)
    else:
        cell = nnx.GRUCell(2, 3, rngs=nnx.Rngs(0))
        put(cell, interop.gru_to_nnx(params))
        theirs = run_nnx(cell, jnp.asarray(inputs))
    assert_same_run(ours, theirs)


def test_what_comes_out_is_a_copy_in_the_same_dtype():
    """Oracle: bfloat16 as it came. Catches a cast, and a view of parameters that change later."""
    params = {name: jnp.asarray(array, jnp.bfloat16) for name, array in our_gru().items()}
    there = interop.gru_to_linen(params)
    back = interop.gru_from_linen(there)
    for leaf in jax.tree.leaves((there, back)):
        assert leaf.dtype == jnp.bfloat16
        assert leaf.flags.writeable
    there["ir"]["kernel"][:] = 0
    np.testing.assert_array_equal(back["kernel"], params["kernel"])


LSTM = {"kernel": np.ones((2, 12)), "recurrent_kernel": np.ones((3, 12)), "bias": np.ones(12)}
LINEN_LSTM = interop.lstm_to_linen(LSTM)
LINEN_GRU = interop.gru_to_linen(our_gru())
FUSED = interop.lstm_to_nnx(LSTM)
LINEN_LSTM_NAMES = "ii/kernel, if/kernel, ig/kernel, io/kernel, hi/kernel, hi/bias, hf/kernel, hf/bias, hg/kernel, hg/bias, ho/kernel, ho/bias"
LINEN_GRU_NAMES = "ir/kernel, iz/kernel, in/kernel, hr/kernel, hz/kernel, hn/kernel, ir/bias, iz/bias, in/bias, hn/bias"
# fmt: off
ERRORS = [
    (interop.lstm_from_linen, 3, {}, "lstm_from_linen: expected a dictionary of arrays, got int"),
    (interop.lstm_from_linen, LINEN_LSTM | {"if": {}}, {}, f"lstm_from_linen: expected the entries {LINEN_LSTM_NAMES}; missing if/kernel"),
    (interop.lstm_from_linen, LINEN_LSTM | {"extra": {"bias": 0}}, {}, f"lstm_from_linen: expected the entries {LINEN_LSTM_NAMES}; unexpected extra/bias"),
    (interop.lstm_from_linen, LINEN_LSTM | {"ig": {"kernel": np.ones((2, 4))}}, {}, "lstm_from_linen: ig/kernel [D, H] expected shape (2, 3), got (2, 4)"),
    (interop.lstm_from_linen, LINEN_LSTM | {"hi": {"kernel": np.ones((3, 4)), "bias": 0}}, {}, "lstm_from_linen: hi/kernel [H, H] expected shape (3, 3), got (3, 4)"),
    (interop.lstm_to_linen, LSTM | {"peephole": 0}, {}, "lstm_to_linen: expected the entries kernel, recurrent_kernel, bias; unexpected peephole"),
    (interop.lstm_from_nnx, LINEN_LSTM, {}, f"lstm_from_nnx: expected the entries {LINEN_LSTM_NAMES.replace('if/', 'if_/')}; missing if_/kernel; unexpected if/kernel"),
    (interop.lstm_from_nnx, {"dense_h": FUSED["dense_h"]}, {}, "lstm_from_nnx: expected the entries dense_i/kernel, dense_h/kernel, dense_h/bias; missing dense_i/kernel"),
    (interop.lstm_from_nnx, FUSED | {"dense_i": {"kernel": np.ones((12, 2))}}, {}, "lstm_from_nnx: dense_i/kernel [D, 4H] expected shape (12, 12), got (12, 2)"),
    (interop.lstm_to_nnx, LSTM, {"cell": "GRUCell"}, "lstm_to_nnx: cell expected LSTMCell or OptimizedLSTMCell, got 'GRUCell'"),
    (interop.gru_from_linen, LINEN_GRU | {"hn": {"kernel": 0}}, {}, f"gru_from_linen: expected the entries {LINEN_GRU_NAMES}; missing hn/bias"),
    (interop.gru_from_linen, LINEN_GRU | {"in": {"kernel": np.ones((2, 3)), "bias": np.ones((1, 3))}}, {}, "gru_from_linen: in/bias [H] expected 1 axes, got shape (1, 3)"),
    (interop.gru_to_linen, LSTM, {}, "gru_to_linen: expected the entries kernel, recurrent_kernel, bias, recurrent_bias; missing recurrent_bias"),
    (interop.gru_from_nnx, FUSED, {}, "gru_from_nnx: expected the entries dense_i/kernel, dense_i/bias, dense_h/kernel; missing dense_i/bias; unexpected dense_h/bias"),
    (interop.gru_to_nnx, our_gru() | {"recurrent_bias": np.arange(9.0)}, {}, "gru_to_nnx: recurrent_bias of n expected zeros, because nnx.GRUCell has none; got values up to 8 in magnitude"),
]
# fmt: on


@pytest.mark.parametrize(
    ("function", "entries", "options", "message"), ERRORS, ids=range(len(ERRORS))
)
def test_a_mistake_is_one_line(function, entries, options, message):
    """Catches a mistake that passes, and a message without the entry, what was expected or came."""
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        function(entries, **options)
