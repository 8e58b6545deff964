"""The choices of a Transformer's block, each against its equations in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import interop, modules
from tests import golden, oracles
from tests.modules.test_modules import (
    BATCH,
    LENGTH,
    dense,
    initialised,
    inputs_of,
    layer_norm,
    multi_head,
)


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def feed_forward(params, x):
    hidden = gelu(dense(params["mlp_in"], x))
    if "mlp_gate" in params:
        hidden = hidden * dense(params["mlp_gate"], x)
    return dense(params["mlp_out"], hidden)


@pytest.mark.full
def test_a_post_norm_block_normalises_each_sum():
    """Oracle: section 3.1 of Vaswani et al. Catches a norm before the residual is added."""
    inputs = inputs_of(8)
    module = modules.TransformerBlock(num_heads=2, mlp_features=12, norm="post")
    params = initialised(module, inputs)
    x = np.asarray(inputs, np.float64)
    y = layer_norm(params["attention_norm"], x + multi_head(params["attention"], x, 2))
    expected = layer_norm(params["mlp_norm"], y + feed_forward(params, y))
    np.testing.assert_allclose(
        module.apply({"params": params}, inputs), expected, atol=oracles.MODEL
    )


def test_a_gated_block_multiplies_by_its_gate():
    """Oracle: equation 6 of Shazeer 2020 (GEGLU). Catches gelu on the gate instead of the input."""
    inputs = inputs_of(8)
    module = modules.TransformerBlock(num_heads=2, mlp_features=12, feed_forward="gated")
    params = initialised(module, inputs)
    assert params["mlp_gate"]["kernel"].shape == (8, 12)
    x = np.asarray(inputs, np.float64)
    y = x + multi_head(params["attention"], layer_norm(params["attention_norm"], x), 2)
    expected = y + feed_forward(params, layer_norm(params["mlp_norm"], y))
    np.testing.assert_allclose(module.apply({"params": params}, inputs), expected, atol=2e-4)


@pytest.mark.parametrize(("norm", "last"), [("pre", True), ("post", False)])
def test_only_pre_norm_blocks_end_with_a_last_norm(norm, last):
    """Catches a second norm after post-norm blocks, and none after the residual stream."""
    module = modules.Transformer(8, num_heads=2, num_layers=1, norm=norm)
    assert ("norm" in module.init(jax.random.key(0), inputs_of())["params"]) is last


def transformer(**options):
    return modules.Transformer(8, num_heads=2, num_layers=1, **options)


@pytest.mark.full
def test_learned_positions_are_added_by_step():
    """Oracle: the embedding's bias takes one row of the table for one step. Catches rows that are
    counted from the end, and positions added twice."""
    inputs, module = inputs_of()[:, :1], transformer(positions="learned")
    params = initialised(module, inputs_of())
    assert params["positions"].shape == (LENGTH, 8)
    shifted = {**params, "positions": jnp.zeros_like(params["positions"])}
    shifted["embed"] = {**params["embed"], "bias": params["embed"]["bias"] + params["positions"][0]}
    out, expected = (module.apply({"params": p}, inputs) for p in (params, shifted))
    np.testing.assert_allclose(out, expected, atol=oracles.MODEL)


def test_learned_positions_end_where_they_were_initialised():
    """Catches JAX's silent clamp of an index past the end."""
    module = transformer(positions="learned")
    params = module.init(jax.random.key(0), inputs_of())["params"]
    longer = jnp.concatenate([inputs_of(), inputs_of()[:, :1]], axis=1)
    message = "learned positions: expected at most 6 steps, as at initialisation, got 7"
    with pytest.raises(ValueError, match=message):
        module.apply({"params": params}, longer)


@pytest.mark.parametrize("scheme", ["none", "sinusoidal", "learned", "rotary", "alibi"])
def test_only_without_positions_the_order_of_the_past_does_not_matter(scheme):
    """Oracle: attention is a sum over the keys. Catches a scheme without effect."""
    inputs, module = inputs_of(), transformer(positions=scheme)
    params = initialised(module, inputs)
    exchanged = inputs[:, jnp.array([3, 1, 2, 0, 4, 5])]
    last, other = (module.apply({"params": params}, x)[:, -1] for x in (inputs, exchanged))
    assert np.allclose(last, other, atol=1e-4) is (scheme == "none")


def test_dropout_acts_with_a_key_alone():
    """Oracle: the module without dropout. Catches dropout in evaluation, and none in training."""
    inputs = inputs_of()
    params = initialised(transformer(), inputs)
    expected = transformer().apply({"params": params}, inputs)
    module = transformer(dropout=0.5)
    np.testing.assert_array_equal(module.apply({"params": params}, inputs), expected)
    dropped = [
        module.apply({"params": params}, inputs, rngs={"dropout": jax.random.key(n)})
        for n in (0, 1)
    ]
    assert not np.allclose(dropped[0], expected)
    assert not np.allclose(dropped[0], dropped[1])


@pytest.mark.full
def test_dropout_keeps_the_mean_of_each_part():
    """Oracle: E[x + drop(part)] = x + part, over 4000 keys, where the parts don't feed each other.
    Catches a rate and its complement exchanged, and kept values that are not scaled."""
    module = modules.TransformerBlock(num_heads=2, mlp_features=12, dropout=0.2)
    inputs = inputs_of(8)
    params = initialised(module, inputs)
    # No feed-forward part: its outputs would be averaged over a nonlinear function of the first.
    params["mlp_out"] = jax.tree.map(jnp.zeros_like, params["mlp_out"])
    keys = jax.random.split(jax.random.key(0), 4000)
    samples = jax.vmap(lambda key: module.apply({"params": params}, inputs, rngs={"dropout": key}))(
        keys
    )
    expected = module.apply({"params": params}, inputs)
    part = np.abs(expected - inputs).mean()
    np.testing.assert_allclose(samples.mean(axis=0), expected, atol=0.1 * part)
    unchanged = np.mean(np.asarray(samples) == np.asarray(inputs))
    np.testing.assert_allclose(unchanged, 0.2, atol=0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": "prae"}, "unknown norm 'prae': did you mean pre"),
        ({"feed_forward": "gatde"}, "unknown feed_forward 'gatde': did you mean gated"),
        ({"positions": "rotory"}, "unknown positions 'rotory': did you mean rotary"),
    ],
)
def test_an_unknown_choice_names_the_nearest(options, message):
    """Catches a typo that falls back to the default."""
    with pytest.raises(ValueError, match=message):
        transformer(**options).init(jax.random.key(0), inputs_of())


def test_a_mask_reaches_the_attention_of_a_block():
    """Oracle: the block on the past alone. Catches a mask that is dropped on the way."""
    inputs = inputs_of(8)
    module = modules.TransformerBlock(num_heads=2, mlp_features=12)
    params = initialised(module, inputs)
    mask = jnp.tril(jnp.ones((LENGTH, LENGTH), bool))
    out = module.apply({"params": params}, inputs, mask=mask, is_causal=False)
    np.testing.assert_allclose(out, module.apply({"params": params}, inputs), atol=oracles.LAYER)
    assert out.shape == (BATCH, LENGTH, 8)


@pytest.mark.parametrize(("name", "norm"), [("norm_first", "pre"), ("norm_last", "post")])
def test_a_block_is_torchs_encoder_layer(name, norm):
    """Oracle: torch.nn.TransformerEncoderLayer, to .003, as its gelu is the exact one and its
    norm's epsilon 1e-5. Catches pre- and post-norm exchanged, and a norm of another sublayer."""
    case = golden.load("torch_transformer_layer")[name]
    theirs = case["params"]
    attention = {
        key.removeprefix("self_attn."): array
        for key, array in theirs.items()
        if key.startswith("self_attn.")
    }

    def linear(key):
        return {"kernel": theirs[f"{key}.weight"].T, "bias": theirs[f"{key}.bias"]}

    params = {
        "attention": interop.multi_head_attention_from_torch(attention),
        "attention_norm": {"scale": theirs["norm1.weight"], "bias": theirs["norm1.bias"]},
        "mlp_norm": {"scale": theirs["norm2.weight"], "bias": theirs["norm2.bias"]},
        "mlp_in": linear("linear1"),
        "mlp_out": linear("linear2"),
    }
    module = modules.TransformerBlock(int(case["num_heads"]), mlp_features=6, norm=norm)
    for is_causal, key in ((False, "outputs"), (True, "outputs_causal")):
        out = module.apply({"params": params}, case["inputs"], is_causal=is_causal)
        np.testing.assert_allclose(out, case[key], atol=3e-3)
