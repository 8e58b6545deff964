"""`jax.export` of every op and model, for platforms that this machine does not have."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import models, ops, tasks
from lstm_attn.errors import UsageError
from lstm_attn.models import MODELS
from tests import meshed, oracles, recurrence_cases, test_meshes
from tests.ops import test_placement

PLATFORMS = ("cpu", "cuda", "tpu")
pytestmark = pytest.mark.usefixtures("compiled_quickly")


def exported_for_all(function, *arrays):
    """The function as a program for all platforms: bytes, which its `call` reads and runs here."""
    exported = jax.export.export(jax.jit(function), platforms=PLATFORMS)(*arrays)
    assert exported.platforms == PLATFORMS
    return exported


def check(case, expected, bound):
    function, params, batch = case
    programs = (function, functools.partial(meshed.slope, function))
    results = [exported_for_all(f, params, batch).call(params, batch) for f in programs]
    for ours, theirs in zip(
        jax.tree.leaves(results),
        [*expected[0], *expected[1]],
        strict=True,
    ):
        scale = max(1, np.abs(theirs).max(initial=0))
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=bound * scale)


# What a linear recurrence calls depends on its op and implementation alone.
EXPORTED = [name for name in test_placement.CASES if name not in test_placement.RECURRENCES]
EXPORTED += [
    f"{recurrence_cases.VARIANTS[name].op.__name__} {name} {form}"
    for name, form in recurrence_cases.each_form_once()
]
EXPORTED += [name for name in test_placement.RECURRENCES if name.endswith("_step")]


@pytest.mark.full_but(
    "lstm auto", "gru auto", "dot_product_attention chunked, lengths", "delta_rule delta 3"
)
@pytest.mark.parametrize("name", EXPORTED)
def test_an_exported_op_is_the_op(name):
    """Oracle: the op. Catches a call that only one platform has, and a program that can't be
    written."""
    check(test_placement.CASES[name], test_placement.alone(name), test_placement.BOUND)


@pytest.mark.full_but("lstm-apply", "transformer-step")
@pytest.mark.parametrize("door", ["apply", "hidden", "observe", "segment", "step"])
@pytest.mark.parametrize("name", MODELS)
def test_an_exported_model_is_the_model(name, door):
    """Oracle: the model. Catches as above."""
    check(*test_meshes.case_of(name, door), test_meshes.BOUND)


def test_a_model_is_written_and_read():
    """Oracle: the model. Catches what JAX exports and can't write."""
    (apply, params, inputs), (outputs, _) = test_meshes.case_of("lstm", "apply")
    written = exported_for_all(apply, params, inputs).serialize()
    again = jax.export.deserialize(written).call(params, inputs)
    np.testing.assert_allclose(again, outputs[0], atol=test_meshes.BOUND)


SIZES = {"batch": ("b", "5"), "time": ("8", "t"), "both": ("b", "t")}


def symbolic(names, array):
    """The shape of an array [B, T, ...] with names for its first sizes."""
    rest = ", ".join([*names, *map(str, array.shape[2:])])
    return jax.ShapeDtypeStruct(jax.export.symbolic_shape(rest, scope=SCOPE), array.dtype)


SCOPE = jax.export.SymbolicScope()


@pytest.mark.full_but("lstm-both", "transformer-both")
@pytest.mark.parametrize("names", SIZES)
@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_exported_for_every_size(name, names):
    """Oracle: the model at two sizes each. Catches a size that is compared at trace time."""
    task = tasks.build("adding", 6)
    model = models.build(name, task, test_meshes.CONFIG)
    params = model.init(jax.random.key(0))
    inputs = task.sample(jax.random.key(1), 8).inputs[:, :5]
    exported = jax.export.export(jax.jit(model.apply), platforms=PLATFORMS)(
        params, symbolic(SIZES[names], inputs)
    )
    fewer = inputs[: 3 if "b" in SIZES[names] else 8, : 4 if "t" in SIZES[names] else 5]
    for some in (inputs, fewer):
        np.testing.assert_allclose(
            exported.call(params, some), model.apply(params, some), atol=test_meshes.BOUND
        )


def attend(how, query, key, value):
    return ops.dot_product_attention(query, key, value, is_causal=True, implementation=how)


@pytest.mark.parametrize("names", SIZES)
def test_attention_takes_sizes_that_are_not_known(names):
    """Oracle: the dense form at known sizes. Catches tiles that are laid out for no number, and an
    error of many lines where they were asked for."""
    heads = test_placement.HEADS
    arrays = heads["query"], heads["key"][:, :5], heads["value"][:, :5]
    shapes = [symbolic(SIZES[names], array) for array in arrays]
    exported = jax.export.export(jax.jit(functools.partial(attend, "auto")))(*shapes)
    np.testing.assert_allclose(exported.call(*arrays), attend("dense", *arrays), atol=1e-6)
    with pytest.raises(UsageError, match="'chunked' expected sizes that are known, got") as caught:
        jax.export.export(jax.jit(functools.partial(attend, "chunked")))(*shapes)
    assert "\n" not in str(caught.value)


@pytest.mark.full_but("RWKV7")
@pytest.mark.parametrize("name", recurrence_cases.VARIANTS)
def test_a_recurrence_takes_sizes_that_are_not_known(name):
    """Oracle: the op at known sizes. Catches chunks that are cut of no number of steps, and an error
    of many lines where they were asked for."""
    _, _, batch = test_placement.recurrence(name, "scan", 1)
    b, t = jax.export.symbolic_shape("b, t", scope=SCOPE)

    def run(batch, form="auto"):
        return recurrence_cases.called(name, form, batch)

    def unknown(key, array):
        known = array.shape[1 if key in ("seq_lengths", "initial_state") else 2 :]
        ahead = (b,) if len(known) == array.ndim - 1 else (b, t)
        return jax.ShapeDtypeStruct((*ahead, *known), array.dtype)

    shapes = {
        key: jax.tree.map(functools.partial(unknown, key), array) for key, array in batch.items()
    }
    exported = jax.export.export(jax.jit(run), platforms=PLATFORMS)(shapes)
    jax.tree.map(
        lambda ours, theirs: np.testing.assert_allclose(ours, theirs, atol=test_placement.BOUND),
        exported.call(batch),
        run(batch, "scan"),
    )
    with pytest.raises(UsageError, match="'chunked' expected sizes that are known, got") as caught:
        jax.export.export(jax.jit(functools.partial(run, form="chunked")))(shapes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", [jnp.float32])
def test_lengths_and_resets_of_unknown_sizes(dtype):
    """Oracle: the op at known sizes. Catches a limit whose shape is compared with a number."""
    batch = test_placement.SEQUENCE

    def run(batch):
        return ops.lstm(
            test_placement.LSTM_PARAMS,
            batch["x"].astype(dtype),
            seq_lengths=batch["lengths"],
            resets=batch["resets"],
        )

    (b,) = jax.export.symbolic_shape("b", scope=SCOPE)
    shapes = {
        "x": symbolic(("b", "t"), batch["x"]),
        "lengths": jax.ShapeDtypeStruct((b,), jnp.int32),
        "resets": symbolic(("b", "t"), batch["resets"]),
    }
    exported = jax.export.export(jax.jit(run), platforms=PLATFORMS)(shapes)
    jax.tree.map(
        lambda ours, theirs: np.testing.assert_allclose(ours, theirs, atol=oracles.MODEL),
        exported.call(batch),
        run(batch),
    )
