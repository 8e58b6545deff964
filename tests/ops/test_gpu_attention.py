"""The GPU's kernels without a GPU: the arguments they get, and the errors."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.pallas.ops.gpu import attention as pallas_attention

from lstm_attn import ops
from tests import oracles


def random_case(dtype=jnp.float32, length=32, groups=2):
    keys = jax.random.split(jax.random.key(0), 3)
    heads = (2, groups, groups)
    shapes = [(1, length, number, 16) for number in heads]
    return [jax.random.normal(key, shape, dtype) for key, shape in zip(keys, shapes, strict=True)]


@pytest.fixture
def on_a_gpu(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.full
def test_pallas_gets_our_options(causal, on_a_gpu, monkeypatch):
    """Oracle: the dense form; the kernel runs in Pallas' interpreter. Catches a scale or causality
    that is not passed on."""
    interpreted = functools.partial(pallas_attention.mha, interpret=True)
    monkeypatch.setattr(pallas_attention, "mha", interpreted)
    arrays = random_case()
    attend = functools.partial(ops.dot_product_attention, *arrays, scale=0.4, is_causal=causal)
    out, expected = attend(implementation="pallas"), attend(implementation="dense")
    np.testing.assert_allclose(out, expected, atol=oracles.MODEL)


@pytest.mark.parametrize("causal", [False, True])
def test_cudnn_gets_our_options(causal, on_a_gpu, monkeypatch):
    """Oracle: the dense form; XLA computes in cuDNN's place. Catches a scale, causality or
    implementation that is not passed on."""
    theirs = jax.nn.dot_product_attention

    def stand_in(*arrays, implementation, **options):
        assert implementation == "cudnn"
        with jax.numpy_dtype_promotion("standard"):
            return theirs(*arrays, implementation="xla", **options)

    monkeypatch.setattr(jax.nn, "dot_product_attention", stand_in)
    arrays = random_case(jnp.bfloat16, groups=1)
    attend = functools.partial(ops.dot_product_attention, *arrays, scale=0.4, is_causal=causal)
    out, expected = attend(implementation="cudnn"), attend(implementation="dense")
    difference = out.astype(jnp.float32) - expected.astype(jnp.float32)
    np.testing.assert_allclose(difference, 0, atol=2e-2)


@pytest.mark.parametrize("name", ["cudnn", "pallas"])
def test_without_a_gpu_it_is_one_line(name):
    """Catches a traceback from inside a kernel, and another implementation taken silently."""
    with pytest.raises(
        ValueError, match=f"'{name}' expected a GPU, but JAX computes on 'cpu' here"
    ):
        ops.dot_product_attention(*random_case(), implementation=name)


def test_an_unknown_implementation_is_one_line():
    """Catches a typo that silently falls back to another implementation."""
    with pytest.raises(ValueError, match="unknown implementation 'chunk': did you mean chunked"):
        ops.dot_product_attention(*random_case(), implementation="chunk")


@pytest.mark.parametrize(
    ("name", "case", "options", "message"),
    [
        ("cudnn", {}, {}, "expected bfloat16 or float16, got float32"),
        ("cudnn", {}, {"mask": np.ones((32, 32), bool)}, "expected no mask; 'dense' and"),
        ("pallas", {}, {"local_window_size": 2, "key_value_seq_lengths": np.array([3])}, "expected no local_window_size and no key_value_seq_lengths"),
        ("pallas", {"groups": 1}, {}, "expected query and key of one shape"),
        ("pallas", {"length": 200}, {}, "'pallas': q_seq_len=200 must be a multiple of block_q=128"),
        ("cudnn", {"dtype": jnp.bfloat16}, {}, "'cudnn': "),
    ],
)  # fmt: skip
def test_what_a_kernel_cannot_do_is_one_line(name, case, options, message, on_a_gpu):
    """Catches an option that a kernel ignores, and its own error in many lines."""
    with pytest.raises(ValueError, match=message) as caught:
        ops.dot_product_attention(*random_case(**case), implementation=name, **options)
    assert "\n" not in str(caught.value)
