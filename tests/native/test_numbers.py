"""Accuracy of the activations, special numbers, and the same bits at every call."""

import ctypes

import numpy as np
import pytest

from lstm_attn import native
from lstm_attn.native.library import load
from tests import oracles
from tests.native import cases


def activation(name, values):
    values = np.ascontiguousarray(values, np.float32)
    assert values.size % 16 == 0
    results = np.empty_like(values)
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (values, results)]
    getattr(load(), f"lstm_attn_{name}")(*pointers, ctypes.c_size_t(values.size))
    return results


GRID = np.concatenate(
    [np.linspace(-25, 25, 2**20), np.geomspace(1e-30, 1, 2**14), -np.geomspace(1e-30, 1, 2**14)]
).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "exact"),
    [("sigmoid", lambda x: 1 / (1 + np.exp(-x))), ("tanh", np.tanh)],
    ids=["sigmoid", "tanh"],
)
def test_activations_are_near_float64(name, exact):
    """Oracle: numpy in float64. Catches a wrong coefficient, and a tanh that is 0 near 0."""
    got, wanted = activation(name, GRID), exact(GRID.astype(np.float64))
    few_units = oracles.rounding_bound("float32", 0)
    np.testing.assert_allclose(got, wanted, rtol=few_units, atol=0)


def test_activations_saturate_and_keep_nan():
    """Oracle: the limits. Catches overflow in the exponential and a comparison that drops NaN."""
    values = np.resize(np.float32([np.inf, -np.inf, np.nan, 1e4, -1e4, 3e38, -3e38, 0]), 16)
    np.testing.assert_allclose(
        activation("sigmoid", values)[:8], [1, 0, np.nan, 1, 0, 1, 0, 0.5], atol=1e-30
    )
    np.testing.assert_allclose(
        activation("tanh", values)[:8],
        [1, -1, np.nan, 1, -1, 1, -1, 0],
        atol=oracles.UNITS["float32"],
    )


def test_saturated_gates_count_steps():
    """Oracle: with every gate at 1, c_t = c_0 + t and h_t = tanh(c_t), and no gradient but that of
    c passes. Catches NaN at large gates."""
    case = cases.draw(3, 6, 2, 5)
    kernel, recurrent_kernel, bias, x, h0, c0 = case.arguments
    arguments = (kernel, recurrent_kernel, np.full_like(bias, 1e4), x, h0, c0)
    hs, _, c_last, *gradients = cases.both(cases.Case(arguments, None, case.gradients))
    steps = np.arange(1, 7, dtype=np.float32)[:, None, None]
    np.testing.assert_allclose(hs, np.tanh(c0 + steps), rtol=oracles.rounding_bound("float32", 6))
    np.testing.assert_allclose(c_last, c0 + 6, rtol=oracles.rounding_bound("float32", 6))
    for gradient in gradients:
        assert np.isfinite(gradient).all()
    *_, d_kernel, _, _, _, _, d_c0 = (case.gradients[2], *gradients)
    np.testing.assert_allclose(d_kernel, 0, atol=oracles.MODEL)
    assert d_c0.shape == c0.shape


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_stays_in_its_row(value):
    """Oracle: the other rows' bits without it, and NaN in its own row from that step on. Catches
    rows that share a tile's sums, and a NaN that the activations swallow."""
    case = cases.draw(7, 5, 3, 20)
    *front, x, h0, c0 = case.arguments
    poisoned = x.copy()
    poisoned[2, 4] = [value, -value, value]  # inf - inf is NaN
    clean = np.asarray(native.lstm_forward(*case.arguments, None, reverse=False, save=False)[0])
    hs = np.asarray(
        native.lstm_forward(*front, poisoned, h0, c0, None, reverse=False, save=False)[0]
    )
    others = np.arange(7) != 4
    np.testing.assert_array_equal(hs[:, others], clean[:, others])
    np.testing.assert_array_equal(hs[:2], clean[:2])
    if np.isnan(value):
        assert np.isnan(hs[2:, 4]).all()


def test_vanishing_gradients_become_zero(threads):
    """Oracle: the smallest normal number. Catches threads that compute with denormal numbers, at ten
    times the cost."""
    threads(2)
    case = cases.draw(32, 30, 10, 64)
    d_hs, *d_state = case.gradients
    tiny = (np.zeros_like(d_hs), *(np.float32(1e-36) * g for g in d_state))
    gradients = cases.both(cases.Case(case.arguments, None, tiny))[3:]
    sizes = np.concatenate([np.abs(np.ravel(g)) for g in gradients])
    smallest = np.finfo(np.float32).tiny
    assert ((sizes == 0) | (sizes >= smallest)).all()
    assert (sizes == 0).any()


@pytest.mark.parametrize("sizes", [(32, 30, 10, 64), (4, 20, 9, 260)], ids=["rows", "units"])
def test_two_threads_give_the_same_bits_at_every_call(sizes, threads):
    """Oracle: the first call. Catches a race, and sums in the order in which threads arrive."""
    threads(2)
    case = cases.draw(*sizes, flagged=True)
    first = cases.both(case)
    for _ in range(20):
        cases.assert_same_bits(cases.both(case), first)
