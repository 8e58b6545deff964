"""Every op with its batch split over devices: by the compiler, by type, and by `jax.shard_map`."""

import functools
import inspect

import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import ops
from tests import meshed, oracles, recurrence_cases

B, T, S, D, H, N, M, K = 8, 5, 6, 3, 4, 4, 2, 7
RNG = np.random.default_rng(0)


def normal(*shape):
    return jnp.asarray(RNG.normal(size=shape) / 2, jnp.float32)


SEQUENCE = {
    "x": normal(B, T, D),
    "lengths": jnp.asarray([0, 1, T, 4, 2, 3, T, 5], jnp.int32),
    "resets": jnp.asarray(RNG.random((B, T)) < 0.3),
}
STATE = normal(B, H)
KERNELS = {4: (normal(D, 4 * H), normal(H, 4 * H), normal(4 * H))}
KERNELS[3] = tuple(kernel[..., : 3 * H] for kernel in KERNELS[4])
LSTM_PARAMS = ops.LSTMParams(*KERNELS[4])
VARIANTS = {
    "peephole": ops.PeepholeLSTMParams(*KERNELS[4], normal(3 * H)),
    "coupled": ops.CoupledLSTMParams(*KERNELS[3]),
    "layer_norm": ops.LayerNormLSTMParams(
        *KERNELS[4], normal(4 * H), normal(4 * H), normal(H), normal(H)
    ),
}
GRU_PARAMS = ops.GRUParams(*KERNELS[3], normal(3 * H))
HEADS = {"query": normal(B, T, N, K), "key": normal(B, S, M, K), "value": normal(B, S, M, K)}


def over_sequence(op, *, limits=False, **options):
    def run(params, batch):
        more = {}
        if limits:
            more = {"seq_lengths": batch["lengths"], "resets": batch["resets"]}
        return op(params, batch["x"], batch.get("state"), **more, **options)

    return run


def attention(**options):
    def run(bias, batch):
        arrays = batch["query"], batch["key"], batch["value"]
        lengths = {"key_value_seq_lengths": batch["lengths"]} if "lengths" in batch else {}
        return ops.dot_product_attention(*arrays, bias, **lengths, **options)

    return run


def append(_, batch):
    cache = ops.KeyValueCache(batch["key"], batch["value"], jnp.int32(2))
    return ops.append(cache, batch["key"][:, :3], batch["value"][:, :3])[:2]


def append_to_empty(_, batch):
    cache = ops.empty_cache(batch["key"].shape[0], S, M, K, jnp.float32)
    return ops.append(cache, batch["key"][:, :3], batch["value"][:, :3])[:2]


def recurrence(name, form, number):
    """A variant whose first array has a factor for all rows; every second one has limits."""
    steps = 6  # two chunks: a rest would double what is compiled
    sizes = recurrence_cases.SIZES | {"B": B, "M": M, "T": steps}
    drawn = recurrence_cases.draw(name, sizes) | {
        "initial_state": recurrence_cases.draw_state(name, sizes)
    }
    arrays = recurrence_cases.in_dtype(drawn, jnp.float32)
    first = next(iter(recurrence_cases.VARIANTS[name].axes))
    factor = jnp.full((1,) * arrays[first].ndim, 0.9)
    limits = {}
    if number % 2:
        limits["seq_lengths"] = SEQUENCE["lengths"]
        limits["resets"] = jnp.asarray(RNG.random((B, steps)) < 0.3)

    def run(factor, batch):
        given = batch | {first: batch[first] * factor}
        return recurrence_cases.called(name, form, given, reverse=bool(limits))

    return run, factor, arrays | limits


def recurrence_step(name):
    """The step of a variant."""
    variant = recurrence_cases.VARIANTS[name]
    whole = recurrence(name, "scan", 0)[2]
    batch = {key: whole[key][:, 0] for key in variant.axes} | {"state": whole["initial_state"]}
    return lambda _, batch: variant.step(**batch), None, batch


PAIR = {"h": normal(B, H), "x": normal(B, D)}
WITH_LENGTHS = HEADS | {"lengths": SEQUENCE["lengths"]}
BIAS = normal(N, T, S)
LSTM = over_sequence(ops.lstm)
# The name of an op, then words: a function of parameters and a batch, and both.
CASES = {
    "lstm scan": (over_sequence(ops.lstm, implementation="scan"), LSTM_PARAMS, SEQUENCE),
    "lstm fused": (over_sequence(ops.lstm, implementation="fused"), LSTM_PARAMS, SEQUENCE),
    "lstm auto": (LSTM, LSTM_PARAMS, SEQUENCE),
    "lstm limits, segments": (
        over_sequence(ops.lstm, limits=True, reverse=True, segment=2),
        LSTM_PARAMS,
        SEQUENCE,
    ),
    **{f"lstm {name}": (LSTM, params, SEQUENCE) for name, params in VARIANTS.items()},
    "gru scan": (over_sequence(ops.gru, implementation="scan", limits=True), GRU_PARAMS, SEQUENCE),
    "gru auto": (over_sequence(ops.gru, limits=True), GRU_PARAMS, SEQUENCE),
    "gru state": (over_sequence(ops.gru), GRU_PARAMS, SEQUENCE | {"state": STATE}),
    "gru before": (over_sequence(ops.gru, reset_after=False), GRU_PARAMS, SEQUENCE),
    "lstm_gates": (over_sequence(ops.lstm_gates), LSTM_PARAMS, SEQUENCE),
    "gru_gates": (over_sequence(ops.gru_gates), GRU_PARAMS, SEQUENCE),
    "gru_step": (lambda params, b: ops.gru_step(params, b["h"], b["x"]), GRU_PARAMS, PAIR),
    **{
        f"{name}_step": (
            lambda params, b, name=name: getattr(ops, f"{name}_step")(
                params, ops.LSTMState(b["h"], b["h"]), b["x"]
            ),
            params,
            PAIR,
        )
        for name, params in (
            ("lstm", LSTM_PARAMS),
            ("peephole_lstm", VARIANTS["peephole"]),
            ("coupled_lstm", VARIANTS["coupled"]),
            ("layer_norm_lstm", VARIANTS["layer_norm"]),
        )
    },
    **{
        f"dot_product_attention {how}{words}": (
            attention(implementation=how, **options),
            bias,
            batch,
        )
        for how in ("dense", "chunked")
        for words, options, bias, batch in (
            (", causal", {"is_causal": True}, None, HEADS),
            (", lengths", {}, None, WITH_LENGTHS),
            (", bias", {}, BIAS, HEADS),
        )
    },
    "dot_product_weights": (
        lambda _, b: ops.dot_product_weights(b["query"], b["key"], is_causal=True),
        None,
        HEADS,
    ),
    "additive_attention": (
        lambda score, b: ops.additive_attention(b["query"], b["key"], b["value"], score),
        normal(D),
        {"query": normal(B, T, D), "key": normal(B, S, D), "value": normal(B, S, H)},
    ),
    "attention_pooling": (
        lambda _, b: ops.attention_pooling(b["logits"], b["values"]),
        None,
        {"logits": normal(B, T), "values": normal(B, T, H)},
    ),
    "empty_pooling_state then attention_pooling": (
        lambda _, b: ops.attention_pooling(
            b["logits"], b["values"], ops.empty_pooling_state(b["values"], H)
        ),
        None,
        {"logits": normal(B, T), "values": normal(B, T, H)},
    ),
    "rotary": (lambda _, b: ops.rotary(b["query"], jnp.arange(T)), None, HEADS),
    "append": (append, None, HEADS),
    "append to empty_cache": (append_to_empty, None, HEADS),
}
RECURRENCES = {
    f"{recurrence_cases.VARIANTS[name].op.__name__} {name} {form}": recurrence(name, form, number)
    for number, (name, form) in enumerate(recurrence_cases.one_form_each())
}
RECURRENCES |= {
    variant.step.__name__: recurrence_step(name)
    for name, variant in recurrence_cases.VARIANTS.items()
}
CASES |= RECURRENCES
# All of them run through one function, `ops.scan.row_by_row`: each is tried on one mesh.
TABLE = [(name, *mesh) for name in CASES if name not in RECURRENCES for mesh in meshed.MESHES]
TABLE += [
    (name, *meshed.MESHES[number % len(meshed.MESHES)]) for number, name in enumerate(RECURRENCES)
]
# No array of these has a batch.
WITHOUT_BATCH = {"accumulator", "alibi_bias", "sinusoidal_positions", "within", "empty_cache"}
# On Auto axes the compiler sums the gradients of a plain scan at each of its steps, T or T / 2.
SUMMED_IN_LOOPS = ("scan", "peephole", "coupled", "layer_norm", "before", "gates", "segments")
FAST = (
    "lstm auto-4-explicit",
    "gru auto-4-auto",
    "dot_product_attention chunked, bias-4-auto",
    "append to empty_cache-4-explicit",
    "lstm peephole-4-manual",
)
# Errors of float32 sums over T steps, B rows and D + H features.
BOUND = 2 * oracles.rounding_bound("float32", T * B + D + H, magnitude=4, steps=2)


def test_every_op_has_a_case():
    """Catches a new op that nobody ran on a mesh."""
    named = {name.split(" ")[0] for name in CASES}
    functions = {name for name in ops.__all__ if inspect.isfunction(getattr(ops, name))}
    assert functions == named | WITHOUT_BATCH


@functools.cache
def alone(name):
    return meshed.alone(*CASES[name])


@pytest.mark.full_but(*FAST)
@pytest.mark.parametrize(("name", "devices", "kind"), TABLE)
def test_an_op_on_a_split_batch_is_the_op(name, devices, kind):
    """Oracle: one device without a mesh; the text of the compiled program. Catches a batch that is
    gathered on each device, a type that JAX can't find, a state that lies elsewhere than the
    inputs, and gradients summed over devices at each step."""
    in_loops = name not in RECURRENCES and any(word in name for word in SUMMED_IN_LOOPS)
    one_sum = None if in_loops and kind == "auto" else [("all-reduce", ())]
    meshed.check(CASES[name], alone(name), kind, devices, BOUND, one_sum)
