"""From logits to the next token: penalty, temperature, top-k, top-p, and a draw."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from lstm_attn.errors import UsageError, check_numbers, check_whole
from lstm_attn.ops.checks import HUGE, check_axes, within_range


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How a token is drawn. The options act in this order.

    repetition_penalty: on tokens that occurred before, at least 1; 1 for none.
    temperature: divides the logits; 0 takes the likeliest token.
    top_k: only this many of the likeliest tokens; 0 for all.
    top_p: only the likeliest tokens that together reach this probability; 1 for all.

    Raises:
      UsageError: a value out of range, on one line.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        check_numbers(self)
        check_whole("top_k", self.top_k, 0)
        for name, value, wanted, fits in (
            ("temperature", self.temperature, "at least 0", self.temperature >= 0),
            ("top_p", self.top_p, "over 0 and at most 1", 0 < self.top_p <= 1),
            (
                "repetition_penalty",
                self.repetition_penalty,
                "at least 1",
                self.repetition_penalty >= 1,
            ),
        ):
            if not (fits and math.isfinite(value)):
                raise UsageError(f"{name}: expected {wanted}, got {value}")


def penalised(logits: Array, seen: Array, penalty: float) -> Array:
    """Logits, with tokens that occurred before made less likely.

        l / penalty  where l > 0,  l * penalty  elsewhere

    Args:
      logits: [B, V].
      seen: bool [B, V], the tokens that occurred.
      penalty: at least 1.

    Source: Keskar et al. 2019, section 4.1, except for negative logits, which division, as there,
    would make likelier.
    """
    penalty = within_range(penalty)
    less_likely = jnp.where(logits > 0, logits / penalty, logits * penalty)
    return jnp.where(seen, less_likely, logits)


def at_temperature(logits: Array, temperature: float) -> Array:
    """Logits [B, V] over a temperature above 0, up to a number for each row.

    The greatest is 0, so that none overflows. A temperature that float32 does not hold gives the
    limit: the likeliest tokens, or any that is not at -inf.
    """
    below = logits - logits.max(axis=-1, keepdims=True)
    return below / within_range(max(temperature, 1 / HUGE))


def among_top_k(logits: Array, k: int) -> Array:
    """Logits [B, V] with all but the k largest at -inf; ties with the k-th stay.

    Source: Fan, Lewis & Dauphin 2018, section 5.4.
    """
    least = jax.lax.top_k(logits, min(k, logits.shape[-1]))[0][:, -1:]
    return jnp.where(logits >= least, logits, -jnp.inf)


def among_top_p(logits: Array, p: float) -> Array:
    """Logits [B, V] with all at -inf but the smallest set whose probabilities add up to p.

    A token stays if all likelier tokens together have less than p, so the likeliest always stays.
    Of equally likely tokens, the one with the lower id comes first.

    Source: Holtzman et al. 2020, eq. 2-3.
    """
    order = jnp.argsort(-logits, axis=-1, stable=True)
    probabilities = jax.nn.softmax(jnp.take_along_axis(logits, order, axis=-1), axis=-1)
    before = jnp.cumsum(probabilities, axis=-1) - probabilities
    # As a float32, a p of Python may be 0.
    likeliest = (jnp.arange(logits.shape[-1]) == 0)[None]
    kept = jnp.take_along_axis((before < p) | likeliest, jnp.argsort(order, axis=-1), axis=-1)
    return jnp.where(kept, logits, -jnp.inf)


def sample_token(key: Array, logits: Array, seen: Array, sampling: Sampling) -> Array:
    """One token for each sequence.

    Args:
      key: of `jax.random.key`.
      logits: [B, V], floating.
      seen: bool [B, V], the tokens that a repetition penalty acts on.
      sampling: static under `jax.jit`.

    Returns:
      Ids, int32 [B].

    Raises:
      ValueError: shapes that don't fit, on one line.
    """
    check_axes("sample_token", logits=(logits, "B V"), seen=(seen, "B V"))
    logits = logits.astype(jnp.float32)
    if sampling.repetition_penalty != 1:
        logits = penalised(logits, seen, sampling.repetition_penalty)
    if sampling.temperature == 0:
        return jnp.argmax(logits, axis=-1).astype(jnp.int32)
    logits = at_temperature(logits, sampling.temperature)
    if sampling.top_k:
        logits = among_top_k(logits, sampling.top_k)
    if np.float32(sampling.top_p) < 1:
        logits = among_top_p(logits, sampling.top_p)
    return jax.random.categorical(key, logits).astype(jnp.int32)
