"""Does the cost model of docs/scaling.md say how long a training step takes on this machine?

    python -m tools.scaling.check --output=results/benchmarks/scaling.json
    python -m tools.scaling.check --case=lstm,32,100,64

What a device can do, here one core, is measured by small programs: products, tanh, softmax, a
stream through memory, the smallest LSTM, a reduction. From these figures alone the model predicts
the training steps of the cases (adding; B, T, and the LSTM's H, to whose parameter count the other
models are fitted), on meshes of trial x batch devices, and each is measured. LSTM and GRU run as a
plain scan and attention is dense: the program that accelerators get.
"""

import contextlib
import json
import math
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags
from rich import box
from rich.table import Table

from benchmarks.contenders import cores
from benchmarks.output import checked_output, stamp, write
from benchmarks.progress import Progress
from lstm_attn.errors import UsageError, unknown_name
from lstm_attn.models import MODELS
from lstm_attn.runner import command_line, memory_check
from tools import scaling
from tools.scaling.picture import predicted_over_measured

CASE = flags.DEFINE_multi_string(
    "case", None, "MODEL,B,T,H in place of the set; may be repeated; on every mesh."
)


class Case(NamedTuple):
    """What is trained: sizes by axis letter, and H of the LSTM with as many parameters."""

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
STEPS = 10  # of a chunk; larger cases take as long as they take
CACHE_SIZE = Path("/sys/devices/system/cpu/cpu0/cache/index2/size")
CACHE_BYTES = 2**20


class Worker:
    """A child bound to so many cores, asked by JSON lines."""

    def __init__(self, devices: int) -> None:
        command = [sys.executable, "-m", "tools.scaling.worker", f"--devices={devices}"]
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, request: str, **arguments: Any) -> dict[str, Any]:
        """The answer.

        Raises:
          RuntimeError: the child has ended; it has said why on stderr.
        """
        assert self._child.stdin
        assert self._child.stdout
        self._child.stdin.write(json.dumps([request, arguments]) + "\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError(f"{request}: its process ended with status {self._child.wait()}")
        return json.loads(line)

    def seconds(self, case: Case, trials: int) -> dict[str, Any]:
        """Of a training step, with what the model's sizes are."""
        return self.ask("step", **case._asdict(), trials=trials, steps=STEPS)

    def close(self) -> None:
        """Ends the child."""
        assert self._child.stdin
        self._child.stdin.close()
        self._child.kill()
        self._child.wait()


def this_machine(figures: dict[str, float], link: dict[str, float] | None) -> scaling.Machine:
    """One core as a device, from what the worker measured.

    Args:
      figures: of `scaling_worker.figures`, and tiny_seconds, a training step of TINY.
      link: of `scaling_worker.link`; None for a single device.
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


def measure(one: list[Case], two: list[Case], progress: Progress) -> dict[str, Any]:
    """Figures and rows, the cases of one device and then those of two."""
    answers = []
    with contextlib.closing(Worker(1)) as worker:
        progress.start("what a core can do")
        figures = worker.ask("figures")
        figures["tiny_seconds"] = worker.seconds(TINY, 1)["seconds"]
        figures["cache_bytes"] = second_level_cache()
        progress.finish()
        for case in one:
            answers.append((case, 1, _told(worker, case, 1, progress)))
    link = None
    if two:
        with contextlib.closing(Worker(2)) as worker:
            progress.start("what joins two cores")
            link = worker.ask("link")
            progress.finish()
            for case in two:
                for trials in (1, 2):
                    answers.append((case, trials, _told(worker, case, trials, progress)))
    machine = this_machine(figures, link)
    rows = [make_row(case, trials, answer, machine) for case, trials, answer in answers]
    ratios = [max(row["ratio"], 1 / row["ratio"]) for row in rows]
    return {
        **stamp("scaling"),
        "figures": {**figures, "launch_seconds": machine.launch_seconds},
        "link": link,
        "rows": rows,
        "median_factor": statistics.median(ratios),
        "worst_factor": max(ratios),
    }


def second_level_cache() -> int:
    """Bytes of a core's, or CACHE_BYTES where Linux doesn't say."""
    try:
        text = CACHE_SIZE.read_text().strip()
    except OSError:
        return CACHE_BYTES
    return int(text.removesuffix("K")) * 1024 if text.endswith("K") else CACHE_BYTES


def _told(worker: Worker, case: Case, trials: int, progress: Progress) -> dict[str, Any]:
    progress.start(f"{case.title}, {trials} trial{'s' * (trials > 1)}")
    answer = worker.seconds(case, trials)
    progress.finish()
    return answer


def show(record: dict[str, Any]) -> Table:
    """A line a row, and how far off the model is."""
    table = Table(
        title="a training step, predicted and measured",
        caption=f"off by a factor of {record['median_factor']:.2f} in the median, "
        f"{record['worst_factor']:.2f} at worst",
        box=box.SIMPLE_HEAD,
    )
    for heading in ("case", "mesh", "measured, ms", "predicted, ms", "ratio", "limit"):
        table.add_column(heading, justify="left" if heading in ("case", "limit") else "right")
    for row in record["rows"]:
        case = Case(*(row[field] for field in Case._fields))
        table.add_row(
            case.title,
            " x ".join(map(str, row["mesh"])),
            f"{1e3 * row['measured_seconds']:.2f}",
            f"{1e3 * row['predicted_seconds']:.2f}",
            f"{row['ratio']:.2f}",
            row["limit"],
        )
    return table


def chosen_cases() -> tuple[list[Case], list[Case]]:
    """For one device, and for two where there are as many cores."""
    if CASE.value:
        one = two = [parsed_case(text) for text in CASE.value]
    else:
        one, two = list(ONE_DEVICE), list(TWO_DEVICES)
    return one, two if cores() > 1 else []


def parsed_case(text: str) -> Case:
    model, *sizes = text.split(",")
    if model not in MODELS:
        raise unknown_name("model", model, MODELS)
    if len(sizes) != 3 or not all(size.isdecimal() and int(size) > 0 for size in sizes):
        raise UsageError(f"--case: expected MODEL,B,T,H with sizes of at least 1, got {text!r}")
    return Case(model, *map(int, sizes))


def main() -> int:
    output = checked_output()
    one, two = chosen_cases()
    with Progress(1 + len(one) + (1 + 2 * len(two) if two else 0)) as progress:
        record = measure(one, two, progress)
        progress.console.print(show(record))
    if output:
        write(output, record, predicted_over_measured(record), progress.console)
    return 0


if __name__ == "__main__":
    command_line.run(main)
