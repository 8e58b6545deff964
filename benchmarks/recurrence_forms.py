"""In a child: the recurrences as ops of ours, as a plain `lax.scan`, as an associative scan."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from benchmarks.contenders import Ready
from benchmarks.jitted import ready
from benchmarks.recurrences import Recurrence
from lstm_attn import ops

Arrays = Mapping[str, Any]


def arrays_of(case: Recurrence) -> dict[str, Array]:
    """Arrays [B, T, ...]: keys of length 1, decays near 1, betas and gates of sigmoids."""
    random = np.random.default_rng(0)
    lead, per_head = (case.batch, case.length), (case.batch, case.length, *case.sizes[:1])

    def normal(*shape: int) -> np.ndarray:
        return random.standard_normal(shape, np.float32)

    def log_sigmoid(x: np.ndarray) -> np.ndarray:
        return -np.logaddexp(0, -x)

    if len(case.sizes) == 1:
        inputs, decay = normal(*per_head), np.exp(log_sigmoid(3 + normal(*per_head)))
        if case.cell.endswith("complex"):
            inputs, decay = inputs + 1j * normal(*per_head), decay * np.exp(1j * inputs)
        return {"decay": jnp.asarray(decay), "inputs": jnp.asarray(inputs)}
    heads, keys, values = case.sizes
    query, key = normal(*lead, heads, keys), normal(*lead, heads, keys)
    key /= np.linalg.norm(key, axis=-1, keepdims=True)
    drawn = {"query": query, "key": key, "value": normal(*lead, heads, values)}
    of_each_key = case.cell == "RWKV-7" or case.cell.endswith("each key")
    of_decay = query.shape if of_each_key else per_head
    drawn["log_decay"] = log_sigmoid(3 + normal(*of_decay))
    if case.cell == "mLSTM":
        drawn["log_input_gate"] = normal(*per_head)
    if case.cell in ("gated delta rule", "RWKV-7"):
        drawn["beta"] = np.exp(log_sigmoid(normal(*per_head)))
    if case.cell == "RWKV-7":
        drawn["removal_key"] = key + 0
    return {name: jnp.asarray(array) for name, array in drawn.items()}


def ours(case: Recurrence, implementation: str) -> Ready:
    function: Any = ops.gated_linear_attention
    if len(case.sizes) == 1:
        function = ops.linear_recurrence
    elif case.cell in ("gated delta rule", "RWKV-7"):
        function = ops.delta_rule
    return _measured(case, lambda arrays: function(**arrays, implementation=implementation)[0])


def plain(case: Recurrence) -> Ready:
    """The equations in `lax.scan`, without lengths, resets or an initial state."""

    def outputs(arrays: Arrays) -> Array:
        start = jax.tree.map(lambda leaf: jnp.zeros_like(leaf[:, 0]), _state_of(arrays))
        by_time = jax.tree.map(lambda leaf: leaf.swapaxes(0, 1), dict(arrays))
        return lax.scan(_step, start, by_time)[1].swapaxes(0, 1)

    return _measured(case, outputs)


def _state_of(arrays: Arrays) -> Any:
    """Arrays [B, T, ...] of the shapes of the state at each step."""
    if "inputs" in arrays:
        return arrays["inputs"]
    memory = _outer(arrays["value"], arrays["key"])
    if "log_input_gate" in arrays:
        return memory, arrays["key"], arrays["log_input_gate"]
    return memory


def _step(state: Any, x: Arrays) -> tuple[Any, Array]:
    if "inputs" in x:
        state = x["decay"] * state + x["inputs"]
        return state, state
    decay, added = jnp.exp(_wide(x["log_decay"], x)), _outer(x["value"], x["key"])
    if "log_input_gate" in x:
        memory, normaliser, m = state
        scale = jnp.maximum(x["log_decay"] + m, x["log_input_gate"])
        kept, written = jnp.exp(x["log_decay"] + m - scale), jnp.exp(x["log_input_gate"] - scale)
        memory = kept[..., None, None] * memory + written[..., None, None] * added
        normaliser = kept[..., None] * normaliser + written[..., None] * x["key"]
        return (memory, normaliser, scale), _normalised(memory, normaliser, scale, x["query"])
    if "beta" not in x:
        state = decay * state + added
        return state, _read(state, x["query"])
    beta, decayed = x["beta"][..., None], decay * state
    if "removal_key" in x:
        held = _read(state, x["removal_key"])
        state = decayed - beta[..., None] * _outer(held, x["removal_key"]) + added
    else:
        held = _read(decayed, x["key"])
        state = decayed + _outer(beta * (x["value"] - held), x["key"])
    return state, _read(state, x["query"])


def associative(case: Recurrence) -> Ready:
    """`jax.lax.associative_scan` over (what a step keeps, what it adds), dense in the state."""

    def outputs(arrays: Arrays) -> Array:
        if "log_input_gate" in arrays:
            states = lax.associative_scan(_after_m_lstm, _m_lstm(arrays), axis=1)
            _, scale, memory, normaliser = states
            return _normalised(memory, normaliser, scale, arrays["query"])
        after = _after_product if "beta" in arrays else _after
        _, state = lax.associative_scan(after, _elements(arrays), axis=1)
        return state if "inputs" in arrays else _read(state, arrays["query"])

    return _measured(case, outputs)


def _elements(arrays: Arrays) -> tuple[Array, Array]:
    """What each step keeps, a factor or a matrix [K, K], and what it adds."""
    if "inputs" in arrays:
        return arrays["decay"], arrays["inputs"]
    decay = jnp.exp(_wide(arrays["log_decay"], arrays))
    added = _outer(arrays["value"], arrays["key"])
    if "beta" not in arrays:
        return decay, added
    beta = arrays["beta"][..., None, None]
    eye = jnp.eye(arrays["key"].shape[-1], dtype=decay.dtype)[None, None, None]
    if "removal_key" in arrays:
        removal = arrays["removal_key"]
        return decay * eye - beta * _outer(removal, removal), added
    erased = eye - beta * _outer(arrays["key"], arrays["key"])
    return decay.swapaxes(-1, -2) * erased, beta * added


def _after(first: tuple[Array, Array], second: tuple[Array, Array]) -> tuple[Array, Array]:
    return first[0] * second[0], first[1] * second[0] + second[1]


def _after_product(first: tuple[Array, Array], second: tuple[Array, Array]) -> tuple[Array, Array]:
    return first[0] @ second[0], first[1] @ second[0] + second[1]


def _m_lstm(arrays: Arrays) -> tuple[Array, ...]:
    """The log of what each step keeps; the log scale of what it adds; the memory and normaliser."""
    added = _outer(arrays["value"], arrays["key"])
    return arrays["log_decay"], arrays["log_input_gate"], added, arrays["key"]


def _after_m_lstm(first: tuple[Array, ...], second: tuple[Array, ...]) -> tuple[Array, ...]:
    entering = first[1] + second[0]
    scale = jnp.maximum(entering, second[1])
    kept, written = jnp.exp(entering - scale), jnp.exp(second[1] - scale)
    memory = kept[..., None, None] * first[2] + written[..., None, None] * second[2]
    normaliser = kept[..., None] * first[3] + written[..., None] * second[3]
    return first[0] + second[0], scale, memory, normaliser


def _wide(log_decay: Array, arrays: Arrays) -> Array:
    """[..., N, 1, 1 or K]."""
    per_head = log_decay.ndim < arrays["key"].ndim
    return log_decay[..., None, None] if per_head else log_decay[..., None, :]


def _outer(value: Array, key: Array) -> Array:
    return value[..., None] * key[..., None, :]


def _read(memory: Array, query: Array) -> Array:
    return jnp.einsum("...vk,...k->...v", memory, query)


def _normalised(memory: Array, normaliser: Array, scale: Array, query: Array) -> Array:
    total = jnp.abs(jnp.sum(normaliser * query, axis=-1))
    return _read(memory, query) / jnp.maximum(total, jnp.exp(-scale))[..., None]


def _measured(case: Recurrence, outputs: Callable[[Arrays], Array]) -> Ready:
    """Outputs, or the gradients of the mean of their squares by all arrays."""

    def loss(arrays: Arrays) -> Array:
        return jnp.mean(jnp.abs(outputs(arrays)) ** 2)

    def values(results: Any) -> dict[str, np.ndarray]:
        named = {"outputs": results} if case.direction == "forward" else results
        parts: dict[str, np.ndarray] = {}
        for name, array in named.items():
            parts |= {f"{name}, real": np.real(array), f"{name}, imaginary": np.imag(array)}
        return parts

    function = outputs if case.direction == "forward" else jax.grad(loss)
    return ready(function, (arrays_of(case),), values)
