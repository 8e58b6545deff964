"""What lengths, resets and masks hide, in every op and implementation: 0 times NaN is NaN."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from allpairspy import AllPairs

from lstm_attn import ops
from lstm_attn.ops import hidden as what_hides
from lstm_attn.ops.attention_tiles import Band, Limits, live_tiles
from lstm_attn.ops.dispatch import ATTENTION_IMPLEMENTATIONS, RECURRENT_IMPLEMENTATIONS
from lstm_attn.ops.lstm import KINDS
from tests import hidden_numbers, recurrence_cases

B, T, S, D, H, N, M, K = 4, 5, 6, 3, 2, 4, 2, 7
LENGTHS = np.array([0, 1, T, 3])
RESETS = np.zeros((B, T), bool)
RESETS[1, 0] = RESETS[3, 0] = RESETS[3, 2] = RESETS[1, 4] = True
rng = np.random.default_rng(0)


def normal(*shape):
    return rng.normal(size=shape).astype(np.float32)


def recurrent_params(kind):
    sizes = {"D": D, "H": H}
    axes = {**{kind: axes for kind, (_, _, axes) in KINDS.items()}, ops.GRUParams: GRU_AXES}[kind]

    def shape(letters):
        return [int(axis[:-1] or 1) * sizes[axis[-1]] for axis in letters.split()]

    return kind(**{name: normal(*shape(letters)) for name, letters in axes.items()})


GRU_AXES = {"kernel": "D 3H", "recurrent_kernel": "H 3H", "bias": "3H", "recurrent_bias": "3H"}


def recurrent(function, kind, reverse, **options):
    """The padding; the state of a sequence without steps, and that before a reset at the first."""
    params = recurrent_params(kind)
    state = normal(B, H) if kind is ops.GRUParams else ops.LSTMState(normal(B, H), normal(B, H))

    def run(arrays):
        params, inputs, state = arrays
        found = function(
            params, inputs, state, seq_lengths=LENGTHS, resets=RESETS, reverse=reverse, **options
        )
        if not isinstance(found[1], jax.Array | ops.LSTMState):  # gates
            return {"outputs": found}
        # The state of a sequence without steps is handed on.
        return {"outputs": found[0], "last": jax.tree.map(lambda leaf: leaf[1:], found[1])}

    padding = np.arange(T) >= LENGTHS[:, None]
    nothing = jax.tree.map(lambda leaf: np.zeros(leaf.shape, bool), params)
    no_step = unused(RESETS, reverse)
    hidden = (nothing, spread(padding, D), jax.tree.map(lambda leaf: spread(no_step, H), state))
    arrays = (params, normal(B, T, D), state)
    shapes = jax.eval_shape(run, arrays)
    unread = {"outputs": jax.tree.map(lambda leaf: spread(padding, H), shapes["outputs"])}
    if "last" in shapes:
        unread["last"] = jax.tree.map(lambda leaf: np.zeros(leaf.shape, bool), shapes["last"])
    return run, arrays, hidden, unread


def linear_recurrence(name, form, reverse):
    """As `recurrent`, of a linear recurrence or a matrix memory; T = 6 are two chunks."""
    sizes = recurrence_cases.SIZES | {"B": B, "T": T + 1}
    drawn = recurrence_cases.draw(name, sizes), recurrence_cases.draw_state(name, sizes)
    arrays = jax.tree.map(np.asarray, recurrence_cases.in_dtype(drawn, np.float32))
    resets = np.pad(RESETS, ((0, 0), (0, 1)))
    options = {"seq_lengths": LENGTHS, "resets": resets, "reverse": reverse}

    def run(arrays):
        outputs, last = recurrence_cases.called(
            name, form, arrays[0] | {"initial_state": arrays[1]}, **options
        )
        return {"outputs": outputs, "last": jax.tree.map(lambda leaf: leaf[1:], last)}

    def like(where, leaf):
        return np.broadcast_to(
            where.reshape(where.shape + (1,) * (leaf.ndim - where.ndim)), leaf.shape
        )

    padding = np.arange(T + 1) >= LENGTHS[:, None]
    hidden = (
        jax.tree.map(lambda leaf: like(padding, leaf), arrays[0]),
        jax.tree.map(lambda leaf: like(unused(resets, reverse), leaf), arrays[1]),
    )
    shapes = jax.eval_shape(run, arrays)
    return run, arrays, hidden, {
        "outputs": like(padding, shapes["outputs"]),
        "last": jax.tree.map(lambda leaf: np.zeros(leaf.shape, bool), shapes["last"]),
    }  # fmt: skip


def unused(resets, reverse):
    """Whether the state of each row is read by no step."""
    first = np.where(LENGTHS > 0, LENGTHS - 1 if reverse else 0, 0)
    return (LENGTHS == 0) | resets[np.arange(B), first]


def spread(where, size):
    return np.repeat(where[..., None], size, axis=-1)


def attention(implementation, mask, bias, lengths, is_causal, window):
    """Keys and values that no query sees, and queries that see no key."""
    options = {"is_causal": is_causal, "local_window_size": window, "scale": 0.3}
    allowed, t, s = np.ones((B, N, T, S), bool), np.arange(T)[:, None], np.arange(S)
    if mask:
        options["mask"] = rng.random((B, 1, 1, S) if mask == "keys" else (B, N, T, S)) < 0.4
        allowed &= options["mask"]
    if bias:
        options["bias"] = np.where(rng.random((N, T, S)) < 0.3, -np.inf, normal(N, T, S))
        options["bias"] = options["bias"].astype(np.float32)
        allowed &= np.isfinite(options["bias"])
    if lengths:
        options["query_seq_lengths"], options["key_value_seq_lengths"] = LENGTHS, LENGTHS[::-1]
        allowed &= t < LENGTHS[:, None, None, None]
        allowed &= s < LENGTHS[::-1, None, None, None]
    if is_causal:
        allowed &= s <= t
    if window:
        allowed &= (s >= t - window[0]) & (s <= t + window[1])

    def run(arrays):
        query, key, value = arrays
        if implementation == "weights":
            return ops.dot_product_weights(query, key, **options)
        return ops.dot_product_attention(
            query, key, value, implementation=implementation, **options
        )

    blind = spread(~allowed.any(axis=3).swapaxes(1, 2), K)
    unseen = ~allowed.reshape(B, M, N // M, T, S).any(axis=(2, 3)).swapaxes(1, 2)
    arrays = (normal(B, T, N, K), normal(B, S, M, K), normal(B, S, M, K))
    unread = blind
    if implementation == "weights":
        unread = np.broadcast_to(~allowed.any(axis=3, keepdims=True), allowed.shape)
    return run, arrays, (blind, spread(unseen, K), spread(unseen, K)), unread


def additive(axes):
    mask = rng.random((B, T, S)[-axes:]) < 0.3
    allowed = np.broadcast_to(mask, (B, T, S))
    blind, unseen = ~allowed.any(axis=2), ~allowed.any(axis=1)
    arrays = (normal(B, T, D), normal(B, S, D), normal(B, S, H), normal(D))
    hidden = (spread(blind, D), spread(unseen, D), spread(unseen, H), np.zeros(D, bool))
    return lambda arrays: ops.additive_attention(*arrays, mask), arrays, hidden, spread(blind, H)


def pooling():
    hides = rng.random((B, T)) < 0.5

    def run(arrays):
        return ops.attention_pooling(jnp.where(hides, -jnp.inf, arrays[0]), arrays[1])

    arrays = (normal(B, T), normal(B, T, H))
    unread = jax.tree.map(lambda one: np.zeros(one.shape, bool), jax.eval_shape(run, arrays))
    return run, arrays, (hides, spread(hides, H)), unread


def cache():
    """Room in a cache that no step was written to."""
    written = np.arange(S) < 4

    def run(arrays):
        query, held = arrays
        past = ops.KeyValueCache(*held, jnp.int32(4))
        return ops.dot_product_attention(query, past.key, past.value, mask=written[None])

    arrays = (normal(B, 1, N, K), (normal(B, S, M, K), normal(B, S, M, K)))
    unseen = np.broadcast_to(~written[:, None, None], (B, S, M, K))
    return (
        run,
        arrays,
        (np.zeros((B, 1, N, K), bool), (unseen, unseen)),
        np.zeros((B, 1, N, K), bool),
    )


# mask, bias, lengths, causal, window of the cases that `make test` has
TOGETHER = [
    ("pairs", True, True, False, (1, 2)),
    (None, False, True, True, (1, 2)),
    ("keys", False, True, False, None),
]
CASES = {}
for forward in (True, False):
    name = "forward" if forward else "in reverse"
    for kind in KINDS:
        CASES[f"lstm_gates {kind.__name__} {name}"] = (recurrent, ops.lstm_gates, kind, not forward)
        for choice in RECURRENT_IMPLEMENTATIONS[1:]:
            if kind is ops.LSTMParams or choice == "scan":
                CASES[f"lstm {kind.__name__} {choice} {name}"] = (
                    functools.partial(recurrent, implementation=choice), ops.lstm, kind, not forward,
                )  # fmt: skip
    CASES[f"gru_gates {name}"] = (recurrent, ops.gru_gates, ops.GRUParams, not forward)
    for choice in ("scan", "fused"):
        run = functools.partial(recurrent, implementation=choice)
        CASES[f"gru {choice} {name}"] = (run, ops.gru, ops.GRUParams, not forward)
    run = functools.partial(recurrent, segment=2)
    CASES[f"lstm in segments {name}"] = (run, ops.lstm, ops.LSTMParams, not forward)
for choice in ("weights", *ATTENTION_IMPLEMENTATIONS[1:]):
    # Each two limits meet, and each is alone.
    columns = (None, "keys", "pairs"), (False, True), (False, True), (False, True), (None, (1, 2))
    nothing = [column[0] for column in columns]
    alone = [[*nothing[:n], value, *nothing[n + 1 :]] for n, column in enumerate(columns)
             for value in column[1:]]  # fmt: skip
    for mask, bias, lengths, causal, window in (*alone, *TOGETHER, *AllPairs(list(columns))):
        words = [mask and f"mask of {mask}", bias and "bias", lengths and "lengths"]
        words += [causal and "causal", window and "window"]
        takes = choice != "native" or not (mask or bias)
        if choice not in ("cudnn", "pallas") and takes and any(words):
            words = " and ".join(filter(None, words))
            CASES[f"attention {choice}, {words}"] = (
                attention, choice, mask, bias, lengths, causal, window,
            )  # fmt: skip
for number, (name, form) in enumerate(recurrence_cases.one_form_each()):
    words = f"{recurrence_cases.VARIANTS[name].op.__name__} {name} {form}"
    CASES[words] = (linear_recurrence, name, form, number % 2 > 0)
CASES |= {"additive by row": (additive, 3), "additive": (additive, 2)}
CASES |= {"pooling": (pooling,), "cache": (cache,)}


@pytest.mark.full_but(
    "lstm LSTMParams scan in reverse",
    "lstm LSTMParams fused forward",
    "lstm LSTMParams native in reverse",
    "gru fused forward",
    "attention dense, lengths",
    "attention dense, mask of pairs and bias and lengths and window",
    "attention chunked, lengths and causal and window",
    "attention chunked, mask of keys and lengths",
    "linear_recurrence real fused",
    "delta_rule RWKV7 3",
    "additive by row",
    "pooling",
    "cache",
)
@pytest.mark.parametrize("name", CASES)
def test_what_is_hidden_reaches_neither_values_nor_gradients(name):
    """Identity: NaN, inf and 1e30 there give the bits of zeros there, and gradients of 0. Catches 0
    times NaN, in the product of a weight of zero, of a gradient of zero, or of the state of a
    sequence without steps."""
    case, *arguments = CASES[name]
    hidden_numbers.check(*case(*arguments))


def test_every_op_with_a_limit_is_in_the_table():
    """Catches an op whose limits no case fills."""
    limited = {
        name
        for name in ops.__all__
        if inspect.isfunction(getattr(ops, name))
        and hidden_numbers.takes_a_limit(getattr(ops, name))
    }
    names = {"dot_product_attention": "attention dense", "dot_product_weights": "attention weights"}
    names["additive_attention"] = "additive"
    for name in limited:
        assert any(case.startswith(names.get(name, name)) for case in CASES), name


@pytest.mark.parametrize("chunk", [2, 4])
def test_what_is_seen_tile_by_tile_is_what_is_seen_at_once(chunk):
    """Oracle: all pairs in numpy. Catches a tile that the part of another overwrites, and one of
    which a part counts that lies outside of the band."""
    for band in (Band(None, None), Band(None, 0), Band(1, 2)):
        mask, bias = rng.random((B, 1, T, S)) < 0.3, np.zeros((1, N, T, S), np.float32)
        bias[rng.random(bias.shape) < 0.3] = -np.inf
        limits = Limits(None, jnp.array(LENGTHS), jnp.array(LENGTHS[::-1]))
        t, s = np.arange(T)[:, None], np.arange(S)
        pairs = mask & np.isfinite(bias) & (t < LENGTHS[:, None, None, None])
        pairs &= s < LENGTHS[::-1, None, None, None]
        pairs &= (s - t <= (T if band.right is None else band.right)) | (band.right is None)
        pairs &= (t - s <= (T if band.left is None else band.left)) | (band.left is None)
        tiles = live_tiles(T, S, chunk, band)
        masks = [jnp.asarray(mask), jnp.asarray(bias)]
        seen = what_hides.what_is_seen(T, S, band, limits, masks, tiles)
        np.testing.assert_array_equal(seen.queries, pairs.any(axis=3))
        np.testing.assert_array_equal(seen.keys, pairs.any(axis=2))


def test_a_bias_of_nan_is_not_a_mask():
    """Oracle: the equation. Catches a NaN among the logits that is taken for -inf, so that a query
    goes on without the key."""
    arrays = normal(1, 2, 1, 3), normal(1, 4, 1, 3), normal(1, 4, 1, 3)
    bias = np.zeros((2, 4), np.float32)
    bias[0, 1] = np.nan
    for choice in ("dense", "chunked"):
        out = np.asarray(ops.dot_product_attention(*arrays, bias=bias, implementation=choice))
        assert np.isnan(out[0, 0]).all(), choice
        assert np.isfinite(out[0, 1]).all(), choice
