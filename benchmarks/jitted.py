"""Cases jitted for any JAX library: a recurrent layer, its training steps, attention."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax
from jax.sharding import PartitionSpec as P

from benchmarks import data
from benchmarks.contenders import Ready, Unavailable
from benchmarks.workloads import Attention, Recurrent, Training

LEARNING_RATE = 1e-3
Arrays = Mapping[str, np.ndarray]
Batch = tuple[Array, Array]  # inputs [B, T, D], targets [B, 1]


class Network(NamedTuple):
    """A layer as pure functions.

    params: a pytree of arrays.
    apply(params, inputs [B, T, D]): outputs [B, T, H].
    to_ours(params): kernel [D, GH], recurrent_kernel [H, GH] and, where the library's biases
      correspond to ours one to one, those. Gradients convert likewise.
    """

    params: Any
    apply: Callable[[Any, Array], Array]
    to_ours: Callable[[Any], Arrays]


def layer(case: Recurrent, network: Network, devices: int = 1) -> Ready:
    """The layer's outputs, or the gradients of the mean square of its last output.

    With several devices, each computes a shard of the batch; gradients are averaged.
    """
    inputs = jnp.asarray(data.inputs(case))

    def loss(params: Any, inputs: Array) -> Array:
        return jnp.mean(network.apply(params, inputs)[:, -1] ** 2)

    def gradients(params: Any, inputs: Array) -> Any:
        of_params, of_inputs = jax.grad(loss, argnums=(0, 1))(params, inputs)
        # The mean over the batch is the mean over shards, each 1 / devices of it.
        return lax.pmean(of_params, "batch"), of_inputs / shards

    mesh = _mesh(case.batch, devices)
    shards = mesh.size
    forward = case.direction == "forward"
    on_mesh = jax.shard_map(
        network.apply if forward else gradients,
        mesh=mesh,
        in_specs=(P(), P("batch")),
        out_specs=P("batch") if forward else (P(), P("batch")),
        check_vma=False,
    )

    def values(results: Any) -> Arrays:
        if forward:
            return {"outputs": np.asarray(results)}
        return {**network.to_ours(results[0]), "inputs": np.asarray(results[1])}

    return ready(on_mesh, (network.params, inputs), values)


def attention(case: Attention, attend: Callable[..., Array]) -> Ready:
    """Outputs of attend(query, key, value, is_causal=...), or gradients of their mean square."""

    def outputs(*arrays: Array) -> Array:
        return attend(*arrays, is_causal=case.is_causal)

    def loss(*arrays: Array) -> Array:
        return jnp.mean(outputs(*arrays) ** 2)

    def values(results: Any) -> Arrays:
        if forward:
            return {"outputs": np.asarray(results)}
        return dict(zip(data.ATTENTION_INPUTS, map(np.asarray, results), strict=True))

    forward = case.direction == "forward"
    arrays = tuple(map(jnp.asarray, data.attention_inputs(case)))
    return ready(outputs if forward else jax.grad(loss, argnums=(0, 1, 2)), arrays, values)


def ready(
    function: Callable[..., Any], arguments: tuple[Any, ...], values: Callable[[Any], Arrays]
) -> Ready:
    """The function jitted and run once; a run calls it on the arguments."""
    compiled, seconds = compile_timed(jax.jit(function), *arguments)

    def run() -> Any:
        return jax.block_until_ready(compiled(*arguments))

    return Ready(run, values(run()), 1, seconds, temporary_bytes(compiled))


def training_in_one_program(
    case: Training, network: Network, steps: int, devices: int = 1
) -> Ready:
    """Several steps in one jitted scan: data drawn on the device, the state donated.

    With several devices, each draws and computes its shard of the batch; gradients are averaged
    once a step.
    """
    mesh = _mesh(case.batch, devices)
    rows = case.batch // mesh.size

    def train_step(state: Any, _: None) -> tuple[Any, Array]:
        params, optimizer_state, step = state
        first = lax.axis_index("batch") * rows
        batch = data.sample(case, step, first, rows)
        loss_of = partial(_training_loss, network, batch=batch)
        loss, gradients = lax.pmean(jax.value_and_grad(loss_of)(params), "batch")
        params, optimizer_state = _updated(params, optimizer_state, gradients)
        return (params, optimizer_state, step + 1), loss

    def advance(state: Any) -> tuple[Any, Array]:
        return lax.scan(train_step, state, length=steps)

    on_mesh = jax.shard_map(advance, mesh=mesh, in_specs=P(), out_specs=P(), check_vma=False)
    replicated = jax.sharding.NamedSharding(mesh, P())
    state = jax.device_put((*_start(case, network), jnp.int32(0)), replicated)
    jitted = jax.jit(on_mesh, donate_argnums=0, out_shardings=replicated)
    compiled, seconds = compile_timed(jitted, state)
    held = list(compiled(state))

    def run() -> None:
        held[:] = jax.block_until_ready(compiled(held[0]))

    values = {"losses": np.asarray(held[1])}
    return Ready(run, values, steps, seconds, temporary_bytes(compiled))


def training_step_by_step(case: Training, network: Network, steps: int) -> Ready:
    """One jitted step a call; the batches are numpy arrays, made before the clock starts."""

    def train_step(params: Any, optimizer_state: Any, batch: Batch) -> tuple[Any, Any, Array]:
        loss_of = partial(_training_loss, network, batch=batch)
        loss, gradients = jax.value_and_grad(loss_of)(params)
        return *_updated(params, optimizer_state, gradients), loss

    batches = data.batches(case, steps)
    state = list(_start(case, network))
    jitted = jax.jit(train_step, donate_argnums=(0, 1))
    compiled, seconds = compile_timed(jitted, *state, batches[0])

    def run() -> list[Array]:
        losses = []
        for batch in batches:
            *state[:], loss = compiled(*state, batch)
            losses.append(loss)
        return jax.block_until_ready((losses, state))[0]

    return Ready(run, {"losses": np.array(run())}, steps, seconds, temporary_bytes(compiled))


def _start(case: Training, network: Network) -> tuple[Any, Any]:
    # A copy: the state is donated, and the network keeps its own arrays.
    params = jax.tree.map(jnp.array, {"layer": network.params, "readout": data.readout(case)})
    return params, optax.adam(LEARNING_RATE).init(params)


def _training_loss(network: Network, params: Any, batch: Batch) -> Array:
    inputs, targets = batch
    last = network.apply(params["layer"], inputs)[:, -1]
    predicted = last @ params["readout"]["kernel"] + params["readout"]["bias"]
    return jnp.mean((predicted - targets) ** 2)


def _updated(params: Any, optimizer_state: Any, gradients: Any) -> tuple[Any, Any]:
    updates, optimizer_state = optax.adam(LEARNING_RATE).update(gradients, optimizer_state)
    return optax.apply_updates(params, updates), optimizer_state


def _mesh(batch: int, devices: int) -> jax.sharding.Mesh:
    """As many of the devices as divide the batch, under the axis `batch`."""
    if devices > 1 and jax.default_backend() != "cpu":
        raise Unavailable("host devices are CPU cores, and the default device here is not a CPU")
    shards = max(number for number in range(1, devices + 1) if batch % number == 0)
    if devices > 1 and shards == 1:
        raise Unavailable(f"a batch of {batch} has no equal shards for {devices} devices")
    kinds = (jax.sharding.AxisType.Auto,)
    return jax.make_mesh((shards,), ("batch",), kinds, devices=jax.devices()[:shards])


def compile_timed(jitted: Any, *arguments: Any) -> tuple[jax.stages.Compiled, float]:
    """The compiled function, and the seconds of tracing and compiling it."""
    began = time.perf_counter()
    compiled = jitted.lower(*arguments).compile()
    return compiled, time.perf_counter() - began


def temporary_bytes(compiled: jax.stages.Compiled) -> int | None:
    """What XLA allocates for a run besides arguments and results; of several devices, for one."""
    analysis = compiled.memory_analysis()  # None where a backend has none
    return None if analysis is None else int(analysis.temp_size_in_bytes)
