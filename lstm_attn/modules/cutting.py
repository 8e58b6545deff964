"""A model with one of its paths through time cut: by recurrence, or by attention."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from lstm_attn.errors import UsageError
from lstm_attn.modules.attention import MultiHeadAttention
from lstm_attn.modules.recurrent import GRU, LSTM


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
