"""Flops and bytes against counts by hand, and against XLA's."""

import jax
import jax.numpy as jnp
import pytest

from benchmarks.workloads import Attention, Recurrent, Training

PRODUCT = 2  # a multiplication and an addition


@pytest.mark.parametrize(("cell", "gates"), [("lstm", 4), ("gru", 3)])
def test_a_layer_by_hand(cell, gates):
    """Oracle: one sequence of 3 steps, 2 features in, 5 hidden. Catches a gate too many, the
    recurrent product forgotten, and a backward pass of one product for two."""
    forward = Recurrent(cell, 1, 3, 2, 5, "forward")
    a_step = PRODUCT * gates * (2 * 5 + 5 * 5)
    assert forward.flops == 3 * a_step
    both = Recurrent(cell, 1, 3, 2, 5, "forward and backward")
    step = Training(cell, 1, 3, 2, 5)
    assert both.flops == step.flops == 3 * forward.flops
    parameters = gates * (2 * 5 + 5 * 5 + 5)
    assert forward.bytes == 4 * (3 * 2 + parameters + 3 * 5)
    assert both.bytes == 4 * 2 * (3 * 2 + parameters)
    # Adam: parameters and two moments, each read and written; the readout has 5 + 1.
    assert step.bytes == 4 * (3 * 2 + 6 * (parameters + 6))


def test_the_flops_of_training_an_lstm():
    """Oracle: 3 x 2BT(D+H)4H, as training has three products. Catches a forgotten factor."""
    case = Training("lstm", 32, 1000, 10, 128)
    assert case.flops == 3 * 2 * 32 * 1000 * (10 + 128) * 4 * 128


def test_attention_by_hand():
    """Oracle: pairs of a query and a key counted one by one. Catches a causal mask counted as half
    a square, and batch or heads left out."""
    pairs = sum(1 for query in range(6) for key in range(6) if key <= query)
    for is_causal, count in ((True, pairs), (False, 36)):
        forward = Attention(2, 6, 3, 5, is_causal, "forward")
        assert forward.flops == 2 * 3 * count * 2 * PRODUCT * 5
        assert Attention(2, 6, 3, 5, is_causal, "forward and backward").flops == 3 * forward.flops
        assert forward.bytes == 4 * 4 * (2 * 6 * 3 * 5)


def test_six_products_for_attention_with_its_gradients():
    """Oracle: XLA's own count of the products of a plain attention, whose exponentials are few at
    this many features. Catches a forgotten product of the backward pass."""
    case = Attention(1, 64, 1, 512, False, "forward and backward")

    def loss(query, key, value):
        return jnp.sum(jax.nn.softmax(query @ key.T) @ value)

    shape = jax.ShapeDtypeStruct((64, 512), jnp.float32)
    compiled = jax.jit(jax.grad(loss, argnums=(0, 1, 2))).lower(shape, shape, shape).compile()
    # The gradient of the last sum needs no product with it, and the sum itself no output.
    counted = compiled.cost_analysis()["flops"]
    assert counted == pytest.approx(case.flops, rel=0.25)
