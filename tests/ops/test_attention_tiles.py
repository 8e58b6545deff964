"""The tiles of attention: which are visited, their size, and that no larger array is computed."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.extend.core import jaxprs_in_params

from lstm_attn.ops import attention_tiles, dispatch
from lstm_attn.ops.attention_tiles import Band, live_tiles
from tests.ops.test_chunked_attention import chunked, dense, slopes_of


@settings(max_examples=300)  # numpy alone, and a bound is met exactly in few of them
@given(
    sizes=st.tuples(*[st.integers(1, 40)] * 2),
    chunk=st.integers(1, 20),
    band=st.tuples(*[st.one_of(st.none(), st.integers(0, 30))] * 2),
)
def test_tiles_cover_what_is_visible_once_and_nothing_else_whole(sizes, chunk, band):
    """Oracle: every pair of positions, one at a time. Catches a tile that is missing, one visited
    twice, and one in which nothing is visible."""
    queries, keys = sizes
    left, right = band
    distance = np.arange(keys)[None] - np.arange(queries)[:, None]
    seen = np.ones((queries, keys), bool)
    seen &= True if left is None else distance >= -left
    seen &= True if right is None else distance <= right
    tiles = live_tiles(queries, keys, chunk, Band(left, right))
    visits = np.zeros((queries, keys), int)
    for row, column, new_row, new_column in tiles.corners:
        assert 0 <= row <= new_row < row + tiles.rows <= queries
        assert 0 <= column <= new_column < column + tiles.columns <= keys
        assert tiles.overlap or (row, column) == (new_row, new_column)
        part = np.s_[new_row : row + tiles.rows, new_column : column + tiles.columns]
        visits[part] += 1
        assert seen[part].any()
    assert (visits <= 1).all()
    assert visits[seen].all()


@pytest.mark.parametrize(
    ("options", "tiles"),
    [({}, 64), ({"is_causal": True}, 36), ({"local_window_size": (512, 0)}, 15)],
    ids=str,
)
def test_tiles_out_of_sight_are_not_visited(options, tiles):
    """Oracle: counts, forward and backward. Of 8 by 8 tiles causality leaves 8 * 9 / 2; a window of
    one tile leaves 8 on the diagonal and 7 below. Catches work on tiles that are masked whole."""
    shape = jax.ShapeDtypeStruct((1, 4096, 1, 8), jnp.float32)
    jaxpr = jax.make_jaxpr(slopes_of(chunked, **options))(shape, shape, shape)
    lengths = {
        eqn.params["length"] for eqn in equations(jaxpr.jaxpr) if eqn.primitive.name == "scan"
    }
    assert lengths == {tiles}


def equations(jaxpr):
    """The equations of a jaxpr and of all jaxprs within it."""
    for eqn in jaxpr.eqns:
        yield eqn
        for inner in jaxprs_in_params(eqn.params):
            yield from equations(inner)


def largest_array(function, *shapes):
    """Elements of the largest array that a function computes."""
    jaxpr = jax.make_jaxpr(function)(*shapes).jaxpr
    return max(var.aval.size for eqn in equations(jaxpr) for var in eqn.outvars)


@pytest.mark.parametrize("with_bias", [False, True])
def test_no_array_is_queries_by_keys(with_bias):
    """Oracle: the dense form, which computes one. Catches [T, S] in the forward pass, in either
    mode of differentiation, in gradients of gradients, and in the gradient of a constant bias."""
    length = 2048
    shape = jax.ShapeDtypeStruct((1, length, 2, 8), jnp.float32)
    options = {"bias": jnp.zeros((1, 1, length, length), jnp.bfloat16)} if with_bias else {}

    def pushed(*arrays):
        return jax.jvp(functools.partial(chunked, **options), arrays, arrays)

    def twice(*arrays):
        slopes = slopes_of(chunked, **options)
        return jax.grad(lambda *arrays: sum(map(jnp.sum, slopes(*arrays))), (0, 1, 2))(*arrays)

    squared = length * length
    assert largest_array(slopes_of(dense, **options), shape, shape, shape) >= squared
    for function in (slopes_of(chunked, **options), pushed, twice):
        assert largest_array(function, shape, shape, shape) < squared


def test_a_length_of_16384_fits():
    """Oracle: XLA's own account of the temporary memory of forward and backward, 4 heads of 32.
    Catches residuals kept for each tile, which take 4 GiB."""
    shape = jax.ShapeDtypeStruct((1, 16384, 4, 32), jnp.float32)
    compiled = jax.jit(slopes_of(chunked)).lower(shape, shape, shape).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 100 * 2**20


def test_auto_takes_what_was_measured_to_be_faster(monkeypatch):
    """Oracle: the table. Catches `chunked` for one query and a cache, where it is half as fast, and
    on a platform where nobody measured it."""

    def chosen(queries, keys):
        shapes = (1, queries, 2, 8), (1, keys, 2, 8)
        return dispatch.choose_attention("auto", *shapes, lambda: obstacle)

    obstacle = None
    assert chosen(8, 8) == chosen(2048, 200) == "native"
    assert chosen(7, 4096) == chosen(4096, 7) == "dense"
    obstacle = "expected no mask"
    assert chosen(128, 128) == chosen(2048, 200) == "chunked"
    assert chosen(1, 4096) == chosen(127, 4096) == chosen(4096, 127) == "dense"
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    obstacle = None
    assert chosen(2048, 2048) == "dense"


def test_the_side_of_a_tile_is_bounded():
    """Oracle: the figures in the comment. Catches tiles that grow with the batch, and tiles of one
    element."""
    sides = [attention_tiles.chunk_size(matrices) for matrices in (0, 1, 4, 16, 64, 10**9)]
    assert sides == [512, 512, 512, 256, 128, 128]
