"""Attention against what PyTorch and Keras computed, kept in tests/golden."""

import jax.numpy as jnp
import pytest

from lstm_attn import ops
from tests import golden

TORCH = golden.load("torch_attention")
KERAS = golden.load("keras_additive_attention")


@pytest.mark.parametrize("name", TORCH)
def test_dot_product_attention_is_that_of_torch(name):
    """Oracle: torch.nn.functional.scaled_dot_product_attention. Catches an inverted mask, a causal
    mask aligned at the last key, heads grouped in turn instead of in blocks."""
    case = dict(TORCH[name])
    expected = case.pop("outputs")
    scale = float(case.pop("scale")) if "scale" in case else None
    arrays = {key: jnp.asarray(array) for key, array in case.items()}
    outputs = ops.dot_product_attention(**arrays, scale=scale, is_causal=name == "is_causal")
    golden.assert_close(outputs, expected)


@pytest.mark.parametrize("name", KERAS)
def test_additive_attention_is_that_of_keras(name):
    """Oracle: keras.layers.AdditiveAttention. Catches the score inside the tanh, or forgotten."""
    case = {key: jnp.asarray(array) for key, array in KERAS[name].items()}
    mask = None
    if "value_mask" in case:
        shape = (*case["query"].shape[:2], case["key"].shape[1])
        mask = jnp.broadcast_to(case["value_mask"][:, None], shape)
    outputs = ops.additive_attention(case["query"], case["key"], case["value"], case["scale"], mask)
    golden.assert_close(outputs, case["outputs"])
