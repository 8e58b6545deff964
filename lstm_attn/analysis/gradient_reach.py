"""How far back gradients travel: d loss / d x_t and d loss / d h_t against the lag."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from lstm_attn import ops
from lstm_attn.analysis.intervals import or_null
from lstm_attn.analysis.paired_tests import (
    ON_MORE_SEEDS,
    PairedTest,
    paired_rate_test,
    paired_sign_test,
    table_of_tests,
)
from lstm_attn.errors import UsageError
from lstm_attn.models import Model, Params
from lstm_attn.tasks import Batch, Task

INPUTS = "inputs"
SHARE = 0.01  # of the norm at lag 1: a gradient below it does not reach so far
# Points of a curve that a figure needs at most. All of the first lags are kept.
FIRST_LAGS, CURVE_POINTS = 8, 64


def gradient_norms(
    model: Model, params: Params, task: Task, batch: Batch, *, inputs_only: bool = False
) -> dict[str, Array]:
    """The norms of the gradients of each sequence's loss at its last step, by lag.

        |d loss_T / d x_t|, |d loss_T / d h_t|    at lag T - t = 0, 1 ... T - 1

    The loss is the task's own at the last step only, so that the lag is the distance to the answer:
    for adding that is the whole loss, for copy the loss of the last symbol, which was read
    length + 10 steps before. d loss / d h_t is the total derivative, see
    `modules.with_hidden_states`. One backward pass gives all of them.

    Args:
      params: of one trial.
      batch: B sequences; each has the loss that it would have alone.
      inputs_only: leave out h_t, for a model that does not show it.

    Returns:
      "inputs", and the name of every recurrent layer -> [B, T], Euclidean norms over features, in
      float32 (float64 for float64 inputs).

    Raises:
      UsageError: a model that does not show its hidden states, without `inputs_only`.
    """
    hidden = model.hidden
    if inputs_only:
        hidden = lambda params, inputs, changes: (model.apply(params, inputs), {})  # noqa: E731
    batch_size, length = batch.mask.shape
    last = batch._replace(mask=batch.mask & (jnp.arange(length)[None] == length - 1))
    shapes = jax.eval_shape(hidden, params, batch.inputs, {})[1]
    zeros = {
        name: jnp.zeros(like.shape, ops.accumulator(like.dtype)) for name, like in shapes.items()
    }

    def loss(inputs: Array, changes: dict[str, Array]) -> Array:
        # Undoes the task's mean over sequences: no sequence acts on another's loss.
        return batch_size * task.loss(hidden(params, inputs, changes)[0], last)

    d_inputs, d_hidden = jax.grad(loss, (0, 1))(batch.inputs, zeros)
    return {name: _norm(g)[:, ::-1] for name, g in {INPUTS: d_inputs, **d_hidden}.items()}


def norms_of_trials(
    model: Model,
    params: Params,
    task: Task,
    *,
    sequences: int = 64,
    seed: int = 0,
    inputs_only: bool = False,
) -> dict[str, np.ndarray]:
    """`gradient_norms` of R trials, stacked on a leading axis as in `TrainedCell.params`, all on
    the same fresh sequences: name -> [R, B, T]."""

    @jax.jit
    def of_all(params: Params, key: Array) -> dict[str, Array]:
        batch = task.sample_held_out(key, sequences)
        # One trial after another: long sequences of all at once would not fit.
        return lax.map(
            lambda one: gradient_norms(model, one, task, batch, inputs_only=inputs_only), params
        )

    return jax.tree.map(np.asarray, of_all(params, jax.random.key(seed)))


def reach(norms: np.ndarray, share: float = SHARE) -> dict[str, Any]:
    """A summary of norms [R, B, T] of R trials and B sequences, as JSON values.

    Each norm is divided by that at lag 1: at lag 0 the output reads h_T and x_T directly, and no
    path through time is taken. A trial's curve is the median over its sequences. A sequence whose
    norms are not all finite, or zero at lag 1, is left out. The reach of a trial is the first lag
    from 1 on at which its curve is below `share`; T where there is none, which says at least T.

    Returns:
      lags: some of 0 ... T - 1; median, low, high: the median, least and greatest over trials of
      the relative norms at those lags.
      at_lag_1: the median over trials of the norm at lag 1 itself.
      reach: values, that of every trial in their order, null for one without a sequence left; and
      the median, least and greatest of them (median, low, high), null without any.
      share: as given. trials: how many have a sequence left. sequences, length: B and T.

    Raises:
      UsageError: norms that are not [R, B, T] with T of at least 2.
    """
    norms = np.asarray(norms, np.float64)
    if norms.ndim != 3 or norms.shape[-1] < 2:
        raise UsageError(f"reach: expected norms [R, B, T] with T >= 2, got shape {norms.shape}")
    length = norms.shape[-1]
    counted = np.isfinite(norms).all(axis=-1) & (norms[..., 1] > 0)
    has_any = counted.any(axis=1)
    alive = [trial[those] for trial, those in zip(norms, counted, strict=True) if those.any()]
    curves = np.array([np.median(trial / trial[:, 1:2], axis=0) for trial in alive])
    curves = curves.reshape(len(alive), length)
    spread = np.linspace(0, length - 1, CURVE_POINTS).round().astype(int)
    lags = np.union1d(np.arange(min(FIRST_LAGS, length)), spread)
    at = curves[:, lags]
    return {
        "lags": lags.tolist(),
        "median": _rounded(np.median(at, axis=0)) if alive else [],
        "low": _rounded(at.min(axis=0)) if alive else [],
        "high": _rounded(at.max(axis=0)) if alive else [],
        "at_lag_1": _rounded(np.median([np.median(t[:, 1]) for t in alive])) if alive else None,
        "trials": len(curves),
        "sequences": norms.shape[1],
        "length": length,
        "share": share,
        "reach": _of_trials(1 + _first(curves[:, 1:] < share), has_any),
    }


class Start(NamedTuple):
    """What is tested of the trials that begin with one initialisation.

    reaches: for each phase, such as "before" training, the reach of each seed that has one.
    remembers: whether the trial of each seed does.
    """

    label: str
    reaches: dict[str, dict[int, float]]
    remembers: dict[int, bool]


def compare_starts(starts: Sequence[Start]) -> list[dict[str, Any]]:
    """Every two starts, tested against each other on the seeds that both have, as JSON values: in
    each phase whose gradients reach farther, and who remembers; p after Holm over all tests."""
    tests: list[tuple[str, str, str, PairedTest]] = []
    for first, second in itertools.combinations(starts, 2):
        for phase, reaches in first.reaches.items():
            pair = _on_same_seeds(reaches, second.reaches[phase])
            if pair.size:
                # Of the sign test the smaller values are the better ones.
                what = f"reaches farther back {phase} training than"
                tests.append((first.label, second.label, what, paired_sign_test(*-pair)))
        pair = _on_same_seeds(first.remembers, second.remembers)
        if pair.size:
            tests.append((first.label, second.label, ON_MORE_SEEDS, paired_rate_test(*pair)))
    return table_of_tests(tests)


def _on_same_seeds(first: dict[int, Any], second: dict[int, Any]) -> np.ndarray:
    """The values of both, [2, seeds]."""
    seeds = [seed for seed in first if seed in second]
    return np.array([[of[seed] for seed in seeds] for of in (first, second)])


def _norm(gradient: Array) -> Array:
    """The Euclidean norm over the last axis; scaled, since the square of 1e-23 is 0 in float32."""
    largest = jnp.max(jnp.abs(gradient), axis=-1, keepdims=True)
    scaled = gradient / jnp.where(largest > 0, largest, 1)
    return (largest * jnp.sqrt(jnp.sum(scaled**2, axis=-1, keepdims=True)))[..., 0]


def _first(holds: np.ndarray) -> np.ndarray:
    """The first place at which `holds` [R, T] is true, [R]; T where it never is."""
    return np.where(holds.any(axis=1), holds.argmax(axis=1), holds.shape[1])


def _of_trials(lags: np.ndarray, has_any: np.ndarray) -> dict[str, Any]:
    """The lags of the trials for which has_any [R] is true, their median and their range."""
    values = np.full(len(has_any), np.nan)
    values[has_any] = lags
    summary = (np.median(lags), lags.min(), lags.max()) if len(lags) else (np.nan,) * 3
    return {
        "values": list(map(or_null, values)),
        **dict(zip(("median", "low", "high"), map(or_null, summary), strict=True)),
    }


def _rounded(values: np.ndarray) -> Any:
    """Rounded to four digits."""
    return np.vectorize(lambda value: float(f"{value:.4g}"))(values).tolist()
