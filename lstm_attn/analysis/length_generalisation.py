"""Length generalisation: what a model remembers at lengths that it was not trained on."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from lstm_attn.analysis.horizon import HorizonFit, fit_horizon
from lstm_attn.errors import UsageError, check_whole
from lstm_attn.models import Model, Params
from lstm_attn.tasks import Task, each_alone
from lstm_attn.training import lay_out, quickly_compiled


class LengthGeneralisation(NamedTuple):
    """R trials of a model at L lengths, each on S fresh sequences.

    lengths: [L], in steps.
    loss, accuracy: float64 [L, R], means over the sequences.
    loss_error, accuracy_error: float64 [L, R], their standard errors.
    share_remembered: float64 [L, R], 1 - loss / baseline of that length.
    remembers: bool [L, R], whether the loss is at most 5 % of the baseline.
    solved: bool [L, R], whether the task's own criterion holds.
    sequences: S, for each trial and length.
    programs: how many programs were compiled.
    """

    lengths: list[int]
    loss: np.ndarray
    accuracy: np.ndarray
    loss_error: np.ndarray
    accuracy_error: np.ndarray
    share_remembered: np.ndarray
    remembers: np.ndarray
    solved: np.ndarray
    sequences: int
    programs: int


def length_generalisation(
    model: Model,
    params: Params,
    task: Task,
    lengths: Sequence[int],
    key: Array,
    *,
    trials: int | None = None,
    sequences: int = 1000,
    batch_size: int = 100,
    most_padding: float = 4.0,
) -> LengthGeneralisation:
    """Tests a model at several lengths, in few programs.

    Lengths that share a room share a program: sequences are padded at the end to the length of the
    room, and padding is not measured. The model must be causal, so that no output depends on later
    inputs; those in MODELS are. Learned positions must cover the longest sequence, see
    `modules.continue_positions`.

    Args:
      params: of one trial; or of R trials, stacked on a leading axis.
      task: of any length; the model is tested on `task.of_length`.
      lengths: in steps, each at least the task's shortest.
      trials: R; None for parameters of one trial.
      sequences: S, for each trial and length; a multiple of batch_size.
      most_padding: the most by which a room may be longer than a sequence, as a factor. 1 gives a
        program for each length; infinity gives one program, in which short lengths are as slow as
        the longest.

    Raises:
      ValueError: a length too short for the task, or a number out of range, on one line.
    """
    for name, number in (("sequences", sequences), ("batch_size", batch_size)):
        check_whole(f"length_generalisation: {name}", number)
    if sequences % batch_size:
        raise UsageError(
            "length_generalisation: sequences: expected a multiple of "
            f"batch_size={batch_size}, got {sequences}"
        )
    for length in lengths:
        task.of_length(length)  # raises for a length that the task can't have
    stacked = params if trials is not None else jax.tree.map(lambda leaf: leaf[None], params)
    layout = lay_out(1 if trials is None else trials)
    # Training may have left the parameters on other devices.
    stacked = jax.device_put(stacked, layout.by_trial)
    rooms = share_rooms(lengths, most_padding)
    measured: dict[int, dict[str, np.ndarray]] = {}
    for room, fitting in rooms.items():
        keys = [jax.random.split(jax.random.fold_in(key, n), layout.trials) for n in fitting]
        arguments = [
            (stacked, keys_of_length, jnp.full(layout.trials, length))
            for keys_of_length, length in zip(keys, fitting, strict=True)
        ]
        measure = _measure(model, task.of_length(room), sequences, batch_size)
        on_mesh = jax.jit(layout.over_trials(measure), compiler_options=quickly_compiled(1))
        program = on_mesh.lower(arguments[0]).compile()
        for length, given in zip(fitting, arguments, strict=True):
            measured[length] = {
                name: np.asarray(values, np.float64).reshape(layout.trials, sequences)
                for name, values in program(given).items()
            }
    return _summary(task, {n: measured[n] for n in lengths}, len(rooms))


def horizon_beyond(
    found: LengthGeneralisation, length: int, seeds: np.ndarray
) -> HorizonFit | None:
    """T50, fitted to all trials at the tested lengths from the trained one on (`fit_horizon`).

    Trials are the same ones at every length, so a seed is resampled with all of them.

    Args:
      length: the longest that the model was trained on.
      seeds: [R], of the trials.

    Returns:
      None where fewer than two lengths or seeds are left.
    """
    beyond = [n for n, tested in enumerate(found.lengths) if tested >= length]
    if len(beyond) < 2 or len(set(seeds.tolist())) < 2:
        return None
    return fit_horizon(
        np.repeat([found.lengths[n] for n in beyond], len(seeds)),
        found.remembers[beyond].ravel(),
        np.tile(seeds, len(beyond)),
    )


def share_rooms(lengths: Sequence[int], most_padding: float) -> dict[int, list[int]]:
    """Room -> the lengths tested in it; as few rooms as most_padding allows."""
    if not lengths or not most_padding >= 1:
        raise UsageError(
            "length_generalisation: expected at least one length and most_padding >= 1, "
            f"got {list(lengths)} and {most_padding}"
        )
    rooms: dict[int, list[int]] = {}
    room = max(lengths)
    for length in sorted(set(lengths), reverse=True):
        if room > most_padding * length:
            room = length
        rooms.setdefault(room, []).append(length)
    return rooms


def _measure(
    model: Model, room: Task, sequences: int, batch_size: int
) -> Callable[[tuple[Params, Array, Array]], dict[str, Array]]:
    """A function of (params, key, length) of one trial: loss and accuracy of each sequence."""

    def measure(trial: tuple[Params, Array, Array]) -> dict[str, Array]:
        params, key, length = trial

        def of_batch(key: Array) -> dict[str, Array]:
            batch = room.sample_within(key, jnp.full(batch_size, length))
            metrics = each_alone(room.metrics, model.apply(params, batch.inputs), batch)
            return {name: metrics[name] for name in ("loss", "accuracy")}

        return lax.map(of_batch, jax.random.split(key, sequences // batch_size))

    return measure


def _summary(
    task: Task, measured: dict[int, dict[str, np.ndarray]], programs: int
) -> LengthGeneralisation:
    """From length -> metric -> [R, S]."""
    trials, sequences = next(iter(measured.values()))["loss"].shape
    means = {
        name: np.stack([metrics[name].mean(axis=1) for metrics in measured.values()])
        for name in ("loss", "accuracy")
    }
    errors = {
        name: np.stack([m[name].std(axis=1) for m in measured.values()]) / np.sqrt(sequences)
        for name in means
    }
    tested = [task.of_length(length) for length in measured]

    def holds(criterion: Callable[[Task, dict], bool]) -> np.ndarray:
        return np.array(
            [
                [criterion(one, {name: means[name][n, r] for name in means}) for r in range(trials)]
                for n, one in enumerate(tested)
            ]
        )

    return LengthGeneralisation(
        lengths=list(measured),
        loss=means["loss"],
        accuracy=means["accuracy"],
        loss_error=errors["loss"],
        accuracy_error=errors["accuracy"],
        share_remembered=1 - means["loss"] / np.array([[one.baseline] for one in tested]),
        remembers=holds(lambda one, metrics: one.remembers(metrics)),
        solved=holds(lambda one, metrics: one.is_solved(metrics)),
        sequences=sequences,
        programs=programs,
    )
