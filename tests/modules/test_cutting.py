"""A cut path carries nothing: by gradient, by hand-made models, and step by step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import models, modules, tasks
from lstm_attn.analysis import cuts_of
from lstm_attn.models import ModelConfig
from lstm_attn.modules.intercept import Cut, cutting
from lstm_attn.modules.observing import Observations
from tests import oracles
from tests.modules.test_modules import LENGTH, initialised, inputs_of

TASK = tasks.adding(7)
STEP = 3
EVERYWHERE = {"resets": jnp.ones(7, bool), "mask": jnp.eye(7, dtype=bool)}
BOTH_PATHS = Observations({}, {"attention": None}, {"lstm": None})


def built(name, placement="over_states"):
    """A model, parameters drawn away from their initial zeros, and inputs."""
    config = ModelConfig(features=8, num_heads=2, num_layers=2, attention_placement=placement)
    model = models.build(name, TASK, config)
    params = jax.jit(model.init)(jax.random.key(0))
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: leaf + rng.normal(0, 0.3, leaf.shape).astype(np.float32), params
    )
    inputs = jax.jit(TASK.sample, static_argnums=1)(jax.random.key(2), 2).inputs
    return model, params, inputs


def influence_of(model, params, inputs):
    """A function of a cut: [T, T], the size of d output_t / d input_s, of the first sequence."""

    @jax.jit
    def jacobian(cut):
        return jax.jacobian(lambda x: model.apply_cut(params, x, cut)[0, :, 0])(inputs)[:, 0]

    return lambda cut: np.abs(jacobian(cut)).sum(-1)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_without_recurrence_each_step_is_a_sequence_of_its_own(name):
    """Oracle: apply on one step at a time. Catches a state that survives the first reset."""
    model, params, inputs = built(name)
    outputs = jax.jit(model.apply_cut)(params, inputs, Cut(resets=EVERYWHERE["resets"]))
    for t in range(TASK.length):
        alone = jax.jit(model.apply)(params, inputs[:, t : t + 1])
        np.testing.assert_allclose(outputs[:, t : t + 1], alone, atol=oracles.LAYER)


def test_without_attention_each_step_attends_to_itself():
    """Oracle: the module on one step at a time. Catches a mask of queries for one of keys."""
    inputs, module = inputs_of(4), modules.MultiHeadAttention(2)
    params = initialised(module, inputs)
    with cutting(Cut(mask=jnp.eye(LENGTH, dtype=bool))):
        outputs = module.apply({"params": params}, inputs)
    for t in range(LENGTH):
        alone = jax.jit(module.apply)({"params": params}, inputs[:, t : t + 1])
        np.testing.assert_allclose(outputs[:, t : t + 1], alone, atol=oracles.LAYER)


@pytest.mark.full
def test_with_both_cut_always_no_step_knows_another():
    """By gradient: the Jacobian is diagonal, but not with one path cut. Catches a layer that the
    cut misses."""
    influence = influence_of(*built("lstm_attention", "alternating"))
    cuts = cuts_of(BOTH_PATHS, TASK.length)
    both = influence(cuts["both"])
    assert not (both - np.diag(np.diag(both))).any()
    assert np.diag(both).all()
    for part in ("recurrence", "attention"):
        assert influence(cuts[part])[np.tril_indices(7, -1)].all(), part


@pytest.mark.parametrize("placement", ["over_states", "alternating"])
@pytest.mark.full
def test_with_both_cut_once_nothing_crosses_the_step(placement):
    """By gradient: later outputs do not see earlier inputs, all else is as before; through one open
    path they do. Catches a cut one step early or late."""
    model, params, inputs = built("lstm_attention", placement)
    influence = influence_of(model, params, inputs)
    cuts = cuts_of(BOTH_PATHS, TASK.length, STEP)
    whole = influence(cuts["nothing"])
    past = np.tril(np.ones((7, 7), bool))
    assert (whole != 0).tolist() == past.tolist()
    uncut = jax.jit(model.apply_cut)(params, inputs, cuts["nothing"])
    np.testing.assert_allclose(uncut, jax.jit(model.apply)(params, inputs), atol=oracles.LAYER)
    both = influence(cuts["both"])
    apart = past.copy()
    apart[STEP:, :STEP] = False
    assert (both != 0).tolist() == apart.tolist()
    np.testing.assert_allclose(both[:STEP], whole[:STEP], rtol=1e-5)
    for one in ("recurrence", "attention"):
        assert influence(cuts[one])[STEP:, :STEP].all()


@pytest.mark.full
def test_a_hybrid_that_ignores_a_path_does_not_miss_it():
    """Hand-made: a combine kernel with zeros for attention's output; an LSTM that carries nothing.
    Catches the paths swapped."""
    model, params, inputs = built("lstm_attention")
    features = params["body"]["combine"]["kernel"].shape[1]
    deaf = params["body"]["combine"]["kernel"].at[:features].set(0)
    without_attention = {**params["body"], "combine": {**params["body"]["combine"], "kernel": deaf}}
    lstm = params["body"]["lstm"]
    shut = lstm["bias"].at[features : 2 * features].set(-200.0)
    forgetful = {
        **lstm,
        "bias": shut,
        "kernel": lstm["kernel"].at[:, features : 2 * features].set(0),
        "recurrent_kernel": 0 * lstm["recurrent_kernel"],
    }
    without_recurrence = {**params["body"], "lstm": forgetful}
    for body, spared, missed in (
        (without_attention, "mask", "resets"),
        (without_recurrence, "resets", "mask"),
    ):
        changed = {**params, "body": body}
        whole = jax.jit(model.apply)(changed, inputs)
        apply_cut = jax.jit(model.apply_cut)
        same = apply_cut(changed, inputs, Cut(**{spared: EVERYWHERE[spared]}))
        np.testing.assert_allclose(same, whole, atol=oracles.LAYER)
        other = apply_cut(changed, inputs, Cut(**{missed: EVERYWHERE[missed]}))
        assert np.abs(other - whole).max() > 1e-3


def test_a_cut_adds_to_what_the_call_closes():
    """Catches a cut that undoes the mask or the resets of the call."""
    inputs, attention, lstm = inputs_of(4), modules.MultiHeadAttention(2), modules.LSTM(4)
    mask = jnp.arange(LENGTH) != 1
    resets = jnp.zeros((2, LENGTH), bool).at[:, 2].set(True)
    far = jnp.arange(LENGTH) != 3
    for module, given, cut, both in (
        (attention, {"mask": mask}, Cut(mask=far), {"mask": mask & far}),
        (lstm, {"resets": resets}, Cut(resets=~far), {"resets": resets | ~far[None]}),
    ):
        params = {"params": initialised(module, inputs)}
        with cutting(cut):
            outputs = module.apply(params, inputs, **given)
        np.testing.assert_allclose(
            outputs, module.apply(params, inputs, **both), atol=oracles.LAYER
        )


@pytest.mark.parametrize(
    ("name", "part", "message"),
    [
        ("transformer", "resets", r"resets expected a model with a modules\.Recurrent layer"),
        ("gru", "mask", r"mask expected a model with modules\.MultiHeadAttention"),
    ],
)
def test_a_path_that_is_not_there_cannot_be_cut(name, part, message):
    """Catches an accuracy that seems to survive a cut which cut nothing."""
    model, params, inputs = built(name)
    with pytest.raises(ValueError, match=f"^cut: {message}, got one without"):
        jax.eval_shape(model.apply_cut, params, inputs, Cut(**{part: EVERYWHERE[part]}))


def test_a_layer_in_reverse_is_refused():
    """Catches a cut on the wrong side of a step."""
    inputs, module = inputs_of(), modules.LSTM(4)
    params = {"params": initialised(module, inputs)}
    message = r"^cut: expected layers that run forward, got LSTM"
    with pytest.raises(ValueError, match=message), cutting(Cut(resets=jnp.ones(LENGTH, bool))):
        module.apply(params, inputs, reverse=True)
