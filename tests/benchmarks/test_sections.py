"""The README's sections from records whose figures are known."""

import json
import math

import pytest

from benchmarks import recurrences, sections
from tools.pages import readme

SHAPES = ({"batch": 32, "length": 1000, "inputs": 10, "features": 128},
          {"batch": 16, "length": 512, "inputs": 128, "features": 512})  # fmt: skip
MEBIBYTE = 2**20


def row(case, name, seconds, sizes, **more):
    """A contender that took so long, with quartiles 10 % around it and a floor of 10 ms."""
    return {
        "case": case,
        "name": name,
        "is_ours": name.startswith("ours") or "_" in name,
        "median_seconds": seconds,
        "lower_quartile_seconds": 0.9 * seconds,
        "upper_quartile_seconds": 1.1 * seconds,
        "floor_seconds": 0.01,
        "distance": seconds / 0.01,
        "compile_seconds": 1.5,
        "peak_bytes": None,
        "temporary_bytes": None,
        "flops_per_second": 2e11,
        "bytes_per_second": 3e10,
        **sizes,
        **more,
    }


def record(name, rows, skipped=()):
    return {
        "benchmark": name,
        "finished": "2026-11-22T10:00:00+00:00",
        "cores": 2,
        "processor": "a processor",
        "device": "cpu",
        "versions": {"jax": "0.10.2"},
        "rows": rows,
        "skipped": list(skipped),
    }


def training_rows():
    """Ours at 20 and 80 ms, the fastest peers at 40 and 60 ms: twice and 3/4 of their speed."""
    rows = []
    for sizes, mine, torch, linen in ((SHAPES[0], 0.02, 0.05, 0.04), (SHAPES[1], 0.08, 0.06, 0.09)):
        case, cell = f"lstm, T={sizes['length']}", {"cell": "lstm", "direction": "forward"}
        rows += [
            row(case, "ours, scan, one device", 2 * mine, sizes, **cell),
            row(case, "ours, auto, 2 devices", mine, sizes, **cell),
            row(case, "torch", torch, sizes, compile_seconds=None, **cell),
            row(case, "linen LSTMCell, one program", linen, sizes, compile_seconds=1.2, **cell),
        ]
    return rows


def test_speed_is_over_the_fastest_peer_of_each_case():
    """Oracle: 40 / 20 and 60 / 80, by hand. Catches one peer for all cases, an inverted ratio."""
    assert sections.speed_over_peers(training_rows()) == {
        "ours, scan, one device": pytest.approx([1.0, 0.375]),
        "ours, auto, 2 devices": pytest.approx([2.0, 0.75]),
    }


def test_training_is_compared_with_its_targets():
    """Oracle: the issue's targets and figures by hand. Catches the target of another width, an
    implementation of ours that is not the fastest, and an arithmetic mean of ratios."""
    skip = {"case": "lstm, T=1000", "name": "cuDNN", "reason": "cuDNN needs a GPU"}
    section = sections.training_section(record("training", training_rows(), [skip]))
    first, second = (line for line in section.splitlines() if line.startswith("| lstm"))
    assert "| lstm 32, 1,000, 10, 128 | 20 (18–22) | auto, 2 devices |" in first
    assert "| 40 (36–44) | linen LSTMCell, one program | 2.00 (≥ 1.00) | 2.00 (≤ 3.00) |" in first
    assert first.endswith("| 1.50 (≤ 1.20) |")
    assert "| torch | 0.75 (≥ 1.00) | 8.00 (≤ 2.00) |" in second
    mean = math.sqrt(2.0 * 0.75)
    assert f"the fastest of ours: {mean:.2f} times" in section
    assert "(target 1.5), least 0.75 (target 1.0)" in section
    assert "Left out: cuDNN: cuDNN needs a GPU." in section
    assert (
        "2026-11-22, 2 cores (a processor), device cpu, jax 0.10.2; matmul 200 Gflop/s" in section
    )


def test_tokens_a_second_by_hand():
    """Oracle: 16 x 100 tokens over 0.2 and 0.4 s, and quartiles of 0.9 and 1.1 times as long.
    Catches quartiles exchanged, an inverted ratio, a language model among the layers."""
    sizes = {"model": "lstm", "batch": 16, "length": 100, "features": 8, "parameters": 12345}
    rows = [
        row("text", "ours, training program", 0.2, sizes),
        row("text", "torch.nn.LSTM", 0.4, sizes),
    ]
    section = sections.training_section(record("training", training_rows() + rows))
    layers, models = section.split("Language models")
    assert "torch.nn.LSTM" not in layers
    assert "| lstm 16, 100, 8 | training program | 12,345 | 8,000 (7,273–8,889) | 2.00 |" in models
    assert "| torch.nn.LSTM | 12,345 | 4,000 (3,636–4,444) | – |" in models


def test_a_layer_has_no_target():
    """Oracle: the same rows as layers. Catches a target that nobody set."""
    section = sections.recurrent_section(record("recurrent", training_rows()))
    assert "| lstm, forward | 32, 1,000, 10, 128 | 20 (18–22) | auto, 2 devices |" in section
    assert "| 2.00 | 2.00 |" in section
    assert "≥" not in section


def test_attention_is_held_to_its_target_where_it_was_set():
    """Oracle: 30 ms over 100 ms. Catches a target on the forward pass, or at another length."""
    rows = []
    for direction in ("forward", "forward and backward"):
        for length in (512, 2048):
            sizes = {"batch": 1, "length": length, "heads": 4, "features": 32}
            how = {"direction": direction, "is_causal": True}
            case = f"{direction}, {length}"
            rows += [row(case, name, seconds, sizes, **how)
                     for name, seconds in (("ours, chunked", 0.03), ("ours, dense", 0.2),
                                           ("jax.nn", 0.1), ("torch", 0.02))]  # fmt: skip
    section = sections.attention_section(record("attention", rows))
    targeted = [line for line in section.splitlines() if "≤ 0.70" in line]
    assert targeted == [
        "| forward and backward, causal | 1, 2,048, 4, 32 | 30 (27–33) | chunked | 100 (90–110) "
        "| 0.30 (≤ 0.70) | 20 (18–22) | 1.50 | 3.00 |"
    ]


def test_memory_is_held_to_a_gibibyte_and_to_half_as_much_time_again():
    """Oracle: 900 MiB, 1.4 times as long, at the longest T that has both. Catches the ratio at the
    first length."""
    rows = []
    for length, ratio in ((5_000, 1.9), (100_000, 1.4)):
        sizes = {"cell": "lstm", "batch": 8, "length": length, "inputs": 10, "features": 128}
        rows += [
            row(f"T={length}", "ours, all steps kept", 1.0, sizes, peak_bytes=9000 * MEBIBYTE),
            row(f"T={length}", "ours, segments", ratio, sizes, peak_bytes=900 * MEBIBYTE),
        ]
    section = sections.memory_section(record("memory", rows))
    assert "| T=5000 | segments | 900 | – |" in section
    assert "| T=100000 | segments | 900 (≤ 1,024) | – |" in section
    assert "At T = 100,000, the longest at which both fit, segments take 1.40 times" in section


def test_recurrences_have_the_speed_of_auto_over_both():
    """Oracle: 60 / 10 and 20 / 10, by hand; the geometric mean of 6 and 1.5 is 3. Catches an
    inverted ratio, and the speed of an implementation that `auto` does not take."""
    rows = []
    for case, auto, dense in (("linear, forward", 0.01, 0.06), ("mLSTM, forward", 0.04, 0.06)):
        times = {"ours, scan": 0.02, "ours, auto": auto, "jax.lax.scan": 0.02}
        times["jax.lax.associative_scan"] = dense
        rows += [row(case, name, seconds, {}) for name, seconds in times.items()]
    section = recurrences.section(record("recurrences", rows))
    first, second = (line for line in section.splitlines() if ", forward |" in line)
    assert "| 20 (18–22) | 2.00 | 60 (54–66) | 6.00 (≥ 3.00) |" in first
    assert "| scan | 2.00 |" in second
    assert "3.0 times the speed of a dense associative scan" in section
    assert "least 1.5." in section


def test_decoding_counts_tokens_of_all_sequences():
    """Oracle: 16 sequences in 2 ms. Catches steps a second, and a length in another's column."""
    rows = [
        row("", "lstm_attention", seconds, {"batch": 16, "room": room})
        for room, seconds in ((1024, 0.002), (256, 0.001))
    ]
    section = sections.decoding_section(record("decoding", rows))
    assert "| model | B | 256 | 1,024 |" in section
    assert "| lstm_attention | 16 | 16,000 | 8,000 |" in section


def test_only_records_that_are_there_have_sections(tmp_path):
    """Catches a README that can't be written before every benchmark has run."""
    made = record("training", training_rows()) | {"commit": "0123456789ab"}
    (tmp_path / "training.json").write_text(json.dumps(made))
    assert list(readme.benchmark_sections(tmp_path)) == ["training"]
