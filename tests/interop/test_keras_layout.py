"""Conversion from and to Keras, against what Keras computed, kept in tests/golden."""

import re

import numpy as np
import pytest

from lstm_attn import interop, modules
from lstm_attn.errors import UsageError
from tests import golden, oracles
from tests.interop.running import recurrent, run_attention

LSTMS, GRUS = golden.load("keras_lstm"), golden.load("keras_gru")
BOTH_LSTM, BOTH_GRU = LSTMS.pop("bidirectional"), GRUS.pop("bidirectional")
ATTENTION = golden.load("keras_multi_head_attention")


@pytest.mark.parametrize("case", LSTMS.values(), ids=LSTMS)
def test_lstm_is_that_of_keras_and_goes_back(case):
    """Oracle: Keras' outputs, states and entries. Catches h and c exchanged and a bias lost."""
    params = interop.lstm_from_keras(case["params"])
    carry, outputs = modules.LSTM(3).apply({"params": params}, case["inputs"], return_carry=True)
    for mine, theirs in ((outputs, "outputs"), (carry.h, "h"), (carry.c, "c")):
        golden.assert_close(mine, case[theirs])
    back = interop.lstm_to_keras(params, bias="bias" in case["params"])
    assert_same_entries(back, case["params"])


@pytest.mark.parametrize("name", GRUS)
def test_gru_is_that_of_keras_and_goes_back(name):
    """Oracle: Keras' outputs, state and entries. Catches z and r not exchanged, the two rows of the
    bias exchanged, and the reset gate on the wrong side of the product."""
    case, reset_after = GRUS[name], name.startswith("reset_after")
    params = interop.gru_from_keras(case["params"], reset_after=reset_after)
    carry, outputs = modules.GRU(3, reset_after=reset_after).apply(
        {"params": params}, case["inputs"], return_carry=True
    )
    golden.assert_close(outputs, case["outputs"])
    golden.assert_close(carry, case["h"])
    back = interop.gru_to_keras(params, reset_after=reset_after, bias="bias" in case["params"])
    assert_same_entries(back, case["params"])


def test_without_a_place_for_it_the_recurrent_bias_is_summed():
    """Oracle: the equations. With the reset before the product, both biases only appear as a sum.
    Catches one of them lost."""
    rng = np.random.default_rng(0)
    params = {
        "kernel": rng.normal(size=(2, 9)),
        "recurrent_kernel": rng.normal(size=(3, 9)),
        "bias": rng.normal(size=9),
        "recurrent_bias": rng.normal(size=9),
    }
    bias = interop.gru_to_keras(params, reset_after=False)["bias"]
    for gate in "rzn":
        both = sum(oracles.gate(params[name], "rzn", gate) for name in ("bias", "recurrent_bias"))
        np.testing.assert_array_equal(oracles.gate(bias, "zrn", gate), both)


@pytest.mark.parametrize(
    ("kind", "from_keras", "case"),
    [
        (modules.LSTM, interop.lstm_from_keras, BOTH_LSTM),
        (modules.GRU, interop.gru_from_keras, BOTH_GRU),
    ],
    ids=["lstm", "gru"],
)
def test_both_directions_are_those_of_keras(kind, from_keras, case):
    """Oracle: Keras' outputs. Catches forward and backward exchanged."""
    params = {direction: from_keras(weights) for direction, weights in case["params"].items()}
    outputs = recurrent(kind, params).apply({"params": params}, case["inputs"])
    golden.assert_close(outputs, case["outputs"])


@pytest.mark.parametrize("case", ATTENTION.values(), ids=ATTENTION)
def test_attention_is_that_of_keras_and_goes_back(case):
    """Oracle: Keras' outputs and entries. Catches the axes of heads and features exchanged."""
    params = interop.multi_head_attention_from_keras(case["params"])
    arrays = [case.get(name) for name in ("query", "key", "value")]
    golden.assert_close(run_attention(params, 2, *arrays), case["outputs"])
    if "key" not in case:
        outputs = modules.MultiHeadAttention(2).apply({"params": params}, case["query"])
        golden.assert_close(outputs, case["outputs"])
    back = interop.multi_head_attention_to_keras(params, 2, bias="query/bias" in case["params"])
    assert_same_entries(back, case["params"])


def test_attention_without_biases_is_exported_too():
    """Oracle: Keras' entries. Catches a refusal of modules.MultiHeadAttention(use_bias=False)."""
    ours = interop.multi_head_attention_from_keras(THEIRS)
    kernels = {part: {"kernel": arrays["kernel"]} for part, arrays in ours.items()}
    assert_same_entries(interop.multi_head_attention_to_keras(kernels, 2, bias=False), THEIRS)
    with_zeros = interop.multi_head_attention_to_keras(ours, 2)
    assert_same_entries(interop.multi_head_attention_to_keras(kernels, 2), with_zeros)


def test_heads_of_other_size_for_values_go_there_and_back():
    """Oracle: the entries that came in. Catches the queries' head size used for the values."""
    shapes = {
        "query": (4, 2, 3),
        "key": (5, 2, 3),
        "value": (6, 2, 7),
        "attention_output": (2, 7, 8),
    }
    weights = {}
    for n, (part, shape) in enumerate(shapes.items()):
        rng = np.random.default_rng(n)
        weights[f"{part}/kernel"] = rng.normal(size=shape)
        weights[f"{part}/bias"] = rng.normal(size=shape[2:] if n == 3 else shape[1:])
    ours = interop.multi_head_attention_from_keras(weights)
    assert ours["value"]["kernel"].shape == (6, 14)
    assert ours["out"]["kernel"].shape == (14, 8)
    assert_same_entries(interop.multi_head_attention_to_keras(ours, 2), weights)


def assert_same_entries(mine, theirs):
    assert sorted(mine) == sorted(theirs)
    for name, array in theirs.items():
        np.testing.assert_array_equal(mine[name], array, strict=True)


LSTM = {"kernel": np.ones((2, 12)), "recurrent_kernel": np.ones((3, 12)), "bias": np.ones(12)}
GRU = {"kernel": np.ones((2, 9)), "recurrent_kernel": np.ones((3, 9)), "bias": np.ones((2, 9))}
OUR_GRU = GRU | {"bias": np.zeros(9), "recurrent_bias": np.arange(9.0)}
PART = {"kernel": np.ones((4, 6)), "bias": np.zeros(6)}
OUR_ATTENTION = {
    "query": PART,
    "key": PART,
    "value": PART,
    "out": {"kernel": np.ones((6, 4)), "bias": np.full(4, 3.0)},
}
THEIRS = ATTENTION["self_no_bias"]["params"]
# fmt: off
ERRORS = [
    (interop.lstm_from_keras, None, {}, "lstm_from_keras: expected a dictionary of arrays, got NoneType"),
    (interop.lstm_from_keras, {"lstm_cell/kernel": 0}, {}, "lstm_from_keras: expected the entries kernel, recurrent_kernel; missing kernel, recurrent_kernel; unexpected lstm_cell/kernel"),
    (interop.lstm_from_keras, LSTM | {"kernel": np.ones((2, 9))}, {}, "lstm_from_keras: kernel [D, 4H] expected shape (2, 12), got (2, 9)"),
    (interop.lstm_to_keras, {"kernel": 0, "bias": 0}, {}, "lstm_to_keras: expected the entries kernel, recurrent_kernel, bias; missing recurrent_kernel"),
    (interop.lstm_to_keras, LSTM, {"bias": False}, "lstm_to_keras: bias expected zeros, because bias=False drops it; got values up to 1 in magnitude"),
    (interop.gru_from_keras, GRU, {"reset_after": False}, "gru_from_keras: bias [3H] expected 1 axes, got shape (2, 9)"),
    (interop.gru_from_keras, GRU | {"bias": np.ones(9)}, {}, "gru_from_keras: bias [2, 3H] expected 2 axes, got shape (9,)"),
    (interop.gru_from_keras, GRU | {"bias": np.ones((3, 9))}, {}, "gru_from_keras: bias [2, 3H] expected shape (2, 9), got (3, 9)"),
    (interop.gru_to_keras, GRU, {}, "gru_to_keras: expected the entries kernel, recurrent_kernel, bias, recurrent_bias; missing recurrent_bias"),
    (interop.gru_to_keras, OUR_GRU, {"bias": False}, "gru_to_keras: recurrent_bias expected zeros, because bias=False drops it; got values up to 8 in magnitude"),
    (interop.multi_head_attention_from_keras, {}, {}, "multi_head_attention_from_keras: expected the entries query/kernel, key/kernel, value/kernel, attention_output/kernel; missing query/kernel, key/kernel, value/kernel, attention_output/kernel"),
    (interop.multi_head_attention_from_keras, THEIRS | {"value/kernel": np.ones((4, 1, 2))}, {}, "multi_head_attention_from_keras: value/kernel [Q, N, V] expected shape (4, 2, 2), got (4, 1, 2)"),
    (interop.multi_head_attention_to_keras, OUR_ATTENTION, {"num_heads": 4}, "multi_head_attention_to_keras: num_heads expected a divisor of 6, got 4"),
    (interop.multi_head_attention_to_keras, OUR_ATTENTION, {"num_heads": 0}, "multi_head_attention_to_keras: num_heads expected a divisor of 6, got 0"),
    (interop.multi_head_attention_to_keras, OUR_ATTENTION | {"key": PART | {"kernel": np.ones((4, 8))}}, {"num_heads": 2}, "multi_head_attention_to_keras: key/kernel [P, NK] expected shape (4, 6), got (4, 8)"),
    (interop.multi_head_attention_to_keras, OUR_ATTENTION, {"num_heads": 2, "bias": False}, "multi_head_attention_to_keras: out/bias expected zeros, because bias=False drops it; got values up to 3 in magnitude"),
]
# fmt: on


@pytest.mark.parametrize(
    ("function", "entries", "options", "message"), ERRORS, ids=range(len(ERRORS))
)
def test_a_mistake_is_one_line(function, entries, options, message):
    """Catches a mistake that passes, and a message without the entry, what was expected or came."""
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        function(entries, **options)
