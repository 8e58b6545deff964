"""docs/scaling.md: its figures are those of the model and of the committed record."""

import re

import pytest

from lstm_attn.errors import UsageError
from tools import scaling
from tools.pages import replaced
from tools.scaling import page

TEXT = page.PAGE.read_text()


def test_the_page_holds_what_the_model_says():
    """Oracle: the sections written again. Catches a figure typed by hand or out of date."""
    for section in page.sections().values():
        assert section in TEXT
    for source in re.findall(r'src="([^"]+)"', TEXT):
        assert (page.PAGE.parent / source).exists(), source


def test_the_example_runs_as_it_is():
    """Catches a name or an argument that is no longer true."""
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    names = {}
    exec(example, names)
    assert names["taken"].seconds.limit == "latency"


def test_an_assumption_is_shown_with_its_own_source():
    """Oracle: the data sheets' figures times the share that is reached. Catches a row or a column
    under another's name."""
    section = page.assumptions_section()
    assert "| bfloat16 products, Tflop/s | 742 | [1] | 148 | [3] |" in section
    assert "| memory, TB/s | 2.51 | [1] | 0.614 | [3] |" in section
    assert "| a message, us | 2, 5 | assumed | 0.5, 0.5 | [2] |" in section


def test_the_check_says_how_far_off_each_model_is():
    """Oracle: figures by hand. Catches an inverted ratio, and an average instead of the worst."""
    row = {"model": "lstm", "batch": 32, "length": 100, "features": 64, "trials": 1, "mesh": [1, 2],
           "measured_seconds": 0.004, "predicted_seconds": 0.003, "ratio": 0.75, "limit": "memory"}  # fmt: skip
    figures = dict.fromkeys(
        ("flops_per_second", "functions_per_second", "bytes_per_second", "cache_bytes_per_second"),
        2e9,
    )
    record = {
        "rows": [row, {**row, "ratio": 1.5}],
        "median_factor": 1.4,
        "worst_factor": 1.5,
        "figures": {**figures, "launch_seconds": 2e-7},
        "finished": "2026-11-23T00:00:00",
        "cores": 2,
        "processor": "a processor",
        "versions": {"jax": "0.10.2"},
    }
    section = page.check_section(record)
    assert "| lstm 32, 100, 64 | 1 x 2 | 1 | 4 | 3 | 0.75 | memory |" in section
    assert "by a factor of 1.40 in the median, 1.50 at worst" in section
    assert "1 of 2 predictions lie below" in section
    assert "lstm 0.75 to 1.50" in section
    assert "products 2 Gflop/s" in section
    assert "a launch 0.20 us" in section


def test_a_step_that_fits_no_mesh_is_reported():
    """Oracle: no mesh; and 63 GB in devices of 16. Catches a time for a step that can't run."""
    workload = page.WORKLOADS["wide LSTM"]
    assert page.prediction_cells(workload, scaling.H100, None)[0] == "none fits"
    chosen = scaling.best(workload, scaling.TPU_V5E, 1)
    cells = page.prediction_cells(workload, scaling.TPU_V5E, chosen)
    assert cells[1] == "8"
    assert float(cells[-1]) <= 16


def test_a_page_without_markers_is_one_line():
    """Catches a section that is silently lost."""
    with pytest.raises(UsageError, match=r"^x\.md has no markers for the section 'check'$"):
        replaced("text", "check", "section", "x.md")
