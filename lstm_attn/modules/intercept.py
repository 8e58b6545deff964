"""The hidden states of a network's recurrent layers, and what a change of one of them does."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from lstm_attn import ops
from lstm_attn.errors import UsageError, unknown_name
from lstm_attn.modules.attention import MultiHeadAttention
from lstm_attn.modules.recurrent import GRU, LSTM
from lstm_attn.ops.checks import carried_along, check_axes
from lstm_attn.ops.scan import Limits, check_limits, run_in_segments, scan_steps


def with_hidden_states(
    network: nn.Module, params: Any, inputs: Array, changes: Mapping[str, Array]
) -> tuple[Any, dict[str, Array]]:
    """network(inputs), with the hidden states of its layers of LSTM and GRU changed on their way.

        h_t = step(h_{t-1}, x_t) + change_t

    where the changed h_t is what the next step and all later layers see. So the derivative of a
    loss with respect to change_t, at zero, is the total derivative d loss / d h_t: through the
    recurrence, the outputs, and an attention over them. All t and layers come from one backward
    pass, under every implementation of the layers, and in segments where they have a `segment`.

    Args:
      inputs: [B, T, D].
      changes: layer -> [B, T, H], in any floating dtype. A layer is named by its place in the
        parameters, such as "body" or "body/lstm"; one that is not named is called as ever.

    Returns:
      What the network returns, and layer -> h_1 ... h_T [B, T, H] for all such layers, in the
      dtype of their outputs.

    Raises:
      ValueError: a layer that is not there, or a change that does not fit its h.
    """
    states: dict[str, Array] = {}

    def intercept(call: Callable, args: tuple, options: dict, context: Any) -> Any:
        module = context.module
        name = "/".join(module.path)
        # The copy that makes one step is intercepted too; it stands nowhere, so it has no name.
        if not name or not isinstance(module, LSTM | GRU) or context.method_name != "__call__":
            return call(*args, **options)
        if name in changes:
            result = _changed(module, name, changes[name], *args, **options)
        else:
            result = call(*args, **options)
        states[name] = result[1] if options.get("return_carry") else result
        return result

    with nn.intercept_methods(intercept):
        result = network.apply({"params": params}, inputs)
    for name in changes:
        if name not in states:
            raise unknown_name("recurrent layer", name, states)
    return result, states


def _changed(
    module: LSTM | GRU,
    name: str,
    change: Array,
    inputs: Array,
    *,
    initial_carry: Any = None,
    seq_lengths: Array | None = None,
    resets: Array | None = None,
    reverse: bool = False,
    return_carry: bool = False,
) -> Any:
    """The call of the module, made as one call for each step."""
    carry = initial_carry
    if carry is None:
        carry = module.empty_carry(inputs.shape[0], inputs.shape[1])
    carry = carried_along(carry, module.computed(inputs))
    h = _hidden(carry)
    check_axes(name, h=(h, "B H"), inputs=(inputs, "B T D"), change=(change, "B T H"))
    one_step = module.clone(parent=None, segment=None)
    variables = module.variables

    def step(carry: Any, slices: tuple[Array, Array]) -> tuple[Any, Array]:
        x, change = slices
        x = x[:, None]
        result: Any = one_step.apply(variables, x, initial_carry=carry, return_carry=True)
        carry, output = result
        h = _hidden(carry) + change
        carry = carry._replace(h=h) if isinstance(carry, ops.LSTMState) else h
        return carry, h.astype(output.dtype)

    def run(carry: Any, slices: Any, part: Limits) -> tuple[Any, Array]:
        return scan_steps(step, carry, slices, part, reverse=reverse)

    carry, outputs = run_in_segments(
        name,
        run,
        carry,
        (inputs.swapaxes(0, 1), change.astype(h.dtype).swapaxes(0, 1)),
        check_limits(name, inputs, seq_lengths, resets),
        segment=module.segment,
        reverse=reverse,
    )
    outputs = outputs.swapaxes(0, 1)
    return (carry, outputs) if return_carry else outputs


def _hidden(carry: Any) -> Array:
    return carry.h if isinstance(carry, ops.LSTMState) else carry


class Cut(NamedTuple):
    """Which ways from earlier steps to later ones are closed; None for none.

    resets: boolean [T]; every recurrent layer starts anew, its state zero, at a step where it is
      True. All True: h_t depends on the layer's input at t alone.
    mask: boolean [T, T]; no attention looks from query t at key s where it is False, whatever it
      may do otherwise. The identity: a query sees its own step alone.
    """

    resets: Array | None = None
    mask: Array | None = None


@contextlib.contextmanager
def cutting(cut: Cut) -> Iterator[None]:
    """Whatever LSTM, GRU or attention is called inside, is called with its path cut.

    Raises:
      UsageError: a part of the cut for which no layer has been called, or a layer called in
        reverse, from whose steps "earlier" is another side.
    """
    met: set[str] = set()

    def interceptor(
        call: Callable[..., Any], args: tuple, kwargs: dict[str, Any], context: Any
    ) -> Any:
        module = context.module
        if context.method_name != "__call__":
            return call(*args, **kwargs)
        if isinstance(module, LSTM | GRU) and cut.resets is not None:
            if kwargs.get("reverse"):
                raise UsageError(
                    f"cut: expected layers that run forward, got {type(module).__name__}"
                )
            met.add("resets")
            resets = jnp.broadcast_to(cut.resets, args[0].shape[:2])
            given = kwargs.get("resets")
            kwargs = {**kwargs, "resets": resets if given is None else resets | given}
        elif isinstance(module, MultiHeadAttention) and cut.mask is not None:
            met.add("mask")
            given = kwargs.get("mask")
            kwargs = {**kwargs, "mask": cut.mask if given is None else cut.mask & given}
        return call(*args, **kwargs)

    with nn.intercept_methods(interceptor):
        yield
    for part, layer in (("resets", "a recurrent layer"), ("mask", "attention")):
        if getattr(cut, part) is not None and part not in met:
            raise UsageError(f"cut: {part} expected a model with {layer}, got one without")
