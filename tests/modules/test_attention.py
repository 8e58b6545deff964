"""Attention modules: self and cross, positions, and a cache between calls."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from lstm_attn import modules, ops
from tests import oracles
from tests.modules.test_modules import BATCH, LENGTH, dense, initialised, inputs_of


def test_cross_attention_matches_flax_linen():
    """Oracle: flax.linen.MultiHeadDotProductAttention on three different inputs. Catches keys made
    from the values' inputs, and a width taken from the keys."""
    query = jax.random.normal(jax.random.key(0), (BATCH, 3, 8))
    key, value = (jax.random.normal(jax.random.key(n), (BATCH, 5, 4 + n)) for n in (1, 2))
    mask = jnp.asarray(np.random.default_rng(0).random((BATCH, 1, 3, 5)) < 0.7).at[..., 0].set(True)
    module = modules.MultiHeadAttention(num_heads=2)
    drawn = module.init(jax.random.key(1), query, key, value)["params"]
    params = jax.tree.map(
        lambda p: p + 0.3 * jax.random.normal(jax.random.key(p.size), p.shape), drawn
    )
    theirs = {
        name: {"kernel": p["kernel"].reshape(-1, 2, 4), "bias": p["bias"].reshape(2, 4)}
        for name, p in params.items()
        if name != "out"
    } | {"out": {"kernel": params["out"]["kernel"].reshape(2, 4, 8), "bias": params["out"]["bias"]}}
    reference = nn.MultiHeadDotProductAttention(num_heads=2, qkv_features=8, out_features=8)
    expected = reference.apply({"params": theirs}, query, key, value, mask=mask)
    out = module.apply({"params": params}, query, key, value, mask=mask)
    np.testing.assert_allclose(out, expected, atol=oracles.MODEL)


@pytest.mark.parametrize("scheme", ["rotary", "alibi"])
def test_positions_act_on_the_logits(scheme):
    """Oracle: the equation of attention, rotation or bias put in by hand. Catches values that are
    rotated, queries that are not, and a bias given to another head."""
    inputs, module = inputs_of(8), modules.MultiHeadAttention(num_heads=2, positions=scheme)
    params = initialised(module, inputs)
    heads = (BATCH, LENGTH, 2, 4)
    x = np.asarray(inputs, np.float64)
    query, key, value = (dense(params[n], x).reshape(heads) for n in ("query", "key", "value"))
    bias, steps = None, np.arange(LENGTH)
    if scheme == "alibi":
        distance = np.abs(steps[:, None] - steps)
        bias = -np.array([1 / 16, 1 / 256])[:, None, None] * distance
    else:
        query, key = (turned(array, steps) for array in (query, key))
    causal = np.tril(np.ones((LENGTH, LENGTH), bool))
    attended = oracles.attention(query, key, value, causal, bias).reshape(BATCH, LENGTH, 8)
    out = module.apply({"params": params}, inputs, is_causal=True)
    np.testing.assert_allclose(out, dense(params["out"], attended), atol=oracles.MODEL)


def turned(array, steps):
    """Heads of four features as two complex numbers, k and k + 2, rotated by t and t / 100."""
    pairs = array[..., :2] + 1j * array[..., 2:]
    pairs = pairs * np.exp(1j * steps[:, None] / np.array([1.0, 100.0]))[:, None]
    return np.concatenate([pairs.real, pairs.imag], axis=-1)


@pytest.mark.full_but("(2, 3, 1)")
@pytest.mark.parametrize("scheme", ["none", "rotary", "alibi"])
@pytest.mark.parametrize("lengths", [(1, 1, 1, 1, 1, 1), (2, 3, 1), (6,)], ids=str)
def test_parts_with_a_cache_are_the_whole(scheme, lengths):
    """Oracle: the parallel form. Catches positions that restart at 0 in each segment, and a segment
    that attends to unused entries of the cache."""
    inputs, module = inputs_of(8), modules.MultiHeadAttention(num_heads=2, positions=scheme)
    params = initialised(module, inputs)
    expected = module.apply({"params": params}, inputs, is_causal=True)
    carry = module.empty_carry(BATCH, LENGTH + 2, 8)  # more entries than steps
    start, outputs = 0, []
    for length in lengths:
        carry, out = module.apply(
            {"params": params},
            inputs[:, start : start + length],
            is_causal=True,
            initial_carry=carry,
            return_carry=True,
        )
        outputs.append(out)
        start += length
    np.testing.assert_allclose(jnp.concatenate(outputs, axis=1), expected, atol=oracles.MODEL)
    assert int(carry.length) == LENGTH


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"return_carry": True}, "return_carry expected an initial_carry; see empty_carry"),
        ({"inputs_v": 1}, "inputs_v expected inputs_k too, got none"),
        ({"initial_carry": 1}, "initial_carry expected is_causal=True, only inputs_q, no mask"),
        ({"initial_carry": 1, "is_causal": True, "mask": 1}, "initial_carry expected is_causal=True"),
        ({"initial_carry": 1, "is_causal": True, "inputs_k": 1}, "initial_carry expected is_causal"),
    ],
)  # fmt: skip
def test_arguments_that_do_not_go_together_are_one_line(options, message):
    """Catches an argument that is silently ignored."""
    module = modules.MultiHeadAttention(num_heads=2)
    values = {
        "initial_carry": ops.empty_cache(BATCH, LENGTH, 2, 4, jnp.float32),
        "inputs_v": inputs_of(8),
        "inputs_k": inputs_of(8),
        "mask": jnp.ones((LENGTH, LENGTH), bool),
    }
    given = {name: values.get(name, value) for name, value in options.items()}
    with pytest.raises(ValueError, match=f"^MultiHeadAttention: {message}"):
        module.init(jax.random.key(0), inputs_of(8), **given)


def test_an_unknown_scheme_names_the_nearest():
    """Catches a KeyError from the table."""
    module = modules.MultiHeadAttention(num_heads=2, positions="rotarry")
    with pytest.raises(ValueError, match="unknown positions 'rotarry': did you mean rotary"):
        module.init(jax.random.key(0), inputs_of(8))


def test_without_biases_there_are_none():
    """Catches a bias that is there in spite of use_bias=False."""
    module = modules.MultiHeadAttention(num_heads=2, use_bias=False)
    params = module.init(jax.random.key(0), inputs_of(8))["params"]
    assert {name: set(entry) for name, entry in params.items()} == {
        name: {"kernel"} for name in ("query", "key", "value", "out")
    }


def test_additive_attention_is_its_equation_with_its_named_parameters():
    """Oracle: appendix A.1.2 of Bahdanau et al. 2015, in float64. Catches W_a and U_a exchanged."""
    query, memory = inputs_of(5), jax.random.normal(jax.random.key(3), (BATCH, 4, 7))
    module = modules.AdditiveAttention(features=6)
    drawn = module.init(jax.random.key(1), query, memory)["params"]
    params = jax.tree.map(
        lambda p: p + 0.3 * jax.random.normal(jax.random.key(p.size), p.shape), drawn
    )
    q = np.asarray(query, np.float64) @ np.asarray(params["query"]["kernel"], np.float64)
    k = dense(params["key"], memory)
    expected = np.zeros((BATCH, LENGTH, 7))
    for b, t in np.ndindex(BATCH, LENGTH):
        weights = np.exp(np.tanh(q[b, t] + k[b]) @ np.asarray(params["score"], np.float64))
        expected[b, t] = weights / weights.sum() @ np.asarray(memory[b], np.float64)
    out = module.apply({"params": params}, query, memory)
    np.testing.assert_allclose(out, expected, atol=oracles.MODEL)


def test_the_implementation_is_that_of_the_op():
    """Oracle: the dense form, up to rounding. Catches an attribute without effect: the chunked form
    scans, and an unknown name is refused."""
    inputs = jax.random.normal(jax.random.key(0), (2, 5, 4))

    def attend(implementation):
        attention = modules.MultiHeadAttention(2, implementation=implementation)
        variables = modules.MultiHeadAttention(2).init(jax.random.key(1), inputs)
        return lambda inputs: attention.apply(variables, inputs, is_causal=True)

    np.testing.assert_allclose(
        attend("chunked")(inputs), attend("dense")(inputs), atol=oracles.LAYER
    )
    scans = ["scan" in str(jax.make_jaxpr(attend(name))(inputs)) for name in ("chunked", "dense")]
    assert scans == [True, False]
    with pytest.raises(ValueError, match="unknown implementation 'fast'"):
        attend("fast")(inputs)
