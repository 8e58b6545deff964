"""Does the cost model of docs/scaling.md predict how long a training step takes on this machine?

    python -m tools.scaling.check --output=results/benchmarks/scaling.json

A device here is one CPU core; `tools.scaling.worker` measures its rates by small programs. From
these figures alone the model predicts the training steps of the cases (adding), on meshes of
trial x batch devices, and each is measured.
"""

import itertools
import math
import statistics
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib import rc_context
from matplotlib.figure import Figure

from benchmarks import command
from benchmarks.contenders import Contender, cores
from benchmarks.figures import MARKERS, legend
from benchmarks.processes import Process
from benchmarks.progress import Progress
from lstm_attn.report.panel import COLORS, REFERENCE_COLOR, STYLE
from lstm_attn.runner import memory_check
from tools import scaling
from tools.scaling.page import check_section


class Case(NamedTuple):
    """What is trained: B, T, and H of the LSTM, which has as many parameters as the model."""

    model: str
    batch: int
    length: int
    features: int

    @property
    def title(self) -> str:
        return f"{self.model}, B={self.batch} T={self.length} H={self.features}"


ONE_DEVICE = (
    Case("lstm", 32, 100, 32),
    Case("lstm", 32, 200, 64),
    Case("lstm", 64, 50, 128),
    Case("lstm", 64, 50, 256),
    Case("gru", 32, 100, 64),
    Case("gru", 64, 50, 128),
    Case("transformer", 32, 100, 64),
    Case("lstm_attention", 32, 100, 64),
    Case("attention_pooling", 32, 100, 64),
)
TWO_DEVICES = (
    Case("lstm", 32, 200, 64),
    Case("lstm", 64, 50, 256),
    Case("gru", 64, 50, 128),
    Case("transformer", 32, 100, 64),
)
# Almost nothing but launches.
TINY = Case("lstm", 1, 200, 2)
CACHE_SIZE = Path("/sys/devices/system/cpu/cpu0/cache/index2/size")
CACHE_BYTES = 2**20
WORKER = "tools.scaling.worker"


def this_machine(figures: dict[str, float], link: dict[str, float] | None) -> scaling.Machine:
    """One core as a device, from what the worker measured.

    Args:
      figures: of `worker.figures`, with cache_bytes, and tiny_seconds, a training step of TINY.
      link: of `worker.link`; None for a single device.
    """
    tiny = scaling.Workload("lstm", TINY.features, TINY.batch, TINY.length, 2, 1)
    launches = sum(operation.launches for operation in tiny.operations())
    links: tuple[scaling.Link, ...] = ()
    if link:
        # A reduction is two passes: of two devices, one hop and half the bytes each.
        rate = link["bytes"] / (link["large"] - link["small"])
        links = (scaling.Link(2, rate, link["small"] / 2),)
    return scaling.Machine(
        "one core",
        {"float32": figures["flops_per_second"]},
        figures["functions_per_second"],
        figures["bytes_per_second"],
        figures["cache_bytes"],
        figures["cache_bytes_per_second"],
        memory_check.host_bytes() or math.inf,
        figures["tiny_seconds"] / launches,
        links,
        batched_trials=False,
    )


def make_row(
    case: Case, trials: int, answer: dict[str, Any], machine: scaling.Machine
) -> dict[str, Any]:
    """What was measured of a case, and what the model says."""
    trial_shards, batch_shards = answer["mesh"]
    workload = scaling.Workload(
        case.model,
        answer["width"],
        case.batch,
        case.length,
        answer["inputs"],
        answer["outputs"],
        trials,
    )
    predicted = scaling.step(workload, machine, scaling.Mesh(trial_shards, batch_shards)).seconds
    return {
        **case._asdict(),
        "trials": trials,
        "mesh": answer["mesh"],
        "measured_seconds": answer["seconds"],
        "predicted_seconds": predicted.total,
        "predicted": predicted._asdict(),
        "limit": predicted.limit,
        "ratio": predicted.total / answer["seconds"],
    }


def measure() -> dict[str, Any]:
    """Figures and rows, the cases of one device and then those of two."""
    with Progress(1 + len(ONE_DEVICE) + (1 + 2 * len(TWO_DEVICES)) * (cores() > 1)) as progress:
        figures, link, answers = _measured(progress)
    machine = this_machine(figures, link)
    rows = [make_row(case, trials, answer, machine) for case, trials, answer in answers]
    ratios = [max(row["ratio"], 1 / row["ratio"]) for row in rows]
    return {
        "figures": {**figures, "launch_seconds": machine.launch_seconds},
        "link": link,
        "rows": rows,
        "median_factor": statistics.median(ratios),
        "worst_factor": max(ratios),
    }


def _measured(
    progress: Progress,
) -> tuple[dict[str, float], dict[str, float] | None, list[tuple[Case, int, dict[str, Any]]]]:
    """Rates of a core, the link between two, and the training steps: case, trials, answer."""
    answers = []
    with Process(Contender("one core", WORKER, devices=1)) as process:
        progress.start("the rates of a core")
        process.ask("call", "bind", 1)
        figures = process.ask("call", "figures")
        figures["tiny_seconds"] = process.ask("call", "step_seconds", *TINY, 1)["seconds"]
        figures["cache_bytes"] = second_level_cache()
        progress.finish()
        for case in ONE_DEVICE:
            answers.append((case, 1, _step(process, case, 1, progress)))
    link = None
    if cores() > 1:
        with Process(Contender("two cores", WORKER, devices=2)) as process:
            progress.start("the link between two cores")
            process.ask("call", "bind", 2)
            link = process.ask("call", "link")
            progress.finish()
            for case, trials in itertools.product(TWO_DEVICES, (1, 2)):
                answers.append((case, trials, _step(process, case, trials, progress)))
    return figures, link, answers


def _step(process: Process, case: Case, trials: int, progress: Progress) -> dict[str, Any]:
    progress.start(f"{case.title}, {trials} trial{'s' * (trials > 1)}")
    answer = process.ask("call", "step_seconds", *case, trials)
    progress.finish()
    return answer


def second_level_cache() -> int:
    """Bytes of a core's, or CACHE_BYTES where Linux doesn't say."""
    try:
        text = CACHE_SIZE.read_text().strip()
    except OSError:
        return CACHE_BYTES
    return int(text.removesuffix("K")) * 1024 if text.endswith("K") else CACHE_BYTES


def predicted_over_measured(record: dict[str, Any]) -> Figure:
    """Predicted against measured seconds: one marker a row, a colour a model, a shape a mesh."""
    models = list(dict.fromkeys(row["model"] for row in record["rows"]))
    meshes = list(dict.fromkeys(tuple(row["mesh"]) for row in record["rows"]))
    with rc_context(STYLE):
        figure = Figure(figsize=(5.4, 4.6), layout="constrained")
        axes = figure.add_subplot()
        for row in record["rows"]:
            trial, batch = row["mesh"]
            axes.plot(
                1e3 * row["measured_seconds"], 1e3 * row["predicted_seconds"], linestyle="none",
                marker=MARKERS[meshes.index((trial, batch)) % len(MARKERS)], markersize=7,
                color=COLORS[models.index(row["model"]) % len(COLORS)], markerfacecolor="none",
                markeredgewidth=1.4, label=f"{row['model']}, {trial} x {batch}",
            )  # fmt: skip
        measured = [1e3 * row["measured_seconds"] for row in record["rows"]]
        ends = [0.7 * min(measured), 1.4 * max(measured)]
        axes.plot(ends, ends, color=REFERENCE_COLOR, linestyle="--", linewidth=1, label="equal")
        axes.fill_between(
            ends, [end / 2 for end in ends], [2 * end for end in ends],
            color=REFERENCE_COLOR, alpha=0.12, linewidth=0, label="within a factor of 2",
        )  # fmt: skip
        axes.set(xscale="log", yscale="log", title="A training step on this machine")
        axes.set(xlabel="measured, ms a step", ylabel="predicted, ms a step")
        figure.legend(*legend(figure), loc="outside lower center", ncols=3)
    return figure


if __name__ == "__main__":
    command.run_measurement(
        "scaling", measure, lambda record: [check_section(record)], predicted_over_measured
    )
