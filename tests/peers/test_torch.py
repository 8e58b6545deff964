"""PyTorch's own modules against ours: the same parameters, outputs, states and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from lstm_attn import interop, modules, ops
from tests import oracles
from tests.interop.running import run_layers

KINDS = {
    "lstm": (torch.nn.LSTM, modules.LSTM, interop.lstm_from_torch, interop.lstm_to_torch),
    "gru": (torch.nn.GRU, modules.GRU, interop.gru_from_torch, interop.gru_to_torch),
}
# layers, both directions, bias; the sizes are drawn from the seed.
STACKS = [(1, False, True), (1, True, False), (2, False, False), (2, True, True)]
each_kind = pytest.mark.parametrize("kind", KINDS)
each_stack = pytest.mark.parametrize(("layers", "both", "bias"), STACKS)
TOLERANCE = {"rtol": oracles.MODEL, "atol": oracles.MODEL}


def drawn(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


def as_tensors(arrays):
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def torch_stack(kind, rng, features_in, features, layers, both, bias):
    module = KINDS[kind][0](
        features_in, features, layers, bias=bias, batch_first=True, bidirectional=both
    )
    shapes = {name: tensor.shape for name, tensor in module.state_dict().items()}
    module.load_state_dict(as_tensors({name: drawn(rng, *s) for name, s in shapes.items()}))
    return module


def final_states(kind, states):
    """Ours as torch's: [layers * directions, B, H] of h, and of an LSTM of c."""
    parts = [(s.h, s.c) if kind == "lstm" else (s,) for s in states]
    return [np.stack(part) for part in zip(*parts, strict=True)]


@each_kind
@each_stack
@pytest.mark.parametrize("seed", [0, 1])
def test_torch_runs_our_parameters_as_we_do(kind, layers, both, bias, seed):
    """Oracle: torch, loaded with our exported parameters. Catches a wrong conversion that its
    inverse undoes, and entries that load_state_dict refuses."""
    _, module, from_torch, to_torch = KINDS[kind]
    rng = np.random.default_rng(seed)
    batch, length, features_in, features = rng.integers(1, 6, size=4).tolist()
    source = torch_stack(kind, rng, features_in, features, layers, both, bias)
    params = from_torch(source.state_dict())
    params = jax.tree.map(lambda leaf: leaf + bias * drawn(rng, *leaf.shape), params)
    target = torch_stack(kind, rng, features_in, features, layers, both, bias)
    target.load_state_dict(as_tensors(to_torch(params, bias=bias)))
    inputs = drawn(rng, batch, length, features_in)
    with torch.no_grad():
        expected, final = target(torch.from_numpy(inputs))
    outputs, states = run_layers(module, params, inputs)
    np.testing.assert_allclose(outputs, expected, **TOLERANCE)
    final = final if kind == "lstm" else (final,)
    for mine, theirs in zip(final_states(kind, states), final, strict=True):
        np.testing.assert_allclose(mine, theirs, **TOLERANCE)


@each_kind
@pytest.mark.parametrize("both", [False, True])
def test_lengths_are_packed_sequences(kind, both):
    """Oracle: torch's packed sequences. Catches a final state taken from the padding, and a
    backward direction that starts in it."""
    _, module, from_torch, _ = KINDS[kind]
    rng = np.random.default_rng(7)
    lengths = [3, 6, 1]
    source = torch_stack(kind, rng, 4, 3, 2, both, True)
    inputs = drawn(rng, 3, 6, 4)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        torch.from_numpy(inputs), torch.tensor(lengths), batch_first=True, enforce_sorted=False
    )
    with torch.no_grad():
        expected, final = source(packed)
    expected, _ = torch.nn.utils.rnn.pad_packed_sequence(expected, batch_first=True)
    params = from_torch(source.state_dict())
    outputs, states = run_layers(module, params, inputs, seq_lengths=jnp.array(lengths))
    np.testing.assert_allclose(outputs, expected, **TOLERANCE)
    final = final if kind == "lstm" else (final,)
    for mine, theirs in zip(final_states(kind, states), final, strict=True):
        np.testing.assert_allclose(mine, theirs, **TOLERANCE)


@each_kind
@each_stack
def test_gradients_are_those_of_torch(kind, layers, both, bias):
    """Oracle: torch's autograd, its gradients converted like parameters. Catches a gradient that is
    stopped, and a state that passes none back."""
    _, module, from_torch, _ = KINDS[kind]
    rng = np.random.default_rng(11)
    source = torch_stack(kind, rng, 3, 4, layers, both, bias)
    inputs, weights = drawn(rng, 2, 5, 3), drawn(rng, 2, 5, 4 * (1 + both))

    x = torch.from_numpy(inputs).requires_grad_()
    (source(x)[0] * torch.from_numpy(weights)).sum().backward()
    gradients = {name: parameter.grad for name, parameter in source.named_parameters()}
    if kind == "lstm" and bias:
        # Each of torch's two biases has the gradient of their sum.
        gradients |= {n: torch.zeros_like(g) for n, g in gradients.items() if "bias_hh" in n}
    expected = from_torch(gradients)

    def scalar(params, inputs):
        return jnp.sum(run_layers(module, params, inputs)[0] * weights)

    params = jax.tree.map(jnp.asarray, from_torch(source.state_dict()))
    ours, of_inputs = jax.grad(scalar, argnums=(0, 1))(params, jnp.asarray(inputs))
    np.testing.assert_allclose(of_inputs, x.grad, rtol=1e-4, atol=oracles.MODEL)
    if not bias:
        # Biases that torch does not have are zero here, and yet have a gradient.
        ours, expected = (
            jax.tree_util.tree_map_with_path(
                lambda path, leaf: jnp.zeros_like(leaf) if "bias" in str(path[-1]) else leaf, tree
            )
            for tree in (ours, expected)
        )
    assert jax.tree.structure(ours) == jax.tree.structure(expected)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=oracles.MODEL),
        ours,
        expected,
    )


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("cross", [False, True])
@pytest.mark.parametrize("masked", ["none", "causal", "lengths"])
def test_torch_attends_with_our_parameters_as_we_do(cross, bias, masked):
    """Oracle: torch, loaded with our exported parameters. Catches an inverted mask, too."""
    rng = np.random.default_rng(13)
    batch, queries, keys, heads = 3, 4, 5 if cross else 4, 2
    sizes = {"kdim": 3, "vdim": 7} if cross else {}
    module = torch.nn.MultiheadAttention(6, heads, bias=bias, batch_first=True, **sizes)
    inputs = [drawn(rng, batch, queries, 6)] * 3
    if cross:
        inputs[1:] = drawn(rng, batch, keys, 3), drawn(rng, batch, keys, 7)
    params = {
        part: {
            "kernel": drawn(rng, features, 6),
            "bias": bias * drawn(rng, 6),
        }
        for part, features in (
            ("query", 6), ("key", inputs[1].shape[-1]), ("value", inputs[2].shape[-1]), ("out", 6)
        )
    }  # fmt: skip
    entries = interop.multi_head_attention_to_torch(params, bias=bias)
    module.load_state_dict(as_tensors(entries))
    lengths = np.array([3, 1, keys])
    causal = np.tril(np.ones((queries, keys), bool))
    options, theirs = {}, {}
    if masked == "causal":
        options, theirs = {"is_causal": True}, {"attn_mask": torch.from_numpy(~causal)}
    elif masked == "lengths":
        padding = np.arange(keys) >= lengths[:, None]
        real = np.broadcast_to(~padding[:, None, None], (batch, heads, queries, keys))
        options, theirs = {"mask": real}, {"key_padding_mask": torch.from_numpy(padding)}
    with torch.no_grad():
        expected, _ = module(*map(torch.from_numpy, inputs), **theirs)
    own = modules.MultiHeadAttention(heads)
    arrays = inputs if cross else inputs[:1]
    outputs = own.apply({"params": params}, *arrays, **options)
    np.testing.assert_allclose(outputs, expected, rtol=oracles.MODEL, atol=oracles.MODEL)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("option", ["mask", "bias", "is_causal", "scale"])
def test_dot_product_attention_is_that_of_torch(option, seed):
    """Oracle: torch.nn.functional.scaled_dot_product_attention on random sizes and head groups.
    Catches heads grouped in another way."""
    rng = np.random.default_rng(seed)
    batch, queries, keys, groups, share, features = rng.integers(1, 5, size=6).tolist()
    query = drawn(rng, batch, queries, groups * share, features)
    key, value = (drawn(rng, batch, keys, groups, features) for _ in range(2))
    mask = rng.random((batch, groups * share, queries, keys)) < 0.5
    mask[..., 0] = True  # torch does not define the output of a query without any key
    bias = drawn(rng, *mask.shape)
    ours, theirs = {
        "mask": ({"mask": mask}, {"attn_mask": torch.from_numpy(mask)}),
        "bias": ({"bias": bias}, {"attn_mask": torch.from_numpy(bias)}),
        "is_causal": ({"is_causal": True}, {"is_causal": True}),
        "scale": ({"scale": 0.7}, {"scale": 0.7}),
    }[option]
    expected = torch.nn.functional.scaled_dot_product_attention(
        *(torch.from_numpy(array).transpose(1, 2) for array in (query, key, value)),
        enable_gqa=True,
        **theirs,
    ).transpose(1, 2)
    outputs = ops.dot_product_attention(*map(jnp.asarray, (query, key, value)), **ours)
    np.testing.assert_allclose(outputs, expected, rtol=oracles.MODEL, atol=oracles.MODEL)


def test_a_projected_lstm_is_refused():
    """Oracle: torch's own entries for proj_size. Catches weights that are silently dropped."""
    module = torch.nn.LSTM(3, 4, proj_size=2)
    with pytest.raises(
        ValueError, match="^lstm_from_torch: expected the entries .*; unexpected weight_hr_l0$"
    ):
        interop.lstm_from_torch(module.state_dict())


def test_bfloat16_of_torch_is_refused_in_one_line():
    """Oracle: numpy, which has no bfloat16. Catches torch's traceback."""
    state = torch.nn.LSTM(2, 3).to(torch.bfloat16).state_dict()
    message = "^lstm_from_torch: weight_hh_l0 expected an array that numpy can read, got Tensor: .*BFloat16"
    with pytest.raises(ValueError, match=message):
        interop.lstm_from_torch(state)
