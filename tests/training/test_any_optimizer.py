"""Optimisers of one's own: all those of optax, and what they ask for."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lstm_attn import tasks
from lstm_attn.errors import UsageError
from lstm_attn.models import Model
from lstm_attn.training import TrainingConfig, checkpoints, make_program
from lstm_attn.training.optimizer import check_optimizer, make_optimizer
from lstm_attn.training.train_step import TrainStep

CONFIG = TrainingConfig(
    steps=4, batch_size=2, seeds=1, learning_rates=0.1, warmup_steps=0, schedule="constant",
    clip_norm=1e9, evaluate_every=1, evaluation_sequences=4, confirmation_sequences=0,
)  # fmt: skip
PARAMS = {"w": jnp.linspace(-1, 1, 15).reshape(3, 5), "b": jnp.linspace(0.5, 1, 5)}


RATE = "learning_rate"
# They take no schedule.
NUMBERS_ONLY = ("optimistic_adam", "rprop", "scale_by_rprop", "sm3")
# They look for a step by evaluating the loss at other parameters.
SEARCHING = ("lbfgs",)


def _at(made, schedule):
    return made(0.1)


def of_optax():
    """Name -> every function of optax from a learning rate to an optimiser, and some around one."""
    found = {}
    for name, made in vars(optax).items():
        if name.startswith("_"):
            continue
        if inspect.isfunction(made) and [*inspect.signature(made).parameters][:1] == [RATE]:
            found[name] = functools.partial(_at, made) if name in NUMBERS_ONLY else made
    return found | {
        "noisy_sgd": lambda rate: optax.noisy_sgd(rate, key=1),
        "polyak_sgd": lambda rate: optax.polyak_sgd(scaling=rate),
        "plateau": lambda rate: optax.chain(optax.sgd(rate), optax.contrib.reduce_on_plateau()),
        "multi_steps": lambda rate: optax.MultiSteps(optax.adam(rate), 2),
        "inject": lambda rate: optax.inject_hyperparams(optax.adam)(learning_rate=rate),
        "masked": lambda rate: optax.masked(optax.adam(rate), {"w": True, "b": False}),
        "sharpness_aware": lambda rate: optax.contrib.sam(
            optax.sgd(rate), optax.sgd(0.1), sync_period=2
        ),
        "if_finite": lambda rate: optax.apply_if_finite(optax.adam(rate), 3),
    }


OPTIMIZERS = of_optax()


def test_the_optimizers_are_those_that_there_are():
    """Catches a search that finds nothing."""
    assert set(OPTIMIZERS) >= {"adam", "adamw", "sgd", "lion", "adafactor", "lbfgs", "rmsprop"}
    assert len(OPTIMIZERS) > 25


@pytest.mark.filterwarnings("ignore:`optimistic_adam` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_of_optax_is_the_same_here(name):
    """Oracle: optax itself, given the loss and the gradients. Between two steps the state is numpy,
    as in a checkpoint. Catches an optimiser that asks for the loss, one with a random key in its
    state, and one that is given what it does not take."""
    factory = OPTIMIZERS[name]
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        if name in SEARCHING:
            with pytest.raises(UsageError, match="^optimizer: expected .*'value_fn'$"):
                check_optimizer(CONFIG, factory, PARAMS)
            return
        check_optimizer(CONFIG, factory, PARAMS)
        rate = optax.constant_schedule(0.1)
        theirs = optax.with_extra_args_support(factory(rate))
        ours = optax.with_extra_args_support(make_optimizer(CONFIG, 0.1, None, factory))
        expected = got = PARAMS
        given = {} if name == "sharpness_aware" else {"value": jnp.float32(2), "grad": PARAMS}
        their_state, our_state = theirs.init(PARAMS), ours.init(PARAMS)
        step, our_step = jax.jit(theirs.update), jax.jit(ours.update)
        for _ in range(2):
            gradients = jax.tree.map(jnp.sin, expected)
            updates, their_state = step(gradients, their_state, expected, **given)
            expected = optax.apply_updates(expected, updates)
            our_state = jax.tree.map(np.asarray, our_state)
            gradients = jax.tree.map(jnp.sin, got)
            updates, our_state = our_step(
                gradients, our_state, got, value=jnp.float32(2), grad=PARAMS
            )
            got = optax.apply_updates(got, updates)
    for leaf, other in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(leaf, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "made", [3, None, optax.constant_schedule(0.1)], ids=["a number", "nothing", "a schedule"]
)
def test_what_is_no_optimizer_is_one_line(made):
    """Catches a traceback out of optax, of a factory that gives something else."""
    with pytest.raises(
        UsageError, match="^optimizer: expected to make an optax optimiser"
    ) as error:
        check_optimizer(CONFIG, lambda rate: made, PARAMS)
    assert "\n" not in str(error.value)


def linear(dtype):
    return Model(
        init=lambda key: {"block.1": {"w": jnp.ones(1, dtype)}},
        apply=lambda params, inputs: inputs[..., :1] * params["block.1"]["w"][None, None],
    )


def keeping(rate):
    """Its state is what it is given."""

    def init(params):
        return {"value": jnp.float32(0), "grad": params, "key": jax.random.key(3)}

    def update(gradients, state, params=None, *, value, grad):
        return jax.tree.map(jnp.zeros_like, gradients), {**state, "value": value, "grad": grad}

    return optax.GradientTransformationExtraArgs(init, update)


def test_an_optimizer_is_given_the_loss_and_the_gradients(tmp_path):
    """Oracle: the loss that training reports, and its derivative by hand: of the mean of
    (w x - y)^2 at the last step by w. The checkpoint gives the same states back. Catches the loss
    of another batch, clipped gradients, and a random key that no file holds."""
    task = tasks.adding(4)
    program = make_program(linear(jnp.float32), task, CONFIG, keeping)
    states = program.start()
    path = tmp_path / "cell.safetensors"
    step = TrainStep(linear(jnp.float32), task, CONFIG, 1, keeping)
    batch = step.batch(jax.tree.map(lambda leaf: leaf[0], states), ())
    x, y = np.asarray(batch.inputs)[:, -1, 0], np.asarray(batch.targets)[:, -1]
    states, metrics = program.advance(states)
    (_, kept) = states.optimizer_state
    np.testing.assert_allclose(kept["value"], metrics["train_loss"], rtol=1e-6)
    np.testing.assert_allclose(kept["value"][0], np.mean((x - y) ** 2), rtol=1e-5)
    gradient = kept["grad"]["block.1"]["w"][0, 0]
    np.testing.assert_allclose(gradient, np.mean(2 * (x - y) * x), rtol=1e-5)
    checkpoints.save(path, states)
    for saved, state in zip(
        jax.tree.leaves(checkpoints.restore(path, program)), jax.tree.leaves(states), strict=True
    ):
        np.testing.assert_array_equal(saved, state)


def test_microbatches_of_16_bits_are_summed_in_32():
    """Oracle: the mean of 512 gradients of 1 is 1. Catches a sum in bfloat16, in which 256 + 1 is
    256: it gives a half."""
    ones = np.ones((512, 2, 1), np.float32)
    task = tasks.from_arrays(ones, ones[:, 0, 0], ones, ones[:, 0, 0], lambda out, due: out.sum())
    config = TrainingConfig(steps=2, batch_size=512, accumulation_steps=512, learning_rates=0.1)
    step = TrainStep(linear(jnp.bfloat16), task, config, 1)
    state = step.start(np.uint32(0), np.float32(0.1))
    batch = task.batch((ones, ones[:, :1, 0], ones[:, 0, 0]))
    with jax.numpy_dtype_promotion("standard"):
        (loss, gradients), _ = jax.jit(step.loss_and_gradients)(state.params, state, batch)
    assert gradients["block.1"]["w"].dtype == jnp.bfloat16
    np.testing.assert_array_equal(np.asarray(gradients["block.1"]["w"], np.float32), 1)
    assert float(loss) == 1
