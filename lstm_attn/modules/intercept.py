"""Changes inside a network while it runs: of hidden states, and of paths through time.

Both work on every `Recurrent` layer, whose whole run over a sequence goes through `Recurrent.run`.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from lstm_attn.errors import UsageError, unknown_name
from lstm_attn.modules.attention import MultiHeadAttention
from lstm_attn.modules.recurrent_protocol import Recurrent, run_steps


def with_hidden_states(
    network: nn.Module, params: Any, inputs: Array, changes: Mapping[str, Array]
) -> tuple[Any, dict[str, Array]]:
    """network(inputs), with changes added to the hidden states of its recurrent layers.

        h_t = step(h_{t-1}, x_t) + change_t

    The next step and all later layers see the changed h_t. So the derivative of a loss with respect
    to change_t, at zero, is the total derivative d loss / d h_t: through the recurrence, the
    outputs, and attention over them. One backward pass gives all t and layers, in segments where a
    layer has a `segment`. A layer with a change runs step by step (`recurrent_protocol.run_steps`)
    whatever its implementation.

    Args:
      inputs: [B, T, D].
      changes: layer -> [B, T, H], in any floating dtype. A layer is named by its place in the
        parameters, such as "body" or "body/lstm"; a layer without a change runs as usual.

    Returns:
      What the network returns, and layer -> h_1 ... h_T [B, T, H] of every `Recurrent` layer, in
      the dtype of its outputs.

    Raises:
      ValueError: an unknown layer, or a change that does not fit its h.
    """
    states: dict[str, Array] = {}

    def intercept(call: Callable, args: tuple, options: dict, context: Any) -> Any:
        module = context.module
        if not isinstance(module, Recurrent) or context.method_name != "run":
            return call(*args, **options)
        name = "/".join(module.path)
        if name in changes:
            weights, x, before = args
            carry, (outputs, _) = run_steps(module, weights, x, before, changes[name], **options)
        else:
            outputs, carry = call(*args, **options)
        states[name] = outputs
        return outputs, carry

    with nn.intercept_methods(intercept):
        result = network.apply({"params": params}, inputs)
    for name in changes:
        if name not in states:
            raise unknown_name("recurrent layer", name, states)
    return result, states


class Cut(NamedTuple):
    """Paths from earlier to later steps that are closed; None closes nothing.

    resets: boolean [T]; every recurrent layer starts anew from zero at a step where it is True. If
      all are True, h_t depends on the layer's input at t only.
    mask: boolean [T, T]; attention from query t to key s is closed where it is False, in addition
      to the layer's own mask. With the identity, a query sees its own step only.
    """

    resets: Array | None = None
    mask: Array | None = None


def _both(first: Array, second: Array) -> Array:
    """Two masks, each broadcastable to [B, N, T, S]."""
    return jnp.logical_and(
        *(mask.reshape((1,) * (4 - mask.ndim) + mask.shape) for mask in (first, second))
    )


@contextlib.contextmanager
def cutting(cut: Cut) -> Iterator[None]:
    """Cuts every `Recurrent` layer and every `MultiHeadAttention` that is called inside.

    Raises:
      UsageError: the cut has resets, or a mask, but no such layer was called; or a recurrent layer
        ran in reverse, where earlier steps are on the other side.
    """
    met: set[str] = set()

    def interceptor(
        call: Callable[..., Any], args: tuple, kwargs: dict[str, Any], context: Any
    ) -> Any:
        module, method = context.module, context.method_name
        if cut.resets is not None and method == "run" and isinstance(module, Recurrent):
            if kwargs["reverse"]:
                raise UsageError(
                    f"cut: expected layers that run forward, got {type(module).__name__}"
                )
            met.add("resets")
            resets = jnp.broadcast_to(cut.resets, args[1].shape[:2])
            given = kwargs["resets"]
            kwargs = {**kwargs, "resets": resets if given is None else resets | given}
        elif (
            cut.mask is not None and method == "__call__" and isinstance(module, MultiHeadAttention)
        ):
            met.add("mask")
            given = kwargs.get("mask")
            kwargs = {**kwargs, "mask": cut.mask if given is None else _both(cut.mask, given)}
        return call(*args, **kwargs)

    with nn.intercept_methods(interceptor):
        yield
    layers = {"resets": "a modules.Recurrent layer", "mask": "modules.MultiHeadAttention"}
    for field, layer in layers.items():
        if getattr(cut, field) is not None and field not in met:
            raise UsageError(f"cut: {field} expected a model with {layer}, got one without")
