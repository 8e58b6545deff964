"""The benchmark that checks the cost model: a machine from measurements, and a measured step."""

import pytest

from lstm_attn import models, tasks
from tools import scaling
from tools.scaling import check
from tools.scaling.check import Case
from tools.scaling.seconds import all_reduce_seconds

FIGURES = {
    "flops_per_second": 1e11,
    "functions_per_second": 1e9,
    "bytes_per_second": 1e10,
    "cache_bytes_per_second": 4e10,
    "cache_bytes": 2**21,
    "tiny_seconds": 1e-3,
}
LINK = {"small": 1e-5, "large": 1e-2, "bytes": 2**24}
ANSWER = {"seconds": 5e-3, "width": 64, "inputs": 2, "outputs": 1, "mesh": [1, 2]}


def test_the_fitted_machine_predicts_its_own_measurements():
    """Oracle: the measurements themselves: a tiny reduction and a large one over two devices, and a
    training step of almost nothing but launches. Catches a rate of one of the two passes, a hop
    for two, launches of one direction."""
    machine = check.this_machine(FIGURES, LINK)
    for size, seconds in ((0, LINK["small"]), (LINK["bytes"], LINK["large"])):
        assert all_reduce_seconds(size, 2, machine.links) == pytest.approx(seconds)
    tiny = scaling.Workload("lstm", 2, 1, 200, 2, 1)
    latency = scaling.step(tiny, machine).seconds.latency
    # The optimiser's launches were in the measurement too, but are a hundredth of the scan's.
    assert latency == pytest.approx(FIGURES["tiny_seconds"], rel=0.02)


def test_a_row_compares_the_mesh_that_ran():
    """Oracle: the model called by hand for 1 x 2 devices. Catches a prediction for another mesh or
    width, and an inverted ratio."""
    machine = check.this_machine(FIGURES, LINK)
    row = check.make_row(Case("lstm", 32, 100, 64), 1, ANSWER, machine)
    load = scaling.Workload("lstm", 64, 32, 100, 2, 1)
    predicted = scaling.step(load, machine, scaling.Mesh(1, 2)).seconds
    assert row["predicted_seconds"] == predicted.total == sum(row["predicted"].values())
    assert row["ratio"] == predicted.total / 5e-3
    assert row["predicted"]["collectives"] > LINK["small"]


@pytest.mark.full
def test_a_step_is_measured_at_the_sizes_of_the_model(monkeypatch):
    """Oracle: the sizes of models and tasks, four devices. Catches a width that is not the model's,
    and a mesh that is not reported."""
    monkeypatch.setattr(check, "LEAST_SECONDS", 0)
    monkeypatch.setattr(check, "CHUNK_STEPS", 1)
    answer = check.step_seconds(Case("lstm_attention", 2, 4, 8), trials=4)
    assert answer["mesh"] == [4, 1]
    width = models.matched_features("lstm_attention", tasks.adding(4), models.ModelConfig(8))
    assert answer["width"] == width != 8
    assert (answer["inputs"], answer["outputs"]) == (2, 1)
    assert answer["seconds"] > 0
