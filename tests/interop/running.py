"""Our modules on converted parameters; outputs and final states in other libraries' order."""

from flax import linen as nn

from lstm_attn import modules, ops


def recurrent(kind, params, **attributes):
    """A module of this kind for one layer's parameters; bidirectional if the parameters are."""
    if "forward" in params:
        return modules.Bidirectional(
            recurrent(kind, params["forward"], **attributes),
            recurrent(kind, params["backward"], **attributes),
        )
    return kind(params["recurrent_kernel"].shape[0], **attributes)


def run_sequential(kind, params, inputs):
    """All layers by flax.linen.Sequential, with the dictionary as it is."""
    layers = nn.Sequential([recurrent(kind, params[name]) for name in sorted(params)])
    return layers.apply({"params": params}, inputs)


def run_layers(kind, params, inputs, seq_lengths=None):
    """Outputs of the last layer, and the final states layer by layer, forward before backward."""
    states = []
    for name in sorted(params):
        state, inputs = recurrent(kind, params[name]).apply(
            {"params": params[name]}, inputs, seq_lengths=seq_lengths, return_carry=True
        )
        states += state if "forward" in params[name] else [state]
    return inputs, states


def run_attention(params, num_heads, query, key=None, value=None, **options):
    """Multi-head attention from `ops`, for sizes of heads or outputs that `modules` lacks."""
    key = query if key is None else key
    value = key if value is None else value

    def heads(part, inputs):
        projected = inputs @ params[part]["kernel"] + params[part]["bias"][None, None]
        return projected.reshape(*inputs.shape[:-1], num_heads, -1)

    out = ops.dot_product_attention(
        heads("query", query), heads("key", key), heads("value", value), **options
    )
    joined = out.reshape(*query.shape[:-1], -1)
    return joined @ params["out"]["kernel"] + params["out"]["bias"][None, None]
