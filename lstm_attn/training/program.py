"""All trials of a grid cell as one jitted program: a chunk of training steps and an evaluation."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.sharding import NamedSharding, PartitionSpec

from lstm_attn.models import Model
from lstm_attn.tasks import Task
from lstm_attn.training import multihost
from lstm_attn.training.config import TrainingConfig
from lstm_attn.training.mesh import BY_BLOCK, BY_TRIAL, Layout, choose_layout, specs
from lstm_attn.training.optimizer import OptimizerFactory
from lstm_attn.training.train_step import TrainStep, TrialState


class Program(NamedTuple):
    """A grid cell as jitted functions.

    start() gives the states of all trials, advance(states, active, read(step)) the states and
    metrics after.

    start_trial: a seed and a learning rate to the state of one trial before its first step.
    advance: one chunk of `evaluate_every` steps for every trial, then an evaluation on fresh data.
      active: bool [R], None for all True; where False, the trial rests: only its step advances,
      and its metrics are NaN. The states given are donated: their buffers are reused.
    confirm: the metrics of the active trials on `config.confirmation_sequences` that no evaluation
      has looked at, NaN of the others: (states, active) -> metrics. None where a pass counts at
      once. It leaves the states as they are.
    read: what the host reads for the chunk that begins at a step, see `DataSource.read`.
    settings: of the R trials, as `trial_settings` gives them.
    shapes: those of the states, and where they lie.
    layout: where the trials lie.
    """

    start_trial: jax.stages.Wrapped | jax.stages.Compiled
    advance: jax.stages.Wrapped | jax.stages.Compiled
    confirm: jax.stages.Wrapped | jax.stages.Compiled | None
    read: Callable[[int], Any]
    settings: tuple[np.ndarray, np.ndarray]
    shapes: TrialState
    layout: Layout

    def start(self) -> TrialState:
        """The states before the first step."""
        # One trial at a time: a smaller program than that of all, which runs only here.
        states = [self.start_trial(*setting) for setting in zip(*self.settings, strict=True)]
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *states)
        return multihost.placed(stacked, self.shardings)

    @property
    def shardings(self) -> TrialState:
        """Where each array of the states lies."""
        return jax.tree.map(lambda leaf: leaf.sharding, self.shapes)

    def compiled(self) -> "Program":
        """The same, compiled now instead of at the first call; `active` must then be given."""
        assert isinstance(self.start_trial, jax.stages.Wrapped)
        assert isinstance(self.advance, jax.stages.Wrapped)
        setting = [column[0] for column in self.settings]
        active = np.ones(len(self.settings[0]), bool)
        confirm = self.confirm
        if isinstance(confirm, jax.stages.Wrapped):
            confirm = confirm.lower(self.shapes, active).compile()
        return self._replace(
            confirm=confirm,
            start_trial=self.start_trial.lower(*setting).compile(),
            advance=self.advance.lower(self.shapes, active, self.read(0)).compile(),
        )


def step_of(states: TrialState) -> int:
    """The step of the trials, which is the same for all."""
    return int(states.step.addressable_data(0)[0])


def trial_settings(config: TrainingConfig) -> tuple[np.ndarray, np.ndarray]:
    """Seeds and learning rates of the R trials: every seed with every rate, seeds fastest."""
    seeds = np.tile(np.array(config.all_seeds, np.uint32), len(config.learning_rates))
    return seeds, np.repeat(np.asarray(config.learning_rates, np.float32), config.seeds)


def make_program(
    model: Model,
    task: Task,
    config: TrainingConfig,
    optimizer: OptimizerFactory | None = None,
) -> Program:
    """The jitted functions that train all trials of one grid cell.

    Args:
      optimizer: as `train` takes it.
    """
    layout = choose_layout(config)
    trial = TrainStep(model, task, config, layout.batch_shards, optimizer)
    settings = trial_settings(config)
    start_trial = jax.jit(trial.start, compiler_options=compiler_options(0, config))
    one = start_trial.eval_shape(*(column[0] for column in settings))
    in_parts = layout.batch_shards if config.parameters == "sharded" else 1
    state_specs = specs(one, in_parts)._replace(
        carried=jax.tree.map(lambda _: PartitionSpec("trial", "batch"), one.carried)
    )

    # Jitted for its cache alone: `rest` asks for its shapes without tracing it once more.
    @jax.jit
    def go_on(state: TrialState, read: Any) -> tuple[TrialState, dict[str, Array]]:
        blocks, held_out = read
        state, losses = lax.scan(trial, state, blocks, length=config.chunk_steps)
        return state, {"train_loss": losses.mean(), **trial.evaluate(state, held_out)}

    def rest(state: TrialState, read: Any) -> tuple[TrialState, dict[str, Array]]:
        shapes = go_on.eval_shape(state, read)[1]
        metrics = jax.tree.map(lambda like: jnp.full(like.shape, jnp.nan, like.dtype), shapes)
        return state._replace(step=state.step + config.chunk_steps), metrics

    def advance(
        states: TrialState, active: Array | None = None, read: Any = ((), ())
    ) -> tuple[TrialState, dict[str, Array]]:
        if active is None:
            active = jnp.ones(config.trials, bool)
        step_or_rest = layout.over_trials(
            lambda one: lax.cond(one[1], go_on, rest, one[0], one[2]),
            (state_specs, BY_TRIAL, BY_BLOCK),
            (state_specs, BY_TRIAL),
        )
        return step_or_rest((states, active, read))

    def none_measured(state: TrialState) -> dict[str, Array]:
        shapes = jax.eval_shape(trial.confirm, state)
        return jax.tree.map(lambda like: jnp.full(like.shape, jnp.nan, like.dtype), shapes)

    def confirm(states: TrialState, active: Array) -> dict[str, Array]:
        measure_or_not = layout.over_trials(
            lambda one: lax.cond(one[1], trial.confirm, none_measured, one[0]),
            (state_specs, BY_TRIAL),
            BY_TRIAL,
        )
        return measure_or_not((states, active))

    confirms = trial.source.draws and config.confirmation_sequences > 0
    shardings = jax.tree.map(partial(NamedSharding, layout.mesh), state_specs)
    shapes = jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(
            (config.trials, *leaf.shape), leaf.dtype, sharding=sharding
        ),
        one,
        shardings,
    )
    return Program(
        start_trial=start_trial,
        advance=jax.jit(
            advance,
            donate_argnums=0,
            out_shardings=(shardings, layout.by_trial),
            compiler_options=compiler_options(1, config),
        ),
        confirm=jax.jit(
            confirm,
            out_shardings=layout.by_trial,
            compiler_options=compiler_options(1, config),
        )
        if confirms
        else None,
        read=partial(trial.source.read, settings[0]),
        settings=settings,
        shapes=shapes,
        layout=layout,
    )


def quickly_compiled(level: int) -> dict[str, Any] | None:
    """Options of XLA's CPU compiler. None on other backends, and if JAX's setting
    `jax_disable_most_optimizations` is on, which optimises even less.

    Level 1 took three quarters of the default's time to compile and gave code as fast; level 0
    took half of it and gave code several times slower, which serves what runs once.
    """
    if jax.default_backend() != "cpu" or jax.config.read("jax_disable_most_optimizations"):
        return None
    return {"xla_backend_optimization_level": level}


def compiler_options(level: int, config: TrainingConfig) -> dict[str, Any] | None:
    """`quickly_compiled` on a CPU; on a GPU what `config.deterministic` asks for.

    XLA's flag shuts out operations whose sums come in any order, and autotuning, whose choice of
    kernels, hence of roundings, may differ from one compilation to the next.
    """
    if config.deterministic and jax.default_backend() == "gpu":
        return {"xla_gpu_deterministic_ops": True}
    return quickly_compiled(level)
