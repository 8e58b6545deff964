"""Random arguments of the native LSTM, and the same sequence as a plain scan in float64."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_attn import native, ops
from lstm_attn.ops.lstm_step import LSTMParams, LSTMState
from tests import oracles

RESET, PADDING = 1, 2


class Case(NamedTuple):
    """arguments: kernel to c0. flags: [T, B] or None. gradients: of hs, h_last and c_last."""

    arguments: tuple
    flags: np.ndarray | None
    gradients: tuple


def draw(batch, length, inputs, features, flagged=False, seed=0):
    rng = np.random.default_rng(seed)

    def normal(*shape, scale=0.5):
        return (scale * rng.normal(size=shape)).astype(np.float32)

    arguments = (
        normal(inputs, 4 * features, scale=inputs**-0.5),
        normal(features, 4 * features, scale=features**-0.5),
        normal(4 * features),
        normal(length, batch, inputs),
        normal(batch, features),
        normal(batch, features),
    )
    gradients = (normal(length, batch, features), normal(batch, features), normal(batch, features))
    # All four values: a reset in the padding has no effect.
    flags = rng.choice(4, size=(length, batch), p=[0.6, 0.2, 0.1, 0.1]).astype(np.uint8)
    return Case(arguments, flags if flagged else None, gradients)


def forward(case, reverse=False, arguments=None):
    """hs, h_last, c_last and the residuals."""
    return native.lstm_forward(
        *(arguments or case.arguments), case.flags, reverse=reverse, save=True
    )


def backward(case, residuals, reverse=False, need_dx=True):
    """The gradients of the six arguments."""
    return native.lstm_backward(
        *case.arguments, case.flags, residuals, *case.gradients, reverse=reverse, need_dx=need_dx
    )


def both(case, reverse=False):
    """hs, h_last and c_last, then the gradients of kernel, recurrent_kernel, bias, x, h0 and c0."""
    *values, residuals = forward(case, reverse)
    return *values, *backward(case, residuals, reverse)


def expected(case, reverse=False):
    """The same as `both` by jax.vjp of a scan of `ops.lstm_step`, in float64."""
    kernel, _, _, x, _, _ = case.arguments
    features = kernel.shape[1] // 4
    flags = np.zeros(x.shape[:2], np.uint8) if case.flags is None else case.flags
    padding = flags & PADDING > 0

    def run(kernel, recurrent_kernel, bias, x, h0, c0):
        params = LSTMParams(kernel, recurrent_kernel, bias)

        def body(before, slices):
            x_t, reset, padded = slices
            state = jax.tree.map(lambda leaf: jnp.where(reset[:, None], 0, leaf), before)
            after, _ = ops.lstm_step(params, state, jnp.where(padded[:, None], 0, x_t))
            kept = jax.tree.map(
                lambda new, old: jnp.where(padded[:, None], old, new), after, before
            )
            return kept, kept.h

        slices = (x, flags & RESET > 0, padding)
        state, hs = jax.lax.scan(body, LSTMState(h0, c0), slices, reverse=reverse)
        return hs, state.h, state.c

    with jax.enable_x64(True):
        doubled = [jnp.asarray(np.asarray(a, np.float64)) for a in case.arguments]
        values, pullback = jax.vjp(run, *doubled)
        d_hs, *d_state = (np.asarray(g, np.float64) for g in case.gradients)
        d_hs = np.where(np.repeat(padding[..., None], features, axis=-1), 0, d_hs)
        gradients = pullback((jnp.asarray(d_hs), *map(jnp.asarray, d_state)))
        return [np.asarray(array) for array in (*values, *gradients)]


NAMES = ("hs", "h_last", "c_last", "kernel", "recurrent_kernel", "bias", "x", "h0", "c0")


def assert_near(got, wanted):
    """Errors within those of float32 sums over features of inputs and states and, in gradients,
    over batch and time. A state forgets, so that its errors do not grow from step to step."""
    length, batch, features = got[0].shape
    features_in = got[NAMES.index("x")].shape[-1]
    terms = features_in + features + length * batch
    for name, ours, oracle in zip(NAMES, got, wanted, strict=True):
        assert ours.shape == oracle.shape, name
        assert ours.dtype == np.float32, name
        oracles.assert_close(ours, oracle, terms, name=name)


def assert_same_bits(got, wanted):
    for name, ours, theirs in zip(NAMES, got, wanted, strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=name)
