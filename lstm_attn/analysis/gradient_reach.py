"""How far back gradients travel: d loss / d x_t and d loss / d h_t against the lag."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from lstm_attn import ops
from lstm_attn.analysis.intervals import median_interval, or_null
from lstm_attn.models import Model, Params
from lstm_attn.tasks import Batch, Task

INPUTS = "inputs"
HALF, VANISHED = 0.5, 1e-6
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
    last = batch._replace(mask=batch.mask & (jnp.arange(length) == length - 1))
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
        batch = task.sample(key, sequences)
        # One trial after another: long sequences of all at once would not fit.
        return lax.map(
            lambda one: gradient_norms(model, one, task, batch, inputs_only=inputs_only), params
        )

    return jax.tree.map(np.asarray, of_all(params, jax.random.key(seed)))


def reach(norms: np.ndarray) -> dict[str, Any]:
    """A summary of norms [R, B, T] of R trials and B sequences, as JSON values.

    Each norm is divided by that at lag 0; a trial's curve is the median over its sequences. A
    sequence whose norms are not all finite, or zero at lag 0, is left out.

    Returns:
      lags: some of 0 ... T - 1; median, low, high: the median, least and greatest over trials of
      the relative norms at those lags.
      at_lag_0: the median over trials of the norm at lag 0 itself.
      halves, vanishes: the first lag at which the relative norm is at most 1/2, and less than 1e-6:
      its median over trials with the 95 % interval (`median_interval`), null beyond T.
      trials: how many trials have a sequence left. sequences, length: B and T.
    """
    norms = np.asarray(norms, np.float64)
    length = norms.shape[-1]
    counted = np.isfinite(norms).all(axis=-1) & (norms[..., 0] > 0)
    alive = [trial[those] for trial, those in zip(norms, counted, strict=True) if those.any()]
    curves = np.array([np.median(trial / trial[:, :1], axis=0) for trial in alive])
    curves = curves.reshape(len(alive), length)
    spread = np.linspace(0, length - 1, CURVE_POINTS).round().astype(int)
    lags = np.union1d(np.arange(min(FIRST_LAGS, length)), spread)
    at = curves[:, lags]
    return {
        "lags": lags.tolist(),
        "median": _rounded(np.median(at, axis=0)) if alive else [],
        "low": _rounded(at.min(axis=0)) if alive else [],
        "high": _rounded(at.max(axis=0)) if alive else [],
        "at_lag_0": _rounded(np.median([np.median(t[:, 0]) for t in alive])) if alive else None,
        "trials": len(curves),
        "sequences": norms.shape[1],
        "length": length,
        "halves": _statement(_first(curves <= HALF)),
        "vanishes": _statement(_first(curves < VANISHED)),
    }


def _norm(gradient: Array) -> Array:
    """The Euclidean norm over the last axis; scaled, since the square of 1e-23 is 0 in float32."""
    largest = jnp.max(jnp.abs(gradient), axis=-1, keepdims=True)
    scaled = gradient / jnp.where(largest > 0, largest, 1)
    return (largest * jnp.sqrt(jnp.sum(scaled**2, axis=-1, keepdims=True)))[..., 0]


def _first(holds: np.ndarray) -> np.ndarray:
    """The first lag at which `holds` [R, T] is true, [R]; infinity where it never is."""
    return np.where(holds.any(axis=1), holds.argmax(axis=1), np.inf)


def _statement(lags: np.ndarray) -> dict[str, Any]:
    if not len(lags):
        return {"median": None, "low": None, "high": None}
    middle = median_interval(lags)._asdict()
    return {key: or_null(middle[key]) for key in ("median", "low", "high")}


def _rounded(values: np.ndarray) -> Any:
    """Rounded to four digits."""
    return np.vectorize(lambda value: float(f"{value:.4g}"))(values).tolist()
