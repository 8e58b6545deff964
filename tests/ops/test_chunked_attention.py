"""Attention tile by tile against its equation and the dense form."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from lstm_attn import ops
from lstm_attn.ops import attention_tiles
from tests import oracles

dense = functools.partial(ops.dot_product_attention, implementation="dense")
chunked = functools.partial(ops.dot_product_attention, implementation="chunked")


@pytest.fixture
def tiles_of_3(monkeypatch):
    """Tiles of 3 queries by 3 keys, so that small sizes have many and a last one that overlaps."""
    monkeypatch.setattr(attention_tiles, "SMALLEST", 3)
    monkeypatch.setattr(attention_tiles, "LARGEST", 3)


def random_case(seed=0, queries=7, keys=8, heads=4, groups=4, features=2, batch=2):
    rng = np.random.default_rng(seed)
    shapes = [(batch, queries, heads, features)] + 2 * [(batch, keys, groups, features)]
    return [jnp.asarray(rng.normal(size=shape)) for shape in shapes]


def random_bias(shape, hidden=0.0):
    """Normal numbers, some of them -inf."""
    rng = np.random.default_rng(1)
    return np.where(rng.random(shape) < hidden, -np.inf, rng.normal(size=shape))


def random_mask(shape):
    mask = np.random.default_rng(2).random(shape) < 0.6
    mask[..., 2, :] = False  # a query with nothing to attend to
    return mask


LENGTHS = {
    "query_seq_lengths": np.array([7, 2]),
    "key_value_seq_lengths": np.array([5, 0]),
}
# Name -> sizes other than random_case's, options. A bias is differentiated too.
OPTIONS = {
    "none": ({}, {}),
    "causal": ({}, {"is_causal": True}),
    "more queries than keys": ({"queries": 9, "keys": 4}, {"is_causal": True, "scale": 0.3}),
    "one query": ({"queries": 1}, {}),
    "one key": ({"keys": 1}, {"local_window_size": (2, 0)}),
    "divided by the chunk": ({"queries": 6, "keys": 9}, {"is_causal": True}),
    "window": ({"queries": 11, "keys": 10}, {"local_window_size": (2, 1)}),
    "window past the keys": ({"queries": 11, "keys": 4}, {"local_window_size": (1, 4), "is_causal": True}),
    "lengths": ({}, LENGTHS),
    "grouped queries": ({"groups": 2}, {"is_causal": True}),
    "bias": ({}, {"bias": random_bias((2, 4, 7, 8))}),
    "bias of a head": ({"groups": 1}, {"bias": random_bias((4, 1, 8)), "is_causal": True}),
    "bias of a query": ({}, {"bias": random_bias((2, 1, 7, 1))}),
    "bias of all": ({}, {"bias": random_bias((1,))}),
    "bias of -inf": ({}, {"bias": random_bias((1, 1, 7, 8), hidden=0.7), "is_causal": True}),
    "mask": ({}, {"mask": random_mask((1, 4, 7, 8))}),
    "mask of a key": ({}, {"mask": random_mask((2, 1, 3, 8))[:, :, :1]}),
    "all": ({"groups": 2}, {"mask": random_mask((7, 8)), "bias": random_bias((1, 4, 7, 8), hidden=0.2), "is_causal": True, "local_window_size": 4, "scale": 0.7, **LENGTHS}),
}  # fmt: skip


def allowed_of(options, batch, queries, keys):
    """Where a query may attend, [B, N or 1, T, S], one entry at a time."""
    left, right = np.broadcast_to(options.get("local_window_size", 99), 2)
    query_lengths = options.get("query_seq_lengths", [queries] * batch)
    key_lengths = options.get("key_value_seq_lengths", [keys] * batch)
    allowed = np.zeros((batch, 1, queries, keys), bool)
    for b, t, s in np.ndindex(batch, queries, keys):
        allowed[b, 0, t, s] = t - left <= s <= t + right
        allowed[b, 0, t, s] &= s <= t or not options.get("is_causal", False)
        allowed[b, 0, t, s] &= t < query_lengths[b] and s < key_lengths[b]
    return allowed & options.get("mask", True) & (options.get("bias", 0.0) > -np.inf)


def given_arrays(arrays, options):
    """The arrays to differentiate with respect to, the bias last, and the other options."""
    options = {
        name: jnp.asarray(option) if isinstance(option, np.ndarray) else option
        for name, option in options.items()
    }
    bias = options.pop("bias", None)
    return [*arrays, *([] if bias is None else [bias])], options


def slopes_of(function, **options):
    return jax.grad(lambda *arrays: jnp.sum(jnp.sin(function(*arrays, **options))), (0, 1, 2))


@pytest.mark.full_but("none", "divided by the chunk", "lengths", "all", "bias of -inf")
@pytest.mark.parametrize("name", OPTIONS)
def test_values_and_gradients_are_those_of_the_equation(name, tiles_of_3, float64):
    """Oracles: the equation in float64 numpy for the values, the dense form for the gradients.
    Catches a tile that is left out or counted twice, an option that a tile ignores, a gradient
    without its scale or of the wrong head, NaN where nothing is allowed."""
    sizes, options = OPTIONS[name]
    query, key, value = random_case(**sizes)
    (batch, queries, heads, _), keys = query.shape, key.shape[1]
    copies = (np.repeat(array, heads // array.shape[2], axis=2) for array in (key, value))
    allowed = allowed_of(options, batch, queries, keys)
    bias = np.maximum(options.get("bias", 0.0), -1e300)
    expected = oracles.attention(query, *copies, allowed, bias, options.get("scale"))
    arrays, options = given_arrays((query, key, value), options)

    def slopes(function):
        def scalar(*arrays):
            outputs = function(*arrays, **options)
            return jnp.sum(jnp.sin(outputs)), outputs

        by = tuple(range(len(arrays)))
        return jax.jit(jax.grad(scalar, by, has_aux=True))(*arrays)

    gradients, outputs = slopes(chunked)
    np.testing.assert_allclose(outputs, expected, rtol=1e-10, atol=1e-12)
    wanted, _ = slopes(dense)
    for gradient, one in zip(gradients, wanted, strict=True):
        np.testing.assert_allclose(gradient, one, rtol=1e-9, atol=1e-12)


@pytest.mark.full
def test_every_mode_of_differentiation(tiles_of_3, float64):
    """Oracles: the dense form, and central differences. Catches a derivative for reverse mode
    alone, a wrong transpose, and a rule that is right to first order only."""
    arrays = [*random_case(queries=4, keys=5, heads=2, groups=1, batch=1), jnp.ones((2, 4, 5))]
    tangents = [jnp.cos(3 * array) for array in arrays]

    def scalar(function, *arrays):
        return jnp.sum(jnp.sin(function(*arrays, is_causal=True)))

    by = tuple(range(4))

    def moved(function):
        return jnp.stack(jax.jvp(functools.partial(scalar, function), arrays, tangents))

    def length_of_gradient(function, *arrays):
        slopes = jax.grad(functools.partial(scalar, function), by)(*arrays)
        return sum(jnp.vdot(slope, jnp.cos(slope)) for slope in slopes)

    def reverse_over_reverse(function):
        return jax.grad(functools.partial(length_of_gradient, function), by)(*arrays)

    def forward_over_reverse(function):
        return jax.jvp(functools.partial(length_of_gradient, function), arrays, tangents)[1]

    for mode in (moved, reverse_over_reverse, forward_over_reverse):
        pairs = zip(*(jax.tree.leaves(jax.jit(mode, static_argnums=0)(f)) for f in (chunked, dense)), strict=True)  # fmt: skip
        for ours, expected in pairs:
            np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-11)
    check_grads(functools.partial(scalar, chunked), arrays, order=1, modes=["fwd", "rev"], eps=1e-6)


@pytest.mark.full
@pytest.mark.parametrize("mapped", [(0, 0, 0), (0, None, None), (None, None, 1)], ids=str)
def test_vmap_maps_values_and_gradients(mapped, tiles_of_3, float64):
    """Oracle: the dense form under the same vmap. Catches a rule that can't be batched."""
    stacked = [
        array if axis is None else jnp.stack([array, jnp.cos(array)], axis)
        for array, axis in zip(random_case(), mapped, strict=True)
    ]

    def mapped_slopes(function):
        return jax.jit(jax.vmap(slopes_of(function, is_causal=True), in_axes=mapped))(*stacked)

    for ours, expected in zip(mapped_slopes(chunked), mapped_slopes(dense), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.full
@pytest.mark.parametrize("check_vma", [True, False])
def test_shard_map_over_the_batch(check_vma, tiles_of_3):
    """Oracle: no mesh. The batch is split over four devices, the bias is whole on each; gradients
    inside and outside of shard_map. Catches a scan whose first carry counts as replicated."""
    mesh = jax.make_mesh((4,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    arrays = [array.astype(jnp.float32) for array in random_case(batch=4)]
    arrays.append(jnp.asarray(random_bias((4, 7, 8)), jnp.float32))
    along, everywhere = jax.P("batch"), jax.P()

    def attend(*arrays):
        return chunked(*arrays, is_causal=True)

    def slopes(function):
        return jax.jit(jax.grad(lambda *arrays: jnp.sum(jnp.sin(function(*arrays))), (0, 1, 2, 3)))

    place = functools.partial(jax.shard_map, mesh=mesh, check_vma=check_vma)
    specs = (along, along, along, everywhere)
    outside = slopes(place(attend, in_specs=specs, out_specs=along))(*arrays)
    inside = place(lambda *arrays: slopes(attend)(*arrays)[:3], in_specs=specs, out_specs=along)
    expected = slopes(attend)(*arrays)
    for ours, theirs in zip(outside, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=oracles.MODEL, atol=oracles.MODEL)
    for ours, theirs in zip(jax.jit(inside)(*arrays), expected, strict=False):
        np.testing.assert_allclose(ours, theirs, rtol=oracles.MODEL, atol=oracles.MODEL)


def test_a_row_of_the_lowest_finite_bias_is_a_mean(tiles_of_3):
    """Oracle: the dense form: equal logits give equal weights, however low. Catches a total lost in
    the rounding of the largest logit, and -1e38 taken for -inf."""
    arrays = [array.astype(jnp.float32) for array in random_case()]
    bias = np.zeros((7, 8), np.float32)
    bias[3] = np.finfo(np.float32).min

    def slopes(function):
        return jax.jit(slopes_of(function, bias=jnp.asarray(bias)))(*arrays)

    np.testing.assert_allclose(chunked(*arrays, bias)[:, 3], arrays[2].mean(1), atol=oracles.LAYER)
    for ours, expected in zip(slopes(chunked), slopes(dense), strict=True):
        np.testing.assert_allclose(ours, expected, atol=oracles.LAYER)


def test_a_traced_scale_is_differentiated(tiles_of_3, float64):
    """Oracle: the dense form. Catches a learned temperature that `chunked` takes for a constant."""
    arrays = random_case()

    def slope(function):
        return jax.jit(jax.grad(lambda scale: jnp.sum(jnp.sin(function(*arrays, scale=scale)))))(
            0.4
        )

    np.testing.assert_allclose(slope(chunked), slope(dense), rtol=1e-9)


@pytest.mark.parametrize("shape", [(0, 4, 5), (2, 0, 5), (2, 4, 0)], ids=str)
def test_empty_axes_give_empty_arrays_or_zeros(shape):
    """Oracle: a sum over nothing. Catches tiles of size zero."""
    batch, queries, keys = shape
    arrays = random_case(batch=batch, queries=queries, keys=keys)
    np.testing.assert_array_equal(chunked(*arrays), np.zeros((batch, queries, 4, 2)))
