"""Initialisers for parameters that hold several gates side by side. All of them can be pickled."""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax.linen import initializers
from jax import Array

from lstm_attn.errors import UsageError
from lstm_attn.ops.checks import within_range

Initializer = Callable[..., Array]


@dataclasses.dataclass(frozen=True)
class OfFlax:
    """`flax.linen.initializers.NAME(*arguments)`, whose result is a closure, as a value."""

    name: str
    arguments: tuple[float, ...] = ()

    def __call__(self, key: Array, shape: Sequence[int], dtype: jnp.dtype = jnp.float32) -> Array:
        if math.prod(shape) == 0:
            return jnp.zeros(shape, dtype)  # a fan of 0 can't be divided by
        drawn: Array = getattr(initializers, self.name)(*self.arguments)(key, shape, dtype)
        return drawn


zeros = initializers.zeros_init()
ones = initializers.ones_init()
glorot = OfFlax("glorot_uniform")
lecun = OfFlax("lecun_normal")


def normal(deviation: float) -> Initializer:
    return OfFlax("normal", (deviation,))


def constant(value: float) -> Initializer:
    return OfFlax("constant", (within_range(value),))


def orthogonal(key: Array, shape: Sequence[int], dtype: jnp.dtype = jnp.float32) -> Array:
    """A matrix with orthonormal rows or columns, whichever are fewer, uniform over all of them.

    Gram-Schmidt on a Gaussian matrix, each column twice, which keeps it orthogonal to rounding.
    `flax.linen.initializers.orthogonal` has the same distribution, but calls LAPACK's QR, and in
    jaxlib 0.10 two of these at once can wait for each other forever on a CPU with few cores: each
    holds a thread of the pool and waits for another. An LSTM draws four at once.

    Source: Saxe, McClelland & Ganguli 2014; "twice is enough" of Kahan, in Parlett 1980, 6-9.
    """
    if len(shape) != 2:
        raise UsageError(f"orthogonal: shape expected 2 axes, got {tuple(shape)}")
    rows, columns = shape
    # In less than float32 the columns would be orthogonal to a hundredth.
    exact = jnp.float64 if dtype == jnp.float64 else jnp.float32
    gaussian = jax.random.normal(key, (max(shape), min(shape)), exact)
    project = functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)

    def add_column(index: Array, basis: Array) -> Array:
        column = gaussian[:, index]
        for _ in range(2):
            column = column - project(basis, project(basis.T, column))
        return basis.at[:, index].set(column / jnp.linalg.norm(column))

    basis = jax.lax.fori_loop(0, min(shape), add_column, jnp.zeros_like(gaussian))
    return (basis if rows >= columns else basis.T).astype(dtype)


def per_gate(*gates: Initializer) -> Initializer:
    """One initialiser for each gate, each for its own block of the last axis, in gate order.

    A kernel [D, 4H] drawn as a whole would take its fan-out from 4H, and an orthogonal
    [H, 4H] has no orthogonal blocks; drawn by gate, each [D, H] or [H, H] is what its name says.

        bias_init = per_gate(zeros, ones, zeros, zeros)     # LSTM: i, f, g, o

    Raises:
      ValueError: a last axis that the number of gates does not divide.
    """

    return _PerGate(gates)


@dataclasses.dataclass(frozen=True)
class _PerGate:
    gates: tuple[Initializer, ...]

    def __call__(self, key: Array, shape: Sequence[int], dtype: jnp.dtype = jnp.float32) -> Array:
        gates = self.gates
        if shape[-1] % len(gates):
            raise UsageError(f"per_gate: {len(gates)} gates do not divide the last axis of {shape}")
        block = (*shape[:-1], shape[-1] // len(gates))
        keys = jax.random.split(key, len(gates))
        blocks = [gate(k, block, dtype) for gate, k in zip(gates, keys, strict=True)]
        return jnp.concatenate(blocks, axis=-1)


def every_gate(gates: int, initializer: Initializer) -> Initializer:
    """The same initialiser for each gate's block, each with its own key."""
    return per_gate(*[initializer] * gates)


def chrono_lstm(shortest: float, longest: float) -> Initializer:
    """An LSTM bias whose units forget on time scales spread over a range of steps.

        b_f = log u,   b_i = -b_f,   u ~ U[shortest - 1, longest - 1],   b_g = b_o = 0

    A unit with forget gate f keeps a share f of its cell a step, so it remembers over about
    1 / (1 - f) = 1 + exp(b_f) = 1 + u steps.

    Raises:
      ValueError: a range that is not 1 < shortest <= longest, in steps.

    Source: Tallec & Ollivier 2018, eq. 16.
    """
    return _ChronoLSTM(_log_time(shortest, longest))


@dataclasses.dataclass(frozen=True)
class _ChronoLSTM:
    times: Initializer

    def __call__(self, key: Array, shape: Sequence[int], dtype: jnp.dtype = jnp.float32) -> Array:
        if shape[-1] % 4:
            raise UsageError(f"chrono_lstm: 4 gates do not divide the last axis of {shape}")
        forget = self.times(key, (shape[-1] // 4,), dtype)
        return jnp.concatenate([-forget, forget, jnp.zeros(2 * forget.size, dtype)])


def chrono_gru(shortest: float, longest: float) -> Initializer:
    """A GRU bias whose units forget on time scales spread over a range of steps.

        b_z = log u,   u ~ U[shortest - 1, longest - 1],   b_r = b_n = 0

    z is the share that a unit keeps (see `ops.gru_step`), so it has the role of the forget gate.

    Raises:
      ValueError: a range that is not 1 < shortest <= longest, in steps.

    Source: as `chrono_lstm`.
    """
    return per_gate(zeros, _log_time(shortest, longest), zeros)


def chrono_coupled(shortest: float, longest: float) -> Initializer:
    """The forget bias of `chrono_lstm` for the coupled LSTM, gates f, g, o."""
    return per_gate(_log_time(shortest, longest), zeros, zeros)


# By their names in a config.
KERNEL_INITIALIZERS: dict[str, Initializer] = {
    "glorot": glorot,
    "lecun": lecun,
    "orthogonal": orthogonal,
}


def lstm_bias(gate_order: str, forget_bias: float, chrono_steps: Sequence[float]) -> Initializer:
    """A constant for the forget gate and zero elsewhere, or chrono over a range of steps."""
    if chrono_steps:
        return (chrono_lstm if gate_order == "ifgo" else chrono_coupled)(*chrono_steps)
    bias = constant(forget_bias)
    return per_gate(*(bias if gate == "f" else zeros for gate in gate_order))


def gru_bias(update_bias: float, chrono_steps: Sequence[float]) -> Initializer:
    """A constant for the update gate and zero elsewhere, or chrono over a range of steps."""
    if chrono_steps:
        return chrono_gru(*chrono_steps)
    return per_gate(zeros, constant(update_bias), zeros)


def _log_time(shortest: float, longest: float) -> Initializer:
    if not 1 < shortest <= longest < math.inf:
        raise UsageError(
            f"chrono: expected 1 < shortest <= longest in steps, got {shortest} and {longest}"
        )

    return _LogTime(shortest, longest)


@dataclasses.dataclass(frozen=True)
class _LogTime:
    shortest: float
    longest: float

    def __call__(self, key: Array, shape: Sequence[int], dtype: jnp.dtype = jnp.float32) -> Array:
        least, most = (within_range(steps - 1) for steps in (self.shortest, self.longest))
        return jnp.log(jax.random.uniform(key, shape, dtype, least, most))
