"""The generated sections of docs/scaling.md: assumptions, check, predictions."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from benchmarks.markdown import joined, three_figures
from lstm_attn.model_config import ModelConfig
from lstm_attn.report.tables import NONE, markdown
from tools import scaling
from tools.scaling import Machine, Step, Workload

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "scaling.md"
RECORD = ROOT / "results" / "benchmarks" / "scaling.json"
DEVICES = (1, 8, 256)
# Launches of half and of twice the assumed time are predicted too.
DOUBT = 2.0

_WIDE = Workload("lstm", 2048, 1024, 500, 2, 1, config=ModelConfig(features=2048, dtype="bfloat16"))
_BLOCKS = ModelConfig(features=512, num_heads=8, num_layers=6, dtype="bfloat16")
# What is predicted: the sizes are those of the page's text.
WORKLOADS = {
    "8 trials of adding, LSTM": Workload("lstm", 64, 32, 200, 2, 1, trials=8),
    "wide LSTM": _WIDE,
    "wide LSTM, fused": dataclasses.replace(_WIDE, implementation="fused"),
    "Transformer": Workload("transformer", 512, 256, 512, 10, 10, config=_BLOCKS),
}
# Figure -> its source for each accelerator; numbers are those of the page's references.
SOURCES = {
    "bfloat16 products, Tflop/s": ("[1]", "[3]"),
    "float32 products, Tflop/s": ("[1], as TF32 [6]", "as bfloat16 [6]"),
    "exp and tanh, T/s": ("[1]; ten operations each, assumed", "[2]; ten operations each, assumed"),
    "memory, GB": ("[1]", "[3]"),
    "memory, TB/s": ("[1]", "[3]"),
    "cache, MB": ("[1], L2", "[2], VMEM"),
    "cache, TB/s": ("[4], measured by them", "[2]"),
    "links, devices x GB/s": ("[2], NVLink and InfiniBand", "[2], two axes of a torus"),
    "a message, us": ("assumed", "[2]"),
    "a launch, us": ("assumed; an iteration of a tiny scan: 8 [5]", "assumed"),
}


def figures_of(machine: Machine) -> tuple[str, ...]:
    """As the model uses them, in the order of SOURCES."""

    def tera(rate: float) -> str:
        return f"{rate / 1e12:.3g}"

    return (
        tera(machine.flops_per_second["bfloat16"]),
        tera(machine.flops_per_second["float32"]),
        tera(machine.functions_per_second),
        f"{machine.memory_bytes / 1e9:.0f}",
        tera(machine.bytes_per_second),
        f"{machine.cache_bytes / 1e6:.0f}",
        tera(machine.cache_bytes_per_second),
        ", ".join(f"{k.devices} x {k.bytes_per_second / 1e9:.0f}" for k in machine.links),
        ", ".join(f"{1e6 * link.hop_seconds:g}" for link in machine.links),
        f"{1e6 * machine.launch_seconds:g}",
    )


def assumptions_section() -> str:
    """One line a figure of the accelerators, as the model uses it, with its source."""
    headings = ["figure"]
    for machine in scaling.ACCELERATORS:
        headings += [machine.name, "source"]
    columns = zip(*map(figures_of, scaling.ACCELERATORS), strict=True)
    rows = []
    for (name, sources), figures in zip(SOURCES.items(), columns, strict=True):
        rows.append([name])
        for figure, source in zip(figures, sources, strict=True):
            rows[-1] += [figure, source]
    return markdown(headings, rows, left=(0, 2, 4))


def check_section(record: dict[str, Any]) -> str:
    """One line a row of the record of `tools.scaling.check`, and how far off the model was."""
    rows = [
        [
            f"{row['model']} {row['batch']}, {row['length']}, {row['features']}",
            " x ".join(map(str, row["mesh"])),
            str(row["trials"]),
            _milliseconds(row["measured_seconds"]),
            _milliseconds(row["predicted_seconds"]),
            f"{row['ratio']:.2f}",
            row["limit"],
        ]
        for row in record["rows"]
    ]
    headings = ["model, B, T, H", "mesh", "trials", "measured, ms", "predicted, ms", "ratio",
                "limited by"]  # fmt: skip
    figures = record["figures"]
    by_model = []
    for model in dict.fromkeys(row["model"] for row in record["rows"]):
        ratios = [row["ratio"] for row in record["rows"] if row["model"] == model]
        by_model.append(f"{model} {min(ratios):.2f} to {max(ratios):.2f}")
    below = sum(row["ratio"] < 1 for row in record["rows"])
    return joined(
        markdown(headings, rows, left=(0, 6)),
        f"Off by a factor of {record['median_factor']:.2f} in the median, "
        f"{record['worst_factor']:.2f} at worst; {below} of {len(rows)} predictions lie below "
        "what was measured (a roofline is a bound from below). Predicted over measured, by "
        f"model: {'; '.join(by_model)}.",
        f"{record['finished'][:10]}, {record['cores']} cores ({record['processor']}), "
        f"jax {record['versions']['jax']}. A core, as measured: products "
        f"{figures['flops_per_second'] / 1e9:.0f} Gflop/s, tanh "
        f"{figures['functions_per_second'] / 1e9:.1f} G/s, memory "
        f"{figures['bytes_per_second'] / 1e9:.1f} GB/s, cache "
        f"{figures['cache_bytes_per_second'] / 1e9:.0f} GB/s, a launch "
        f"{1e6 * figures['launch_seconds']:.2f} us.",
    )


def predictions_section() -> str:
    """One line a workload, machine and number of devices: the quickest mesh and its time."""
    rows = []
    for name, workload in WORKLOADS.items():
        for machine in scaling.ACCELERATORS:
            for devices in DEVICES:
                chosen = scaling.best(workload, machine, devices)
                rows.append(
                    [name, machine.name, str(devices), *prediction_cells(workload, machine, chosen)]
                )
    headings = ["workload", "device", "devices", "mesh", "parts", "ms a step", "limited by",
                "GB a device"]  # fmt: skip
    return markdown(headings, rows, left=(0, 1, 6))


def prediction_cells(workload: Workload, machine: Machine, chosen: Step | None) -> list[str]:
    """Mesh, microbatches, milliseconds with those of shorter and longer launches, what limits them,
    memory."""
    if chosen is None:
        return ["none fits", *[NONE] * 4]
    cut = dataclasses.replace(workload, accumulation_steps=chosen.accumulation_steps)
    low, high = (
        scaling.step(
            cut,
            dataclasses.replace(machine, launch_seconds=machine.launch_seconds * factor),
            chosen.mesh,
        ).seconds.total
        for factor in (1 / DOUBT, DOUBT)
    )
    return [
        f"{chosen.mesh.trial} x {chosen.mesh.batch}",
        str(chosen.accumulation_steps),
        f"{_milliseconds(chosen.seconds.total)} ({_milliseconds(low)}–{_milliseconds(high)})",
        chosen.seconds.limit,
        f"{chosen.bytes / 1e9:.1f}",
    ]


def _milliseconds(seconds: float) -> str:
    return three_figures(1e3 * seconds)


def sections() -> dict[str, str]:
    """Name -> section, of everything generated on the page."""
    return {
        "assumptions": assumptions_section(),
        "check": check_section(json.loads(RECORD.read_text())),
        "predictions": predictions_section(),
    }
