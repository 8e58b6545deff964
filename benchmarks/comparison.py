"""A benchmark's run: every case, every contender; checked, then timed in turns."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.contenders import Contender, Ready, Unavailable, check_same
from benchmarks.processes import Process, prepare, run
from benchmarks.progress import Progress

Row = dict[str, Any]
Facts = dict[str, Any]  # of benchmarks.processes.prepare
FEWEST_ROUNDS, MOST_ROUNDS = 5, 25
BUDGET_SECONDS = 20  # of all rounds of a case
# Threads of a library that has just run may wait in a loop before they sleep.
REST_SECONDS = 0.02
# What this machine can do takes its turn too, so that a floor is of the same minutes as its row.
MATMUL = Contender("matmul", "benchmarks.comparison", "matmul", is_ours=True)
BANDWIDTH = Contender("bandwidth", "benchmarks.comparison", "bandwidth", is_ours=True)
MATMUL_SIZES = (512, 1024, 2048)
STREAMED_BYTES = 2**28


@dataclasses.dataclass
class Comparison:
    """What was measured, as JSON values.

    device: on which the first contender ran.
    rows: one a case and contender; times are seconds a step. `floor_seconds` is the longer of the
      case's flops at the measured matmul rate and its bytes at the measured bandwidth; `distance`
      is the median over it; null for a case without flops.
    skipped: case and contender, and why it did not run.
    """

    device: str = ""
    rows: list[Row] = dataclasses.field(default_factory=list)
    skipped: list[dict[str, str]] = dataclasses.field(default_factory=list)


def compare(
    cases: Sequence[Any],
    contenders: Callable[[Any], Sequence[Contender]],
    progress: Progress,
    rounds: int | None = None,
) -> Comparison:
    """Times all contenders on each case; `contenders(case)` may leave some out.

    A contender keeps its process from case to case. The values of the first that can run are the
    expected ones.

    Args:
      rounds: timed runs of each contender; None for as many as BUDGET_SECONDS allow.

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
                {name: partial(processes[name].ask, run) for name in facts},
                rounds,
                on_turn=lambda name: progress.show(f"{name} runs"),
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
    """Name -> what a contender reported when it was ready, of those that can run this case."""
    prepared: dict[str, Facts] = {}
    expected = None
    for contender in lineup:
        name = contender.name
        progress.show(f"{name} gets ready")
        try:
            facts = processes[name].ask(prepare, case, contender)
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
        times = spread(seconds)
        floor = case.flops and max(case.flops / flops_rate, case.bytes / bytes_rate)
        copied = ("is_ours", "steps", "compile_seconds", "temporary_bytes", "peak_bytes",
                  "parameters", "difference")  # fmt: skip
        rows.append(
            {
                "case": case.title,
                **dataclasses.asdict(case),
                "name": name,
                **{key: facts[key] for key in copied},
                **{f"{kind}_seconds": value for kind, value in times._asdict().items()},
                "samples": seconds,
                "flops_per_second": flops_rate,
                "bytes_per_second": bytes_rate,
                "floor_seconds": floor,
                "distance": floor and times.median / floor,
            }
        )
    return rows


def take_turns(
    runs: Mapping[str, Callable[[], float]],
    rounds: int | None,
    budget_seconds: float = BUDGET_SECONDS,
    on_turn: Callable[[str], None] = lambda name: None,
    rest: Callable[[float], None] = time.sleep,
) -> dict[str, list[float]]:
    """Name -> seconds of each of its runs: A B A B, so that a busy minute of the machine hits all.

    Args:
      runs: one run each, returning its seconds; all run once a round, in this order.
      rounds: how many; None for as many as fit in the budget, judged by the first round, but at
        least FEWEST_ROUNDS and at most MOST_ROUNDS.
      on_turn: told before each run whose turn it is.
      rest: waits between two runs.
    """
    samples: dict[str, list[float]] = {name: [] for name in runs}
    done = 0
    while rounds is None or done < rounds:
        for name, timed_run in runs.items():
            on_turn(name)
            samples[name].append(timed_run())
            rest(REST_SECONDS)
        done += 1
        if rounds is None:
            round_seconds = sum(seconds[0] for seconds in samples.values())
            fitting = int(budget_seconds / max(round_seconds, 1e-9))
            rounds = min(max(fitting, FEWEST_ROUNDS), MOST_ROUNDS)
    return samples


class Spread(NamedTuple):
    """The median of some samples and their quartiles, by linear interpolation."""

    median: float
    lower_quartile: float
    upper_quartile: float


def spread(samples: Sequence[float]) -> Spread:
    return Spread(*np.quantile(samples, (0.5, 0.25, 0.75)).tolist())


def matmul(case: object) -> Ready:
    """In a child: the product of square float32 matrices, of the size with the highest rate."""
    rates, runs = {}, {}
    for size in MATMUL_SIZES:
        matrix = jnp.ones((size, size), jnp.float32) / size
        product = jax.jit(jnp.matmul).lower(matrix, matrix).compile()
        runs[size] = partial(lambda f, x: jax.block_until_ready(f(x, x)), product, matrix)
        rates[size] = 2 * size**3 / min(_seconds(runs[size]) for _ in range(4))
    best = max(rates, key=rates.__getitem__)
    return Ready(runs[best], {}, work=(2 * best**3, 0))


def bandwidth(case: object) -> Ready:
    """In a child: x + 1 in place, of an array too large for the caches; one read and one write."""
    held = [jnp.zeros(STREAMED_BYTES // 4, jnp.float32)]
    add_one = jax.jit(lambda x: x + 1, donate_argnums=0).lower(held[0]).compile()

    def run() -> None:
        held[0] = jax.block_until_ready(add_one(held[0]))

    return Ready(run, {}, work=(0, 2 * STREAMED_BYTES))


def _seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
