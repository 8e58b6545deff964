"""jit, vmap, control flow, grad by custom_vjp, and shard_map over host devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from lstm_attn import native
from tests import oracles
from tests.native import cases

SIZES = (8, 6, 3, 20)


@jax.custom_vjp
def layer(*arguments):
    return native.lstm_forward(*arguments, None, reverse=False, save=False)[:3]


def layer_forward(*arguments):
    *values, residuals = native.lstm_forward(*arguments, None, reverse=False, save=True)
    return tuple(values), (arguments, residuals)


def layer_backward(kept, gradients):
    arguments, residuals = kept
    return native.lstm_backward(
        *arguments, None, residuals, *gradients, reverse=False, need_dx=True
    )


layer.defvjp(layer_forward, layer_backward)


def value_and_gradients(arguments, gradients):
    values, pullback = jax.vjp(layer, *arguments)
    return *values, *pullback(gradients)


def stacked(seeds):
    """The arguments and gradients of several cases, each array with an axis for the cases."""
    drawn = [cases.draw(*SIZES, seed=seed) for seed in seeds]
    return jax.tree.map(
        lambda *arrays: np.stack(arrays), *[(d.arguments, d.gradients) for d in drawn]
    )


@pytest.mark.parametrize(
    "mapped",
    [
        jax.jit(jax.vmap(value_and_gradients)),
        jax.jit(lambda a, g: jax.lax.map(lambda one: value_and_gradients(*one), (a, g))),
    ],
    ids=["vmap", "lax.map"],
)
def test_a_batch_of_layers_is_a_loop_over_them(mapped):
    """Oracle: one call after another, bit for bit. Catches a batching rule that mixes layers."""
    arguments, gradients = stacked(range(3))
    got = mapped(arguments, gradients)
    for index in range(3):
        one = cases.draw(*SIZES, seed=index)
        cases.assert_same_bits([array[index] for array in got], cases.both(one))


def test_vmap_over_flags_alone():
    """Oracle: one call after another. Catches an unbatched operand that is read as batched."""
    case = cases.draw(*SIZES)
    flags = np.random.default_rng(0).choice(4, size=(3, SIZES[1], SIZES[0])).astype(np.uint8)

    def outputs(flags):
        return native.lstm_forward(*case.arguments, flags, reverse=True, save=False)[0]

    got = jax.vmap(outputs)(jnp.asarray(flags))
    for index in range(3):
        np.testing.assert_array_equal(got[index], outputs(flags[index]))


@pytest.mark.parametrize("check", [True, False], ids=["check_vma", "no check_vma"])
def test_the_batch_on_four_devices(check):
    """Oracle: one device; sums of parameters over devices by hand. Catches calls that disturb each
    other, and split operands mixed up with replicated ones."""
    case = cases.draw(*SIZES)
    mesh = jax.make_mesh((4,), ("batch",), axis_types=(AxisType.Auto,))
    params, state, rows = (P(),) * 3, P("batch"), P(None, "batch")

    def local(arguments, gradients):
        *values, residuals = native.lstm_forward(*arguments, None, reverse=False, save=True)
        got = native.lstm_backward(
            *arguments, None, residuals, *gradients, reverse=False, need_dx=True
        )
        return *values, *(jax.lax.psum(g, "batch") for g in got[:3]), *got[3:]

    sharded = jax.shard_map(
        local,
        mesh=mesh,
        in_specs=((*params, rows, state, state), (rows, state, state)),
        out_specs=(rows, state, state, *params, rows, state, state),
        check_vma=check,
    )
    got = jax.jit(sharded)(case.arguments, case.gradients)
    batch, length, features_in, features = SIZES
    terms = features_in + features + length * batch
    for name, ours, alone in zip(cases.NAMES, got, cases.both(case), strict=True):
        oracles.assert_close(ours, alone, terms, name=name)
