"""The linear recurrences and matrix memories: every op in every variant and implementation.

The tests that walk all ops take their cases of these from here: a variant added to VARIANTS, or an
implementation to an op's table, is tested in each of them without another line.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_attn import ops
from lstm_attn.ops.delta_rule import IMPLEMENTATIONS as DELTA_FORMS
from lstm_attn.ops.gated_linear_attention import IMPLEMENTATIONS as GLA_FORMS
from lstm_attn.ops.linear_recurrence import IMPLEMENTATIONS as LINEAR_FORMS
from tests import memory_oracles, oracles

# Each its own number, so that no exchanged axes fit.
SIZES = {"B": 4, "T": 7, "N": 3, "K": 2, "V": 5, "H": 6, "M": 8}


class Variant(NamedTuple):
    """op: over time; step: one step. forms: its implementations. state: the axes of its state.
    axes: of each array after B and T. oracle: one step."""

    op: object
    step: object
    forms: tuple
    state: object
    axes: dict
    oracle: object


LINEAR = (ops.linear_recurrence, ops.linear_recurrence_step, LINEAR_FORMS, "B H")
GLA = (ops.gated_linear_attention, ops.gated_linear_attention_step, GLA_FORMS, "B N V K")
M_LSTM = (*GLA[:3], ops.NormalisedMemory("B N V K", "B N K", "B N"))
DELTA = (ops.delta_rule, ops.delta_rule_step, DELTA_FORMS, "B N V K")
ELEMENTS = {"decay": "H", "inputs": "H"}
HEADS = {"query": "N K", "key": "N K", "value": "N V"}
MICRO_STEPS = {"query": "N K", "key": "M N K", "value": "M N V", "beta": "M N"}
RWKV7 = {"beta": "N K", "log_decay": "N K", "removal_key": "N K"}
GATES = {"log_decay": "N", "log_input_gate": "N"}
ADDED, ERASED = memory_oracles.gated_linear_attention, memory_oracles.delta_rule
VARIANTS = {
    "real": Variant(*LINEAR, ELEMENTS, memory_oracles.linear_recurrence),
    "complex": Variant(*LINEAR, ELEMENTS, memory_oracles.linear_recurrence),
    "attention": Variant(*GLA, HEADS | {"log_decay": "N"}, ADDED),
    "attention per key": Variant(*GLA, HEADS | {"log_decay": "N K"}, ADDED),
    "attention by factor": Variant(*GLA, HEADS | {"decay": "N"}, ADDED),
    "attention undecayed": Variant(*GLA, HEADS, ADDED),
    "mLSTM": Variant(*M_LSTM, HEADS | GATES, memory_oracles.m_lstm),
    "delta": Variant(*DELTA, HEADS | {"beta": "N"}, ERASED),
    "delta decayed": Variant(*DELTA, HEADS | {"beta": "N", "log_decay": "N"}, ERASED),
    "delta per key": Variant(*DELTA, HEADS | {"beta": "N", "log_decay": "N K"}, ERASED),
    "delta by factor": Variant(*DELTA, HEADS | {"beta": "N", "decay": "N K"}, ERASED),
    "delta products": Variant(*DELTA, MICRO_STEPS | {"log_decay": "N"}, ERASED),
    "RWKV7": Variant(*DELTA, HEADS | RWKV7, memory_oracles.rwkv7),
}
# Steps of a chunk: more than there are.
BEYOND = SIZES["T"] + 2


def forms_of(name):
    """The implementations of a variant; of chunks, those of 3 steps, which divide no T here."""
    return tuple(3 if form == "chunked" else form for form in VARIANTS[name].forms)


def one_form_each():
    """(variant, form): chunks of each variant, and of each op all other forms once."""
    seen, found = set(), []
    for name, variant in VARIANTS.items():
        for form in forms_of(name):
            if form == 3 or (variant.op, form) not in seen:
                seen.add((variant.op, form))
                found.append((name, form))
    return found


def each_form_once():
    """(variant, form): each implementation of each op once."""
    return list({(VARIANTS[n].op, form): (n, form) for n, form in one_form_each()[::-1]}.values())


def called(name, form, arrays, **options):
    """The op of a variant on arrays by name, among which may be `initial_state`."""
    return VARIANTS[name].op(**arrays, **options_of(form), **options)


def options_of(form):
    """An implementation, or the steps of a chunk."""
    return {"implementation": form} if isinstance(form, str) else {"chunk": form}


def draw(name, sizes, lead="B T", seed=0):
    """Float64 arrays [B, T, ...] by name: keys of length 1, beta up to 2, decays from 0 to 1."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for array, axes in VARIANTS[name].axes.items():
        drawn = rng.normal(size=[sizes[letter] for letter in f"{lead} {axes}".split()])
        if "key" in array and drawn.size:
            drawn /= np.linalg.norm(drawn, axis=-1, keepdims=True)
        if "decay" in array:
            drawn = -np.abs(drawn)
        if array == "decay":
            drawn = np.exp(drawn) * (np.exp(1j * drawn) if name == "complex" else 1)
        if array == "beta":
            drawn = 2 * oracles.sigmoid(drawn)
        if array == "inputs" and name == "complex":
            drawn = drawn + 1j * rng.normal(size=drawn.shape)
        arrays[array] = drawn
    return arrays


def draw_state(name, sizes, seed=1):
    """A state as of the op, in float64; of the mLSTM over exp(0)."""
    rng = np.random.default_rng(seed)

    def drawn(axes):
        state = rng.normal(size=[sizes[letter] for letter in axes.split()])
        return state + 0.5j if name == "complex" else state

    state = jax.tree.map(drawn, VARIANTS[name].state)
    if isinstance(state, ops.NormalisedMemory):
        return state._replace(log_scale=np.zeros_like(state.log_scale))
    return state


def in_dtype(tree, dtype):
    """Arrays in this dtype, or in the complex one of its precision."""
    wide = np.complex128 if dtype == np.float64 else np.complex64
    return jax.tree.map(
        lambda leaf: jnp.asarray(leaf, wide if np.iscomplexobj(leaf) else dtype), tree
    )
