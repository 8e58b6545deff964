"""Devices of several processes, as far as one process can tell; the rest is in
tests/runner/test_distributed.py."""

import itertools
import time
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from lstm_attn import tasks
from lstm_attn.errors import UsageError
from lstm_attn.training import TrainingConfig, choose_layout, multihost, run
from lstm_attn.training.mesh import lay_out
from lstm_attn.training.multihost import LARGEST_BLOCK, SMALLEST_BLOCK


def devices_of(*counts):
    """This many devices of each process."""
    return [
        SimpleNamespace(process_index=process, number=number)
        for process, count in enumerate(counts)
        for number in range(count)
    ]


@pytest.fixture
def meshes(monkeypatch):
    """What layouts ask `jax.make_mesh` for."""
    asked = []
    monkeypatch.setattr(jax, "make_mesh", lambda shape, names, **k: asked.append((shape, k)))
    return asked


@pytest.mark.parametrize(
    ("trials", "counts", "shape"),
    [
        (4, (1, 1), (2, 1)),
        (2, (1, 1, 1, 1), (2, 2)),
        (4, (4, 4), (4, 2)),
        (1, (2, 2), (1, 4)),
        (6, (4, 4), (6, 1)),
        (3, (1, 1), (1, 2)),
        (3, (2, 2), (1, 4)),
        (5, (3, 2), (1, 4)),
    ],
)
def test_every_process_has_as_many_devices_in_the_mesh(trials, counts, shape, meshes, monkeypatch):
    """Oracle: by hand, for a batch of 32. Catches a process without a device in the mesh, for which
    the others would wait, and a batch split over processes."""
    monkeypatch.setattr(jax, "devices", lambda: devices_of(*counts)[::-1])
    choose_layout(TrainingConfig(seeds=trials))
    [(found, keywords)] = meshes
    assert found == shape
    used = [device.process_index for device in keywords["devices"]]
    assert used == sorted(used)
    assert {used.count(process) for process in range(len(counts))} == {len(used) // len(counts)}


@pytest.mark.parametrize("counts", [(1,), (4,), (2, 2), (3, 3, 3)])
def test_the_layout_is_the_first_of_all_that_divide_evenly(counts, meshes):
    """Oracle: every pair of numbers up to trials and batch, tried by its definition. Catches a
    bound of the divisors that leaves the best layout out."""
    processes, devices = len(counts), sum(counts)
    for trials, batch in itertools.product(range(1, 13), repeat=2):
        fits = [
            (a, b)
            for a, b in itertools.product(range(1, trials + 1), range(1, batch + 1))
            if trials % a == batch % b == a * b % processes == 0 and a * b <= devices
        ]
        if fits:
            lay_out(trials, batch, devices=devices_of(*counts))
            assert meshes.pop()[0] == max(fits)
        else:
            with pytest.raises(UsageError):
                lay_out(trials, batch, devices=devices_of(*counts))


def test_a_layout_of_very_many_trials_takes_no_time(meshes):
    """Catches a search for divisors up to the number of trials or to the batch: the message that
    memory is too small for them comes only after the layout."""
    began = time.process_time()
    lay_out(2 * 10**6, 2 * 10**6, devices=devices_of(4))
    assert time.process_time() < began + 0.5
    assert meshes.pop()[0] == (4, 1)


def test_trials_that_cannot_be_spread_are_one_line(meshes, monkeypatch):
    """Catches a mesh of some processes only."""
    monkeypatch.setattr(jax, "devices", lambda: devices_of(1, 1))
    with pytest.raises(
        UsageError, match=r"^3 trials .* in 25 parts .* over 2 processes: .*divides$"
    ):
        choose_layout(TrainingConfig(seeds=3, batch_size=25))
    assert not meshes


@pytest.mark.parametrize("size", [0, 1, SMALLEST_BLOCK + 1, LARGEST_BLOCK, LARGEST_BLOCK + 5])
def test_what_the_leader_sends_arrives_whole(size):
    """Identity. Catches blocks that are cut or padded wrongly."""
    content = np.random.default_rng(0).bytes(size)
    assert multihost._from_leader(content) == content


def test_the_clock_is_the_leaders(monkeypatch):
    """Oracle: a leader with an impossible time. Catches evaluations timed by each process, so that
    a budget would end a cell in one process and not in the other."""
    monkeypatch.setattr(multihost, "agreed", lambda decide: 1234.5)
    state = SimpleNamespace(step=jax.numpy.zeros(1, int), finite=jax.numpy.ones(1, bool))
    metrics = {"loss": jax.numpy.ones(1), "accuracy": jax.numpy.ones(1)}
    program = SimpleNamespace(
        start=lambda: state,
        advance=lambda *_: (state, metrics),
        read=lambda step: (),
        confirm=None,
        settings=([0], [1e-2]),
    )
    config = TrainingConfig(steps=1, evaluate_every=1, warmup_steps=0, seeds=1)
    [(evaluation, _)] = run(program, tasks.adding(4), config)
    assert evaluation.seconds == 1234.5
