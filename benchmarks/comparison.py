"""A benchmark's run: every case, every contender; checked, then timed in turns."""

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from benchmarks.checking import check_same
from benchmarks.contenders import Contender, Unavailable
from benchmarks.machine import BANDWIDTH, MATMUL
from benchmarks.processes import Process
from benchmarks.progress import Progress
from benchmarks.record import Row
from benchmarks.spread import spread
from benchmarks.turns import take_turns

Facts = dict[str, Any]  # of benchmarks.worker.Worker.prepare


@dataclasses.dataclass
class Comparison:
    """What was measured, as JSON values.

    rows: one a case and contender; times are seconds a step. `floor_seconds` is what the case's
      flops at the measured matmul rate take, or its bytes at the measured bandwidth, the longer;
      `distance` is the median over it.
    skipped: case and contender, and why it did not run.
    """

    rows: list[Row] = dataclasses.field(default_factory=list)
    skipped: list[dict[str, str]] = dataclasses.field(default_factory=list)
    device: str = ""


def compare(
    cases: Sequence[Any],
    contenders: Callable[[Any], Sequence[Contender]],
    progress: Progress,
    *,
    rounds: int | None = None,
    budget_seconds: float = 20,
) -> Comparison:
    """Times all contenders on each case; the first that can run is what those that compute the same
    must equal.

    A contender keeps its process from case to case. `contenders(case)` may leave some out.

    Raises:
      Mismatch: a contender computes other values than the first, naming it.
    """
    comparison = Comparison()
    lineups = [[*contenders(case), MATMUL, BANDWIDTH] for case in cases]
    with contextlib.ExitStack() as stack:
        # Started together, so that all import at the same time.
        processes = {
            name: stack.enter_context(Process(contender))
            for name, contender in {c.name: c for lineup in lineups for c in lineup}.items()
        }
        for case, lineup in zip(cases, lineups, strict=True):
            progress.start(case.title)
            facts = _prepare(case, lineup, processes, comparison, progress)
            samples = take_turns(
                {name: partial(processes[name].ask, "run") for name in facts},
                rounds,
                budget_seconds,
                lambda name: progress.show(f"{name} runs"),
            )
            comparison.rows += _rows(case, facts, samples)
            progress.finish()
    return comparison


def _prepare(
    case: Any,
    lineup: Sequence[Contender],
    processes: dict[str, Process],
    comparison: Comparison,
    progress: Progress,
) -> dict[str, Facts]:
    """Name -> what a contender said when it was ready, of those that can run this case."""
    prepared: dict[str, Facts] = {}
    expected = None
    for contender in lineup:
        name = contender.name
        progress.show(f"{name} gets ready")
        try:
            facts = processes[name].ask("prepare", case, contender)
        except Unavailable as reason:
            comparison.skipped.append({"case": case.title, "name": name, "reason": str(reason)})
            progress.say(f"{name} is left out: {reason}")
            continue
        if contender not in (MATMUL, BANDWIDTH):
            if expected is None:
                expected, comparison.device = facts["values"], facts["device"]
            same = contender.is_same
            facts["difference"] = check_same(name, expected, facts["values"]) if same else None
            facts["is_ours"] = contender.is_ours
        prepared[name] = facts
    return prepared


def _rows(case: Any, prepared: dict[str, Facts], samples: dict[str, list[float]]) -> list[Row]:
    flops_rate = prepared[MATMUL.name]["work"][0] / spread(samples[MATMUL.name]).median
    bytes_rate = prepared[BANDWIDTH.name]["work"][1] / spread(samples[BANDWIDTH.name]).median
    rows = []
    for name, facts in prepared.items():
        if name in (MATMUL.name, BANDWIDTH.name):
            continue
        seconds = [sample / facts["steps"] for sample in samples[name]]
        flops, traffic = facts["work"] or (case.flops, case.bytes)
        times = spread(seconds)
        floor = max(flops / flops_rate, traffic / bytes_rate)
        rows.append(
            {
                "case": case.title,
                **dataclasses.asdict(case),
                "name": name,
                "is_ours": facts["is_ours"],
                **{f"{kind}_seconds": value for kind, value in times._asdict().items()},
                "samples": seconds,
                "steps": facts["steps"],
                "compile_seconds": facts["compile_seconds"],
                "temporary_bytes": facts["temporary_bytes"],
                "peak_bytes": facts["peak_bytes"],
                "parameters": facts["parameters"],
                "difference": facts["difference"],
                "flops": flops,
                "bytes": traffic,
                "flops_per_second": flops_rate,
                "bytes_per_second": bytes_rate,
                "floor_seconds": floor,
                "distance": times.median / floor,
            }
        )
    return rows
