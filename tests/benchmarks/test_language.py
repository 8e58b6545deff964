"""Training of language models: its work by hand, and the figures shown of it."""

import pytest

from benchmarks import language, tables
from benchmarks.record import of_layers, of_text
from benchmarks.workloads import LanguageModel
from tools.pages.benchmark_sections import training_section

PRODUCT, STEP = 2, 3  # a multiplication and an addition; forward, and two products for gradients


def test_the_work_of_the_studys_models_by_hand():
    """Oracle: the sizes of the models, layer by layer; pairs of query and key one by one. Catches
    the embedding counted as a product, a layer or a readout forgotten, a causal mask ignored."""
    sizes = (16, 128, 192)
    task = language.task(LanguageModel("lstm", *sizes))
    characters = task.output_features
    assert 90 <= characters <= 110
    tokens = 16 * 128
    flops, moved = language.work(LanguageModel("lstm", *sizes), task)
    assert flops == STEP * PRODUCT * tokens * (4 * 192 * (192 + 192) + 192 * characters)
    parameters = 4 * 192 * (192 + 192 + 1) + 2 * 192 * characters + characters
    assert moved == 4 * (16 * 129 + 6 * parameters)
    case = LanguageModel("transformer", *sizes)
    task = language.task(case)
    width = language.width(case, task)
    block = 4 * width * width + 2 * width * (4 * width)
    products = tokens * (width * width + 2 * block + width * characters)
    pairs = sum(1 for query in range(128) for key in range(128) if key <= query)
    attention = 2 * 16 * pairs * 2 * width  # two blocks; scores and their sum of values
    assert language.work(case, task)[0] == STEP * PRODUCT * (products + attention)


def row(name, seconds, **others):
    return {
        "case": f"{others.get('model', 'lstm')} at work", "name": name, "is_ours": "ours" in name,
        "batch": 10, "length": 20, "features": 8, "median_seconds": seconds,
        "lower_quartile_seconds": 0.8 * seconds, "upper_quartile_seconds": 1.25 * seconds,
        "compile_seconds": 1.0, "distance": 2.0, "flops_per_second": 1e9, "bytes_per_second": 1e9,
        **others,
    }  # fmt: skip


@pytest.fixture
def record():
    text = {"model": "lstm", "parameters": 12345}
    return {
        "benchmark": "training", "finished": "2026-11-23", "cores": 2, "processor": "a machine",
        "device": "cpu", "versions": {"jax": "1"}, "skipped": [],
        "rows": [
            row("ours, scan", 0.3, cell="lstm", inputs=3),
            row("ours, training program", 0.2, **text), row("torch.nn.LSTM", 0.4, **text),
        ],
    }  # fmt: skip


def test_tokens_a_second_by_hand(record):
    """Oracle: 10 x 20 tokens over the seconds. Catches quartiles exchanged, an inverted ratio, a
    language model among the layers."""
    assert [r["name"] for r in of_layers(record["rows"])] == ["ours, scan"]
    (table,) = tables.tokens_tables(of_text(record["rows"]))
    columns = {column.header: list(column.cells) for column in table.columns}
    assert columns["tokens/s"] == ["1,000", "500"]
    assert columns["quartiles"] == ["800–1,250", "400–625"]
    assert columns["speed / peer"] == ["2.00", "1.00"]
    assert columns["parameters"] == ["12,345"] * 2
    section = training_section(record)
    assert "| lstm 10, 20, 8 | training program | 12,345 | 1,000 (800–1,250) | 2.00 |" in section
    assert "| lstm 10, 20, 3, 8 | 300 (240–375) | scan |" in section
    assert "torch.nn.LSTM" not in section.split("tokens a second")[0]
    assert not tables.tokens_tables([])
