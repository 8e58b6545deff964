"""Random arguments of the native attention, and its equation and gradient in float64 numpy."""

from typing import NamedTuple

import numpy as np

from lstm_attn import native
from lstm_attn.native.attention import Spec
from tests import oracles

NAMES = ("outputs", "query", "key", "value")


class Case(NamedTuple):
    """arrays: query [B, T, N, K], key and value [B, S, M, K]. lengths: [B, 2] or None. gradient: of
    the outputs."""

    arrays: tuple
    lengths: np.ndarray | None
    gradient: np.ndarray
    spec: Spec


def draw(sizes, left=None, right=None, with_lengths=False, seed=0):
    """sizes: (B, T, N, M, S, K)."""
    batch, queries, heads, groups, keys, features = sizes
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return rng.normal(size=shape).astype(np.float32)

    arrays = (
        normal(batch, queries, heads, features),
        *(normal(batch, keys, groups, features) for _ in range(2)),
    )
    lengths = np.stack(
        [rng.integers(0, size + 1, batch) for size in (queries, keys)], axis=1
    ).astype(np.int32)
    return Case(
        arrays,
        lengths if with_lengths else None,
        normal(batch, queries, heads, features),
        Spec(features**-0.5, left, right),
    )


def both(case):
    """The outputs, then the gradients of query, key and value."""
    outputs, residuals = native.attention_forward(*case.arrays, case.lengths, case.spec, save=True)
    gradients = native.attention_backward(
        *case.arrays, case.lengths, case.spec, residuals, case.gradient
    )
    return outputs, *gradients


def filled(case, value):
    """The case with that value wherever a length hides the number."""
    arrays = [array.copy() for array in (*case.arrays, case.gradient)]
    for array, which in zip(arrays, (0, 1, 1, 0), strict=True):
        for row, length in zip(array, case.lengths[:, which], strict=True):
            row[length:] = value
    return case._replace(arrays=tuple(arrays[:3]), gradient=arrays[3])


def allowed(case):
    """Where a query may attend, [B, 1, T, S]."""
    (batch, queries, _, _), keys = case.arrays[0].shape, case.arrays[1].shape[1]
    t, s = np.arange(queries)[:, None], np.arange(keys)
    left, right = (10**6 if bound is None else bound for bound in case.spec[1:])
    may = np.broadcast_to((t - left <= s) & (s <= t + right), (batch, queries, keys))
    if case.lengths is not None:
        of_query, of_key = np.moveaxis(case.lengths[..., None, None], 1, 0)
        may = may & (t < of_query) & (s < of_key)
    return may[:, None]


def expected(case):
    """The same as `both`.

    dl = p (do . v - do . out),  dq = scale dl k,  dk = scale dl^T q,  dv = p^T do
    """
    query, key, value, gradient = (np.asarray(a, np.float64) for a in (*case.arrays, case.gradient))
    (batch, keys, groups, features), heads = key.shape, query.shape[2]
    copies = [np.repeat(array, heads // groups, axis=2) for array in (key, value)]
    may = allowed(case)
    logits = case.spec.scale * np.einsum("BTNK,BSNK->BNTS", query, copies[0])
    greatest = np.where(may, logits, -np.inf).max(-1, keepdims=True, initial=-1e300)
    weights = np.where(may, np.exp(np.minimum(logits - greatest, 0)), 0)
    weights /= np.maximum(weights.sum(-1, keepdims=True), 1e-300)
    outputs = np.einsum("BNTS,BSNK->BTNK", weights, copies[1])
    of_weights = np.einsum("BTNK,BSNK->BNTS", gradient, copies[1])
    shift = np.einsum("BTNK,BTNK->BNT", gradient, outputs)
    of_logits = case.spec.scale * weights * (of_weights - shift[..., None])

    def of_group(array):
        return array.reshape(batch, keys, groups, heads // groups, features).sum(3)

    return (
        outputs,
        np.einsum("BNTS,BSNK->BTNK", of_logits, copies[0]),
        of_group(np.einsum("BNTS,BTNK->BSNK", of_logits, query)),
        of_group(np.einsum("BNTS,BTNK->BSNK", weights, gradient)),
    )


def assert_near(case, got, wanted):
    """Errors within those of float32 sums over features, keys and queries."""
    (_, queries, heads, features), (_, keys, groups, _) = (a.shape for a in case.arrays[:2])
    terms = features + keys + queries * heads // groups
    for name, ours, oracle in zip(NAMES, got, wanted, strict=True):
        assert ours.shape == oracle.shape, name
        assert ours.dtype == np.float32, name
        oracles.assert_close(ours, oracle, terms, name=name)


def assert_same_bits(got, wanted):
    for name, ours, theirs in zip(NAMES, got, wanted, strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=name)
