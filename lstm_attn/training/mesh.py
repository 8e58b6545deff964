"""Trials and batches on a mesh of devices, and the sharding of parameters over it."""

import dataclasses
import math
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.flatten_util import ravel_pytree
from jax.sharding import PartitionSpec

from lstm_attn import host
from lstm_attn.errors import UsageError, check_whole
from lstm_attn.training.config import TrainingConfig, divisors

BY_TRIAL = PartitionSpec("trial")
# Of what the host reads for each trial: blocks [R, n, B, ...] of n batches.
BY_BLOCK = PartitionSpec("trial", None, "batch")


def use_host_cores() -> None:
    """Makes one JAX device of every CPU core this process may use. Call it before JAX computes.

    How many cores that is, says `host.usable_cores`; XLA gets as many threads. A count of devices
    that was chosen before, by $JAX_NUM_CPU_DEVICES, in $XLA_FLAGS or in `jax.config`, takes
    precedence: several processes on one host share its cores.

    XLA's CPU backend runs the small operations of a scan on one core, so trials on devices of
    their own are what uses the others. Where an accelerator is the default, this changes nothing.

    Raises:
      RuntimeError: JAX has computed already, with another number of devices.
    """
    host.limit_xla_threads()
    # jax.config has this setting, though its stub does not say so.
    configured = jax.config.jax_num_cpu_devices != -1  # type: ignore[attr-defined]
    in_flags = host.xla_flag("xla_force_host_platform_device_count")
    if not (configured or in_flags or os.environ.get("JAX_NUM_CPU_DEVICES")):
        jax.config.update("jax_num_cpu_devices", host.usable_cores())


@dataclasses.dataclass(frozen=True)
class Layout:
    """How R trials of batch size B lie on devices.

    trial_shards x batch_shards devices; each takes R / trial_shards trials, `placed` one after
    another ("map") or in one batched program ("vmap"), and B / batch_shards of every batch.
    """

    mesh: jax.sharding.Mesh
    placed: str
    trials: int

    @property
    def trial_shards(self) -> int:
        return self.mesh.shape["trial"]

    @property
    def batch_shards(self) -> int:
        return self.mesh.shape["batch"]

    @property
    def by_trial(self) -> jax.sharding.NamedSharding:
        """The sharding of arrays whose first axis is the trial."""
        return jax.sharding.NamedSharding(self.mesh, BY_TRIAL)

    def over_trials(
        self,
        function: Callable,
        inputs: Any = BY_TRIAL,
        outputs: Any = BY_TRIAL,
    ) -> Callable:
        """The function of one trial, made a function of the stack of all of them, on the mesh.

        Args:
          inputs, outputs: where its one argument and what it gives lie, a prefix of each as a tree.
        """

        def of_a_device(stacked: Any) -> Any:
            return (
                jax.vmap(function)(stacked) if self.placed == "vmap" else lax.map(function, stacked)
            )

        # check_vma off: with it on, gradients of unsharded parameters are summed over `batch`
        # before we take their mean, and the way to say otherwise differs between JAX releases.
        return jax.shard_map(
            of_a_device,
            mesh=self.mesh,
            in_specs=(inputs,),
            out_specs=outputs,
            check_vma=False,
        )

    def __str__(self) -> str:
        device = self.mesh.devices.flat[0]
        count = self.mesh.size
        processes = len({device.process_index for device in self.mesh.devices.flat})
        each = self.trials // self.trial_shards
        how = "in one batched program" if self.placed == "vmap" else "one after another"
        return (
            f"{self.trials} trial{'s' * (self.trials > 1)} on {count} "
            f"{device.platform} device{'s' * (count > 1)} "
            f"{f'of {processes} processes ' if processes > 1 else ''}"
            f"(trial axis {self.trial_shards}, batch axis {self.batch_shards}); "
            f"{each} a device, {how}"
        )


def choose_layout(config: TrainingConfig) -> Layout:
    """The layout on as many devices as can have equal work: trials first, then the batch.

    Of several processes (`training.multihost`) all are used, each with as many of its devices.

    Raises:
      UsageError: trials and batches that can't be spread evenly over the processes.
    """
    at_once = config.batch_size // config.accumulation_steps
    both = math.gcd(at_once, config.evaluation_batch)
    return lay_out(
        config.trials, batch_size=both, placed=config.trials_on_device, devices=jax.devices()
    )


def lay_out(
    trials: int,
    batch_size: int = 1,
    placed: str = "auto",
    devices: Sequence[jax.Device] | None = None,
) -> Layout:
    """The layout of R trials whose batches are multiples of batch_size.

    Args:
      placed: as `TrainingConfig.trials_on_device`.
      devices: None for those of this process alone, where each process does all the work.
    """
    trials = check_whole("lay_out: trials", trials)
    batch_size = check_whole("lay_out: batch_size", batch_size)
    by_process = defaultdict(list)
    for device in jax.local_devices() if devices is None else devices:
        by_process[device.process_index].append(device)
    processes, most = len(by_process), min(map(len, by_process.values()))
    highest = processes * most
    shards = [
        (in_trials, in_batch)
        for in_trials in divisors(trials, highest)
        for in_batch in divisors(batch_size, highest // in_trials)
        if in_trials * in_batch % processes == 0
    ]
    if not shards:
        raise UsageError(
            f"{trials} trials (training.seeds x learning rates) with batches that can be cut in "
            f"{batch_size} parts can't be spread evenly over {processes} processes: expected a "
            f"product that {processes} divides"
        )
    trial_shards, batch_shards = max(shards)
    each = trial_shards * batch_shards // processes
    # Process by process, so that a batch is shared within one process as far as possible.
    used = [device for _, own in sorted(by_process.items()) for device in own[:each]]
    mesh = jax.make_mesh(
        (trial_shards, batch_shards),
        ("trial", "batch"),
        # Not Explicit, JAX's default: what training returns is then indexed like any array.
        axis_types=(jax.sharding.AxisType.Auto,) * 2,
        devices=used,
    )
    if placed == "auto":
        # Measured (docs/performance.md): with a device a core, a batch of trials
        # gains the recurrent models little and more than doubles the time of the attention models.
        placed = "map" if jax.default_backend() == "cpu" else "vmap"
    return Layout(mesh, placed, trials)


def split_axis(shape: Sequence[int], shards: int) -> int | None:
    """The largest axis that `shards` devices can split equally, the first of equals; None: none."""
    if shards == 1:
        return None
    fitting = [axis for axis, size in enumerate(shape) if size and size % shards == 0]
    return max(fitting, key=lambda axis: shape[axis], default=None)


def specs(one: Any, shards: int) -> Any:
    """The sharding of stacked trials: the trial axis over `trial`, `split_axis` over `batch`.

    Args:
      one: the shapes of one trial, without the leading axis R.
    """

    def spec(leaf: Any) -> PartitionSpec:
        axis = split_axis(leaf.shape, shards)
        before = () if axis is None else (*[None] * axis, "batch")
        return PartitionSpec("trial", *before)

    return jax.tree.map(spec, one)


def mean(tree: Any, shards: int) -> Any:
    """The mean over the devices that share a batch: one all-reduce of one vector."""
    if shards == 1:
        return tree
    # XLA may join reductions of many leaves into one, up to a size that differs by backend.
    vector, as_tree = ravel_pytree(tree)
    return as_tree(lax.pmean(vector, "batch"))


class ParameterSharding(NamedTuple):
    """The sharding of one trial's parameters, and of gradients like them, over `shards` devices.

    axes: of each leaf in order, the axis that is split; None for a leaf that is whole on each.
    """

    shards: int
    axes: tuple[int | None, ...]

    @classmethod
    def of(cls, params: Any, shards: int, *, sharded: bool) -> "ParameterSharding":
        """For parameters of these shapes: split along `split_axis` if `sharded`, or else whole."""
        leaves = jax.tree.leaves(params)
        splits = [split_axis(leaf.shape, shards) if sharded else None for leaf in leaves]
        return cls(shards, tuple(splits))

    def gather(self, params: Any) -> Any:
        """Whole parameters: one all-gather for each leaf that is split."""
        leaves, structure = jax.tree.flatten(params)
        whole = [
            leaf if axis is None else lax.all_gather(leaf, "batch", axis=axis, tiled=True)
            for leaf, axis in zip(leaves, self.axes, strict=True)
        ]
        return jax.tree.unflatten(structure, whole)

    def reduce(self, loss: Array, gradients: Any) -> tuple[Array, Any]:
        """Means over the devices of the loss and of the gradients, split as the parameters are.

        One reduce-scatter for each leaf that is split, one all-reduce for all the rest.
        """
        leaves, structure = jax.tree.flatten(gradients)
        whole, split = self._sorted(leaves)
        loss, means = mean((loss, whole), self.shards)
        for index, leaf in split.items():
            axis = self.axes[index]
            total = lax.psum_scatter(leaf, "batch", scatter_dimension=axis, tiled=True)
            means[index] = total / self.shards
        return loss, jax.tree.unflatten(structure, [means[i] for i in range(len(leaves))])

    def global_norm(self, gradients: Any) -> Array:
        """The norm of the whole gradients as of one vector."""
        whole, split = self._sorted(jax.tree.leaves(gradients))
        squares = _squares(split)
        if split:
            squares = lax.psum(squares, "batch")
        return jnp.sqrt(squares + _squares(whole))

    def all_finite(self, params: Any) -> Array:
        """Whether the parameters on every device are finite."""
        finite = jnp.all(
            jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(params)])
        )
        if not any(axis is not None for axis in self.axes):
            return finite
        return lax.psum((~finite).astype(jnp.int32), "batch") == 0

    def _sorted(self, leaves: Sequence[Array]) -> tuple[dict[int, Array], dict[int, Array]]:
        """The leaves that are whole and those that are split, each by its place in the tree."""
        whole: dict[int, Array] = {}
        split: dict[int, Array] = {}
        for index, (leaf, axis) in enumerate(zip(leaves, self.axes, strict=True)):
            (whole if axis is None else split)[index] = leaf
        return whole, split


def _squares(leaves: dict[int, Array]) -> Array | float:
    return sum((jnp.sum(jnp.square(leaf)) for leaf in leaves.values()), 0.0)
