"""`ops.dot_product_attention(implementation="native")` as the user calls it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from lstm_attn import native, ops
from tests import oracles
from tests.native import attention_cases as cases
from tests.ops.test_chunked_attention import OPTIONS, random_case

dense = functools.partial(ops.dot_product_attention, implementation="dense")
native_op = functools.partial(ops.dot_product_attention, implementation="native")
PLAIN = [name for name, (_, options) in OPTIONS.items() if not {"bias", "mask"} & options.keys()]


def arrays_of(name):
    sizes, options = OPTIONS[name]
    arrays = [array.astype(jnp.float32) for array in random_case(**sizes)]
    return arrays, {
        k: jnp.asarray(v) if isinstance(v, np.ndarray) else v for k, v in options.items()
    }


def scalar_of(function, **options):
    return lambda *arrays: jnp.sum(jnp.sin(function(*arrays, **options)))


def assert_close(ours, theirs):
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=oracles.MODEL, atol=oracles.MODEL)


@pytest.mark.full_but("lengths")
@pytest.mark.parametrize("name", PLAIN)
def test_values_and_derivatives_are_those_of_the_dense_form(name):
    """Oracle: the dense form. Catches an option that the op does not hand on, a gradient given to
    another array, a forward mode that disagrees with reverse mode."""
    arrays, options = arrays_of(name)

    def results(function):
        scalar = scalar_of(function, **options)
        gradients = jax.jit(jax.grad(scalar, (0, 1, 2)))(*arrays)
        _, slope = jax.jvp(scalar, arrays, [jnp.cos(array) for array in arrays])
        return function(*arrays, **options), gradients, slope

    assert_close(results(native_op), results(dense))


@pytest.mark.full
def test_values_and_gradients_are_those_of_jax():
    """Oracle: `jax.nn.dot_product_attention`. Catches an argument whose meaning differs."""
    (query, key, value), _ = arrays_of("grouped queries")
    options = {
        "local_window_size": (3, 1),
        "key_value_seq_lengths": jnp.array([8, 5]),
        "scale": 0.4,
    }

    def results(function):
        return jax.grad(scalar_of(function, **options), (0, 1, 2))(query, key, value)

    assert_close(results(native_op), results(jax.nn.dot_product_attention))


def test_gradients_are_differences():
    """Oracle: central differences. Catches a gradient that only agrees with itself."""
    arrays, options = arrays_of("causal")
    scalar = scalar_of(native_op, **options)
    check_grads(scalar, arrays, order=1, modes=["rev"], eps=1e-2, rtol=1e-2, atol=1e-2)


@pytest.mark.full
def test_second_derivatives_and_one_gradient_alone():
    """Oracle: the dense form. Catches a rule that JAX can't differentiate again, or that computes a
    gradient only with all the others."""
    arrays, options = arrays_of("lengths")
    tangents = [jnp.cos(array) for array in arrays]

    def results(function):
        scalar = scalar_of(function, **options)

        def length(*arrays):
            return sum(jnp.sum(jnp.sin(g)) for g in jax.grad(scalar, (0, 2))(*arrays))

        again = jax.grad(length, (0, 1, 2))(*arrays)
        return jax.grad(scalar, 1)(*arrays), again, jax.jvp(length, arrays, tangents)[1]

    assert_close(results(native_op), results(dense))


@pytest.mark.full_but("(None, 1, 0)")
@pytest.mark.parametrize("mapped", [(0, 0, 0), (0, None, None), (None, 1, 0)], ids=str)
def test_trials_are_one_call_and_a_loop_over_them(mapped):
    """Oracle: the dense form, one trial after another; the compiled program. Catches trials mixed up,
    an array without the axis that is read as if it had it, and a call for each trial."""
    arrays, options = arrays_of("lengths")
    stacked = [
        array if axis is None else jnp.stack([array, jnp.cos(array), array / 2], axis)
        for array, axis in zip(arrays, mapped, strict=True)
    ]

    def gradient(function):
        return jax.grad(scalar_of(function, **options), (0, 1, 2))

    over_trials = jax.jit(jax.vmap(gradient(native_op), mapped)).lower(*stacked).compile()
    got = over_trials(*stacked)
    assert over_trials.as_text().count('"lstm_attn_attention_backward"') == 1
    assert " while(" not in over_trials.as_text()
    for trial in range(3):
        one = [
            array if axis is None else jnp.take(array, trial, axis)
            for array, axis in zip(stacked, mapped, strict=True)
        ]
        assert_close([g[trial] for g in got], gradient(dense)(*one))


def test_auto_takes_the_kernel_where_it_can(monkeypatch):
    """Oracle: the traced program. Catches a kernel that is built and never run, or run where it has
    no form of an argument."""
    case = cases.draw((1, 20, 2, 2, 20, 4))
    query, key, value = map(jnp.asarray, case.arrays)

    def runs_the_kernel(query, **options):
        attend = functools.partial(ops.dot_product_attention, **options)
        return "lstm_attn_kernel" in str(jax.make_jaxpr(attend)(query, key, value))

    assert runs_the_kernel(query)
    assert not runs_the_kernel(query.astype(jnp.bfloat16))
    assert not runs_the_kernel(query[:, :1])
    assert not runs_the_kernel(query, mask=jnp.ones((20, 20), bool))
    assert not runs_the_kernel(query, bias=jnp.ones((20, 20)))
    for options, reason in (
        ({"bias": jnp.ones((20, 20)), "mask": jnp.ones((20, 20), bool)}, "no bias and no mask"),
        ({"mask": jnp.ones((20, 20), bool)}, "expected no mask"),
    ):
        with pytest.raises(ValueError, match=reason):
            native_op(query, key, value, **options)
    with pytest.raises(ValueError, match="expected inputs in float32, got bfloat16"):
        native_op(query.astype(jnp.bfloat16), key, value)
    monkeypatch.setattr(native, "available", lambda: False)
    assert not runs_the_kernel(query)
    with pytest.raises(ValueError, match="expected the kernel, which `python -m lstm_attn.native`"):
        native_op(query, key, value)


def test_what_is_traced_here_runs_elsewhere():
    """Oracle: the text for a TPU. Catches a call of the kernel in a program for another platform."""
    shape = jax.ShapeDtypeStruct((1, 20, 2, 4), jnp.float32)
    slopes = jax.jit(jax.grad(scalar_of(ops.dot_product_attention), (0, 1, 2)))
    text = slopes.trace(shape, shape, shape).lower(lowering_platforms=("tpu",)).as_text()
    assert "lstm_attn_attention" not in text
