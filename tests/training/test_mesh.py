"""One cell on meshes of 1, 2, 4 and 8 devices: the same losses, and only the collectives it needs."""

import dataclasses
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import chex
import jax
import numpy as np
import pytest

from lstm_attn.training import TrainingConfig, checkpoints, choose_layout, run
from lstm_attn.training.train_step import TrainStep
from tests.training import hlo
from tests.training.meshes import CONFIG, STEPS, TRIALS, Sums, lstm, measured, program_on

SHARDED = {"parameters": "sharded"}
ACCUMULATED = {"accumulation_steps": 2}
BATCHED = {"trials_on_device": "vmap"}
ON_EIGHT = [(8, 1, {}), (2, 4, {}), (2, 4, SHARDED | ACCUMULATED)]
ROOT = Path(__file__).parent.parent.parent
# Rounding of batch losses of about 15 that are added in another order, in float32, over 12 steps.
ROUNDING = 2e-6
# Leaves of the cell that this many devices can split: three of 16 columns, and one of 4 numbers.
SPLIT = {1: 0, 2: 4, 4: 4, 8: 3}


@pytest.fixture(scope="module")
def alone():
    """On one device."""
    return measured(1, 1)


@pytest.fixture(scope="module")
def on_eight():
    """The cases of ON_EIGHT, in a process of their own."""
    command = [sys.executable, "-m", "tests.training.meshes", *map(json.dumps, ON_EIGHT)]
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    process = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    return [json.loads(line) for line in process.stdout.splitlines()]


def within(trial_shards, settings):
    """The loops that may hold a chunk's collectives: those of a trial, those of its step."""
    one_by_one = settings.get("trials_on_device") != "vmap" and trial_shards < TRIALS
    of_trial = (TRIALS // trial_shards,) if one_by_one else ()
    return of_trial, (*of_trial, STEPS)


def check_losses(case, alone):
    losses, expected = np.array(case["losses"]), np.array(alone["losses"])
    assert losses.shape == expected.shape == (2, 2, TRIALS)
    np.testing.assert_allclose(losses, expected, rtol=ROUNDING)


def check_collectives(case, trial_shards, batch_shards, settings):
    found = Counter((kind, tuple(loops)) for kind, loops in case["collectives"])
    expected = Counter()
    if batch_shards > 1:
        of_trial, of_step = within(trial_shards, settings)
        # The metrics of an evaluation, and the gradient with the loss.
        expected = Counter({("all-reduce", of_trial): 1, ("all-reduce", of_step): 1})
        if settings.get("parameters") == "sharded":
            split = SPLIT[batch_shards]
            expected[("all-gather", of_trial)] = expected[("all-gather", of_step)] = split
            expected[("reduce-scatter", of_step)] = split
            # Whether all is finite; the norm goes with the loss.
            expected[("all-reduce", of_step)] += 1
    assert found == expected


@pytest.mark.full_but("both-sharded-batched")
@pytest.mark.parametrize(
    ("trial_shards", "batch_shards", "settings"),
    [
        pytest.param(2, 1, {}, id="trials"),
        pytest.param(1, 2, {}, id="batch"),
        pytest.param(2, 2, ACCUMULATED, id="both-accumulated"),
        pytest.param(2, 2, SHARDED | BATCHED, id="both-sharded-batched"),
    ],
)
def test_a_mesh_gives_the_losses_of_one_device(alone, trial_shards, batch_shards, settings):
    """Oracle: one device, to rounding; and counts by hand of the collectives in each loop of the
    compiled program. Catches a reduction for each leaf, one inside the scan over time or over
    microbatches, a norm of one shard alone, and microbatches that are summed."""
    case = measured(trial_shards, batch_shards, **settings)
    check_losses(case, alone)
    check_collectives(case, trial_shards, batch_shards, settings)


@pytest.mark.full
@pytest.mark.parametrize("index", range(len(ON_EIGHT)))
def test_eight_devices_give_the_losses_of_one(alone, on_eight, index):
    """As above."""
    check_losses(on_eight[index], alone)
    check_collectives(on_eight[index], *ON_EIGHT[index])


@pytest.mark.full
def test_another_process_gives_the_same_bits(alone, on_eight):
    """Identity, on eight devices that have a trial each there and on one that has all here. Catches
    a draw that depends on the process, such as one by hash, and trials that depend on the mesh."""
    assert on_eight[0]["losses"] == alone["losses"]
    assert alone["collectives"] == []


@pytest.mark.full
def test_sharded_states_are_parts_and_go_on_anywhere(alone, tmp_path):
    """Oracles: bytes by hand, and the uninterrupted cell. Saved by four devices that share each
    batch, restored on one and on two, resumed on two. Catches moments that stay whole, a checkpoint
    of one device's shard, and one whose names or shapes are those of the mesh."""
    four, config = program_on(1, 4, **SHARDED)
    evaluation, states = next(run(four, Sums(), config))
    for part in (states.params, *moments(states)):
        for name, leaf in part["lstm"]._asdict().items():
            size = leaf.addressable_shards[0].data.nbytes
            assert size == leaf.nbytes / 4, name
        assert part["scale"].addressable_shards[0].data.nbytes == part["scale"].nbytes
    path = tmp_path / "cell.safetensors"
    checkpoints.save(path, states)
    for shards in (1, 2):
        other, config = program_on(1, shards, **SHARDED)
        restored = checkpoints.restore(path, other)
        chex.assert_trees_all_equal(*(jax.tree.map(np.asarray, s) for s in (restored, states)))
    ((end, _),) = run(other, Sums(), config, states=restored, earlier=[evaluation])
    np.testing.assert_allclose(end.metrics["loss"], alone["losses"][1][1], rtol=ROUNDING)


def moments(states):
    """Adam's two, each as a tree like the parameters."""
    (adam,) = [
        state
        for state in jax.tree.leaves(
            states.optimizer_state, is_leaf=lambda state: hasattr(state, "mu")
        )
        if hasattr(state, "mu")
    ]
    return adam.mu, adam.nu


def test_microbatches_take_less_memory():
    """Oracle: XLA's own count of a program's temporary bytes. Catches microbatches whose
    activations are all kept."""

    def temporary_bytes(count):
        config = dataclasses.replace(CONFIG, batch_size=512, accumulation_steps=count)
        trial = TrainStep(lstm(), Sums(), config, batch_shards=1)
        state = jax.eval_shape(trial.start, np.uint32(0), np.float32(1e-3))
        data = jax.eval_shape(trial.batch, state, ())
        compiled = jax.jit(trial.loss_and_gradients).lower(state.params, state, data).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    whole, parts = temporary_bytes(1), temporary_bytes(16)
    assert parts < whole / 3


def test_a_mesh_divides_the_microbatches():
    """Oracle: by hand, on four devices. Catches a microbatch that is cut into unequal parts."""
    config = TrainingConfig(seeds=1, batch_size=8, accumulation_steps=4)
    assert choose_layout(config).batch_shards == 2


def test_a_collective_is_found_in_the_loop_that_holds_it():
    """Oracle: a program by hand. Catches a reader that finds nothing, whatever is there."""

    def step(total, x):
        return jax.lax.pmean(total + x, "batch"), None

    mesh = program_on(1, 2)[0].layout.mesh
    on_mesh = jax.shard_map(
        lambda xs: jax.lax.scan(step, xs[0], xs)[0],
        mesh=mesh,
        in_specs=jax.sharding.PartitionSpec(None, "batch"),
        out_specs=jax.sharding.PartitionSpec(),
        check_vma=False,
    )
    text = jax.jit(on_mesh).lower(np.ones((9, 4), np.float32)).compile().as_text()
    assert hlo.collectives(text) == [("all-reduce", (9,))]
    assert CONFIG.steps % 9
