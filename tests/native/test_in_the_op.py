"""`ops.lstm(implementation="native")` against the plain scan, as the user calls it."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import native, ops
from lstm_attn.ops import native_kernels
from tests import oracles
from tests.ops import test_lstm
from tests.ops.test_implementations import LENGTHS, OPTIONS, RESETS, SCAN, assert_close, scalar_of

NATIVE = {"implementation": "native"}


def arrays():
    case = test_lstm.random_case(0, 4, 7, 3, 5, np.float32)
    return jax.tree.map(jnp.asarray, case)


@pytest.mark.full_but("all, reversed-3")
@pytest.mark.parametrize("segment", [None, 3])
@pytest.mark.parametrize("options", OPTIONS)
def test_values_and_derivatives_are_those_of_the_scan(compiled, options, segment):
    """Oracle: the plain scan. Catches a gradient given to another leaf, a reset or an end that the
    kernel puts at another step, a forward mode that disagrees with reverse mode."""
    results = []
    for choice in (SCAN, {**NATIVE, "segment": segment}):
        scalar = scalar_of(ops.lstm, **choice, **OPTIONS[options])
        gradients = jax.jit(jax.grad(scalar, (0, 1, 2)))(*arrays())
        _, slope = jax.jvp(scalar, arrays(), jax.tree.map(jnp.cos, arrays()))
        results.append((ops.lstm(*arrays(), **choice, **OPTIONS[options]), gradients, slope))
    assert_close(*results, rtol=1e-4, atol=oracles.MODEL)


@pytest.mark.full
def test_one_gradient_alone_and_second_derivatives(compiled):
    """Oracle: the plain scan. Catches a gradient that is computed only with all the others, and a
    rule that JAX can't differentiate again."""
    params, inputs, state = arrays()
    results = []
    for choice in (SCAN, NATIVE):
        scalar = scalar_of(ops.lstm, **choice)
        alone = jax.grad(scalar, 1)(params, inputs, state)

        def slope(factor, scalar=scalar):
            return jnp.sum(jax.grad(scalar, 1)(params, inputs * factor, state))

        results.append((alone, jax.grad(slope)(0.7), jax.jvp(slope, (0.7,), (1.0,))[1]))
    assert_close(*results, rtol=1e-3, atol=1e-4)


@pytest.mark.full
def test_mapped_over_trials_as_one_after_another(compiled):
    """Oracle: a Python loop. Catches trials that share the kernel's memory."""
    params, inputs, state = arrays()
    gradient = jax.grad(scalar_of(ops.lstm, seq_lengths=LENGTHS, resets=RESETS, **NATIVE), (0, 1))
    trials = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf * 0.5]), (params, inputs))
    mapped = jax.vmap(gradient, (0, 0, None))(*trials, state)
    for trial in range(2):
        one = jax.tree.map(lambda leaf, trial=trial: leaf[trial], trials)
        alone = gradient(*one, state)
        assert_close(jax.tree.map(lambda leaf, t=trial: leaf[t], mapped), alone, atol=oracles.MODEL)


def test_auto_takes_the_kernel_for_float32_and_no_other(compiled, monkeypatch):
    """Oracle: the lowered program. Catches a kernel that is built and never run, or run on numbers
    that it would round."""
    params, inputs, _ = arrays()

    def runs_the_kernel(x):
        lowered = jax.jit(lambda x: ops.lstm(params, x)[0]).lower(x)
        return "lstm_attn_lstm_forward" in lowered.as_text()

    assert runs_the_kernel(inputs)
    assert not runs_the_kernel(inputs.astype(jnp.bfloat16))
    with pytest.raises(ValueError, match="expected inputs in float32, got bfloat16"):
        ops.lstm(params, inputs.astype(jnp.bfloat16), **NATIVE)
    monkeypatch.setattr(native, "available", lambda: False)
    assert not runs_the_kernel(inputs * 2)
    with pytest.raises(ValueError, match="expected the kernel, which `python -m lstm_attn.native`"):
        ops.lstm(params, inputs, **NATIVE)


def test_auto_without_the_kernel_says_so_once(monkeypatch):
    """Catches a run that is silently slow, a notice at each call, and one where the kernel would not
    be used anyway."""
    monkeypatch.setattr(native, "available", lambda: False)
    native_kernels.warn_not_built.cache_clear()
    params, inputs, state = arrays()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ops.lstm(params, inputs, state, implementation="scan")
        assert caught == []
        for _ in range(2):
            ops.lstm(params, inputs, state)
    assert [str(one.message).partition(";")[0] for one in caught] == [
        "the LSTM and attention run without their C++ kernels, which is slower"
    ]
    assert "`python -m lstm_attn.native`" in str(caught[0].message)
