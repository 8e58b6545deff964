"""Conversion from and to PyTorch, against what torch computed, kept in tests/golden."""

import re

import numpy as np
import pytest

from lstm_attn import interop, modules
from lstm_attn.errors import UsageError
from tests import golden
from tests.interop.running import run_layers, run_sequential

RECURRENT = {
    "torch_lstm": (modules.LSTM, interop.lstm_from_torch, interop.lstm_to_torch),
    "torch_gru": (modules.GRU, interop.gru_from_torch, interop.gru_to_torch),
}
CASES = [
    pytest.param(file, case, id=f"{file}-{name}")
    for file in RECURRENT
    for name, case in golden.load(file).items()
]
ATTENTION = golden.load("torch_multi_head_attention")


@pytest.mark.parametrize(("file", "case"), CASES)
def test_recurrent_outputs_and_final_states_are_those_of_torch(file, case):
    """Oracle: torch's outputs. Catches gates, transposes, directions and biases exchanged."""
    module, from_torch, _ = RECURRENT[file]
    params = from_torch(case["params"])
    golden.assert_close(run_sequential(module, params, case["inputs"]), case["outputs"])
    outputs, states = run_layers(module, params, case["inputs"])
    golden.assert_close(outputs, case["outputs"])
    for name in "hc" if module is modules.LSTM else "h":
        mine = np.stack([getattr(state, name, state) for state in states])
        golden.assert_close(mine, case[name])


@pytest.mark.parametrize(("file", "case"), CASES)
def test_recurrent_parameters_go_back_to_the_same_entries(file, case):
    """Oracle: the entries that came in, of an LSTM the sum of its biases. Catches a conversion back
    that is not the inverse, an entry too many or too few, another dtype."""
    _, from_torch, to_torch = RECURRENT[file]
    has_bias = "bias_ih_l0" in case["params"]
    back = to_torch(from_torch(case["params"]), bias=has_bias)
    assert sorted(back) == sorted(case["params"])
    for name, array in case["params"].items():
        wanted = array
        if file == "torch_lstm" and name.startswith("bias_ih"):
            wanted = array + case["params"][name.replace("_ih", "_hh")]
        elif file == "torch_lstm" and name.startswith("bias_hh"):
            wanted = np.zeros_like(array)
        np.testing.assert_array_equal(back[name], wanted, strict=True)


@pytest.mark.parametrize("case", ATTENTION.values(), ids=ATTENTION)
def test_attention_outputs_are_those_of_torch(case):
    """Oracle: torch's outputs. Catches projections exchanged or not transposed, a bias lost."""
    params = interop.multi_head_attention_from_torch(case["params"])
    arrays = [case[name] for name in ("query", "key", "value") if name in case]
    outputs = modules.MultiHeadAttention(2).apply({"params": params}, *arrays)
    golden.assert_close(outputs, case["outputs"])


@pytest.mark.parametrize("case", ATTENTION.values(), ids=ATTENTION)
def test_attention_parameters_go_back_to_the_same_entries(case):
    """Oracle: the entries that came in. Catches in_proj_weight where torch keeps three weights."""
    ours = interop.multi_head_attention_from_torch(case["params"])
    back = interop.multi_head_attention_to_torch(ours, bias="in_proj_bias" in case["params"])
    assert sorted(back) == sorted(case["params"])
    for name, array in case["params"].items():
        np.testing.assert_array_equal(back[name], array, strict=True)


def test_attention_without_biases_is_exported_too():
    """Oracle: torch's entries. Catches a refusal of modules.MultiHeadAttention(use_bias=False)."""
    entries = ATTENTION["self_no_bias"]["params"]
    ours = interop.multi_head_attention_from_torch(entries)
    kernels = {part: {"kernel": arrays["kernel"]} for part, arrays in ours.items()}
    assert sorted(interop.multi_head_attention_to_torch(kernels, bias=False)) == sorted(entries)
    with_zeros = interop.multi_head_attention_to_torch(kernels)
    for name, array in interop.multi_head_attention_to_torch(ours).items():
        np.testing.assert_array_equal(with_zeros[name], array, strict=True)


def test_what_comes_out_is_a_copy_in_the_same_dtype():
    """Catches a view of weights that training changes later, and a cast to float32."""
    source = {
        name: array.astype(np.float64)
        for name, array in golden.load("torch_gru")["one_layer"]["params"].items()
    }
    params = interop.gru_from_torch(source)["layers_0"]
    back = interop.gru_to_torch({"layers_0": params})
    for array in (*params.values(), *back.values()):
        assert array.dtype == np.float64
        assert array.flags.c_contiguous
        assert array.flags.writeable
    for name, array in source.items():
        assert not any(np.shares_memory(array, ours) for ours in params.values())
        assert not any(np.shares_memory(ours, back[name]) for ours in params.values())


def lstm_entries(bias=True, **more):
    entries = {"weight_ih_l0": np.ones((12, 2)), "weight_hh_l0": np.ones((12, 3))}
    if bias:
        entries |= {"bias_ih_l0": np.ones(12), "bias_hh_l0": np.ones(12)}
    return entries | more


def lstm_params(**changes):
    params = {
        "kernel": np.ones((2, 12)),
        "recurrent_kernel": np.ones((3, 12)),
        "bias": np.arange(12.0),
    }
    return {"layers_0": params | changes}


def attention_entries(**more):
    return {"in_proj_weight": np.ones((12, 4)), "out_proj.weight": np.ones((4, 4))} | more


def attention_params(features=4, bias=0.0):
    part = {"kernel": np.ones((4, features)), "bias": np.full(features, bias)}
    return dict.fromkeys(("query", "key", "value", "out"), part)


NAMES = "weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0"
# fmt: off
ERRORS = [
    (interop.lstm_from_torch, [], {}, "lstm_from_torch: expected a dictionary of arrays, got list"),
    (interop.lstm_from_torch, {}, {}, "lstm_from_torch: expected the entries weight_ih_l0, weight_hh_l0; missing weight_ih_l0, weight_hh_l0"),
    (interop.lstm_from_torch, lstm_entries(weight_hr_l0=np.ones((2, 3))), {}, f"lstm_from_torch: expected the entries {NAMES}; unexpected weight_hr_l0"),
    (interop.lstm_from_torch, lstm_entries(False, bias_ih_l0=np.ones(12), bias_hh=0), {}, f"lstm_from_torch: expected the entries {NAMES}; missing bias_hh_l0; unexpected bias_hh"),
    (interop.lstm_from_torch, lstm_entries(False, weight_ih_l2=np.ones((12, 3))), {}, "lstm_from_torch: expected the entries weight_ih_l0, weight_hh_l0; unexpected weight_ih_l2"),
    (interop.lstm_from_torch, lstm_entries(weight_hh_l0=np.ones((12, 4))), {}, "lstm_from_torch: weight_hh_l0 [4H, H] expected shape (12, 3), got (12, 4)"),
    (interop.lstm_from_torch, lstm_entries(weight_hh_l0=np.ones((10, 4))), {}, "lstm_from_torch: weight_hh_l0 [4H, H] expected shape (a multiple of 4, 4), got (10, 4)"),
    (interop.lstm_from_torch, lstm_entries(bias_hh_l0=np.ones((12, 1))), {}, "lstm_from_torch: bias_hh_l0 [4H] expected 1 axes, got shape (12, 1)"),
    (interop.lstm_from_torch, lstm_entries(bias_hh_l0=None), {}, "lstm_from_torch: bias_hh_l0 expected an array of numbers, got NoneType"),
    (interop.lstm_from_torch, lstm_entries(False, weight_ih_l1=np.ones((12, 2)), weight_hh_l1=np.ones((12, 3))), {}, "lstm_from_torch: weight_ih_l1 [4H, H] expected shape (12, 3), got (12, 2)"),
    (interop.gru_from_torch, lstm_entries(), {}, "gru_from_torch: weight_hh_l0 [3H, H] expected shape (12, 4), got (12, 3)"),
    (interop.lstm_to_torch, lstm_params()["layers_0"], {}, "lstm_to_torch: expected the entries layers_0/kernel, layers_0/recurrent_kernel, layers_0/bias; missing layers_0/kernel, layers_0/recurrent_kernel, layers_0/bias; unexpected kernel, recurrent_kernel, bias"),
    (interop.lstm_to_torch, lstm_params(recurrent_bias=np.ones(12)), {}, "lstm_to_torch: expected the entries layers_0/kernel, layers_0/recurrent_kernel, layers_0/bias; unexpected layers_0/recurrent_bias"),
    (interop.lstm_to_torch, lstm_params(bias=np.ones(9)), {}, "lstm_to_torch: layers_0/bias [4H] expected shape (12), got (9,)"),
    (interop.lstm_to_torch, lstm_params(), {"bias": False}, "lstm_to_torch: layers_0/bias expected zeros, because bias=False drops it; got values up to 11 in magnitude"),
    (interop.gru_to_torch, {"layers_0": {"kernel": np.ones((2, 9)), "recurrent_kernel": np.ones((3, 9)), "bias": np.zeros(9), "recurrent_bias": np.full(9, -0.5),}}, {"bias": False}, "gru_to_torch: layers_0/recurrent_bias expected zeros, because bias=False drops it; got values up to 0.5 in magnitude"),
    (interop.lstm_to_torch, lstm_params() | {"layers_1": {"kernel": np.ones((3, 16)), "recurrent_kernel": np.ones((4, 16)), "bias": np.ones(16)}}, {}, "lstm_to_torch: layers_1/recurrent_kernel [H, 4H] expected shape (3, 12), got (4, 16)"),
    (interop.multi_head_attention_from_torch, attention_entries(bias_k=np.ones((1, 1, 4)), bias_v=np.ones((1, 1, 4))), {}, "multi_head_attention_from_torch: expected the entries in_proj_weight, out_proj.weight; unexpected bias_k, bias_v"),
    (interop.multi_head_attention_from_torch, attention_entries(in_proj_bias=np.ones(12)), {}, "multi_head_attention_from_torch: expected the entries in_proj_weight, out_proj.weight, in_proj_bias, out_proj.bias; missing out_proj.bias"),
    (interop.multi_head_attention_from_torch, attention_entries(in_proj_weight=np.ones((8, 4))), {}, "multi_head_attention_from_torch: in_proj_weight [3F, F] expected shape (12, 4), got (8, 4)"),
    (interop.multi_head_attention_to_torch, attention_params(6), {}, "multi_head_attention_to_torch: query/kernel [F, F] expected shape (4, 4), got (4, 6)"),
    (interop.multi_head_attention_to_torch, attention_params(bias=2.0), {"bias": False}, "multi_head_attention_to_torch: query/bias expected zeros, because bias=False drops it; got values up to 2 in magnitude"),
]
# fmt: on


@pytest.mark.parametrize(
    ("function", "entries", "options", "message"), ERRORS, ids=range(len(ERRORS))
)
def test_a_mistake_is_one_line(function, entries, options, message):
    """Catches a mistake that passes, and a message without the entry, what was expected or came."""
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        function(entries, **options)


class Unreadable:
    """Like a tensor on a GPU, or one of a dtype that numpy lacks."""

    def __array__(self, dtype=None, copy=None):
        raise TypeError("can't convert this tensor\nsecond line")


def test_an_array_that_numpy_cannot_read_is_one_line():
    """Catches torch's own traceback and its several lines."""
    message = "^lstm_from_torch: bias_hh_l0 expected an array that numpy can read, got Unreadable: can't convert this tensor$"
    with pytest.raises(UsageError, match=message):
        interop.lstm_from_torch(lstm_entries(bias_hh_l0=Unreadable()))
