"""Where the time goes: the clock adds up, and profiling leaves the results as they are."""

import json
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from lstm_attn import training
from lstm_attn.history import Evaluation
from lstm_attn.runner import profile
from lstm_attn.training import TrainingConfig
from tests import PATIENCE
from tests.study_fixtures import TINY

PARTS = [
    "trace", "compile", "data", "forward", "backward", "optimiser", "evaluation", "unexplained",
    "host",
]  # fmt: skip
ONE_CELL = ("--config.models=('gru',)", *TINY[1:], "--config.training.steps=100")


def test_seconds_covered_by_spans_count_once():
    """Oracle: by hand. Catches nested events counted twice."""
    spans = [(0.0, 4.0), (1.0, 2.0), (3.0, 5.0), (7.0, 8.0)]
    assert profile.covered(spans) == 6.0
    assert profile.covered([]) == 0.0


def test_the_clock_tells_waits_compilation_and_host_apart(monkeypatch):
    """Oracle: by hand, on a clock that the test moves: a compilation of .1 s within a wait of .3 s,
    a trace of .2 s outside. Catches a second counted twice, or not at all."""
    now = [5.0]
    monkeypatch.setattr(profile, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def passes(seconds, event=None):
        now[0] += seconds
        if event:
            jax.monitoring.record_event_duration_secs(event, seconds)

    def chunks():
        passes(0.2)
        passes(0.1, profile.COMPILE[0])
        yield None, None
        passes(0.4)
        yield None, None

    with profile.CellClock() as clock:
        passes(0.2, profile.TRACE[0])
        for _ in clock.waits(chunks()):
            passes(0.8)
    expected = {"trace": 0.2, "compile": 0.1, "chunks": 0.6, "host": 1.6}
    assert clock.seconds() == pytest.approx(expected)


def test_the_clock_hears_jax_compile():
    """Oracle: a new program. Catches events whose names JAX has changed."""
    with profile.CellClock() as clock:
        jax.jit(lambda x: jax.numpy.sin(x) * 3)(1.0)
    assert clock.seconds()["compile"] > 0
    assert clock.seconds()["trace"] > 0


def test_resting_trials_make_a_chunk_shorter():
    """Oracle: by hand, four trials on two devices: trials 0 and 1 on one of them. Catches a time
    that counts all active trials, although the devices work at the same time."""
    layout = training.choose_layout(TrainingConfig(seeds=4))
    halves = type("Halves", (), {"trial_shards": 2, "placed": "map"})
    ended = [[0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]
    evaluations = [
        Evaluation(step, 0.0, {}, np.array(solved, bool), np.array(solved, bool), np.zeros(4, bool))
        for step, solved in enumerate(ended, 1)
    ]
    assert profile.whole_chunks(evaluations, halves, resting=True) == 1 + 1 + 1 + 1 + 0.5
    assert profile.whole_chunks(evaluations, layout, resting=False) == 5


@pytest.mark.full
def test_profiling_shows_the_parts_and_changes_no_result(compare, tmp_path):
    """Identity with the run that is not profiled. Catches a breakdown that does not add up, a trace
    that is not written, and a profile that changes what is trained."""
    for name, flags in (("plain", ()), ("profiled", ("--profile",))):
        process = compare(tmp_path / name, *ONE_CELL, *flags)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, err
        assert err == ""
    for part in PARTS:
        assert part in out
    (record,) = json.loads((tmp_path / "profiled" / "profile" / "times.json").read_text())
    assert list(record["seconds"]) == PARTS
    results = json.loads((tmp_path / "profiled" / "results.json").read_text())
    # The cell's own clock starts a little later and stops a little earlier.
    assert sum(record["seconds"].values()) == pytest.approx(results[0]["seconds"], rel=0.3, abs=1)
    assert list((tmp_path / "profiled" / "profile").rglob("*.xplane.pb"))
    assert list((tmp_path / "profiled" / "profile").rglob("*.trace.json.gz"))
    assert "Where the time went" in (tmp_path / "profiled" / "report.html").read_text()
    ours, theirs = (
        load_file(tmp_path / name / "checkpoints" / "adding-4-gru.safetensors")
        for name in ("plain", "profiled")
    )
    for name, leaf in ours.items():
        np.testing.assert_array_equal(leaf, theirs[name])
