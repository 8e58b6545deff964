"""The linear recurrences of `lstm_attn.ops`: cases, who takes part, and the table of ratios.

Each is compared with what a JAX user would write: a plain `lax.scan`, and
`jax.lax.associative_scan` over the recurrence as it is, dense in its state.
"""

import dataclasses
import statistics
from collections.abc import Sequence

from benchmarks.contenders import Contender
from benchmarks.markdown import joined, shown_figure, with_target
from benchmarks.sections import (
    Record,
    Row,
    closing_line,
    fastest,
    milliseconds,
    own_name,
    ratio,
)
from benchmarks.workloads import DIRECTIONS, Direction
from lstm_attn.report.tables import NONE, groups, markdown

# Recurrence -> the implementations of its op; all others are checked against the first.
IMPLEMENTATIONS = {
    "linear": ("scan", "fused", "chunked"),
    "linear, complex": ("scan", "fused", "chunked"),
    "linear attention": ("scan", "chunked"),
    "linear attention, decay of each key": ("scan", "chunked"),
    "mLSTM": ("scan", "chunked"),
    "gated delta rule": ("scan", "chunked"),
    "RWKV-7": ("scan", "chunked"),
}
ELEMENTWISE = ("linear", "linear, complex")
# B, T, H of the elementwise ones; B, T, N, K, V of the others.
ELEMENTS = {
    "short": [(32, 1024, 128)],
    "all": [(32, 1024, 128), (4, 16384, 64)],
}
MEMORIES = {
    "short": [(8, 512, 4, 16, 16)],
    "all": [(8, 512, 4, 16, 16), (8, 512, 2, 32, 32), (8, 256, 4, 64, 64)],
}
SPEED_TARGET = 3.0  # over a dense associative scan
COMPILE_TARGET = 2.0  # seconds
ASSOCIATIVE, PLAIN = "jax.lax.associative_scan", "jax.lax.scan"


@dataclasses.dataclass(frozen=True)
class Recurrence:
    """A recurrence over [B, T], `forward`; or with the gradients of its arrays of mean(out^2).

    sizes: H, or N, K and V.
    """

    cell: str
    batch: int
    length: int
    sizes: tuple[int, ...]
    direction: Direction
    flops: None = None  # no floor is shown

    @property
    def title(self) -> str:
        letters = ("H",) if len(self.sizes) == 1 else ("N", "K", "V")
        sizes = " ".join(f"{x}={size}" for x, size in zip(letters, self.sizes, strict=True))
        return f"{self.cell}, {self.direction}, B={self.batch} T={self.length} {sizes}"


def cases(chosen: str) -> list[Recurrence]:
    """Each recurrence, forward and with gradients, at each shape of a set; of "tiny" one of each
    kind of state, with gradients."""
    if chosen == "tiny":
        both: Direction = "forward and backward"
        return [
            Recurrence("linear", 2, 5, (4,), both),
            Recurrence("gated delta rule", 2, 5, (2, 3, 4), both),
        ]
    return [
        Recurrence(name, batch, length, tuple(sizes), direction)
        for name in IMPLEMENTATIONS
        for direction in DIRECTIONS
        for batch, length, *sizes in (ELEMENTS if name in ELEMENTWISE else MEMORIES)[chosen]
    ]


def lineup(case: Recurrence, with_peers: bool) -> Sequence[Contender]:
    """The implementations of ours, then what one would write in JAX; `auto` is one of ours."""
    forms = "benchmarks.recurrence_forms"
    mine = [
        Contender(f"ours, {name}", forms, "ours", {"implementation": name}, is_ours=True)
        for name in (*IMPLEMENTATIONS[case.cell], "auto")
    ]
    return [*mine, Contender(PLAIN, forms, "plain"), Contender(ASSOCIATIVE, forms, "associative")]


def section(record: Record) -> str:
    """One line a recurrence, direction and shape: ours, its speed over both, and compilation."""
    lines, speeds = [], []
    for title, rows in groups(record["rows"], "case").items():
        ours = fastest(rows, ours=True)
        assert ours, "ours is always measured"
        named = {row["name"]: row for row in rows}
        dense, auto = named.get(ASSOCIATIVE), named["ours, auto"]
        if dense:
            speeds.append(ratio(dense, auto))
        lines.append(
            [
                title,
                milliseconds(auto),
                with_target(auto["compile_seconds"], COMPILE_TARGET),
                own_name(ours["name"]),
                with_target(ratio(auto, ours)),
                *_speed(named.get(PLAIN), auto),
                *_speed(dense, auto, SPEED_TARGET),
            ]
        )
    headings = [
        "recurrence", "auto, ms", "compile, s", "fastest of ours", "auto / fastest", "lax.scan, ms",
        "speed", "associative, ms", "speed",
    ]  # fmt: skip
    sentence = ""
    if speeds:
        sentence = (
            f"{statistics.geometric_mean(speeds):.1f} times the speed of a dense associative scan "
            f"in the geometric mean (target {SPEED_TARGET}), least {min(speeds):.1f}."
        )
    return joined(
        markdown(headings, lines, left=(0, 3)),
        sentence,
        shown_figure(record, "Milliseconds of each recurrence by implementation"),
        closing_line(record),
    )


def _speed(other: Row | None, ours: Row, target: float | None = None) -> list[str]:
    """The time of another, and how many times ours is as fast."""
    if other is None:
        return [NONE, NONE]
    return [milliseconds(other), with_target(ratio(other, ours), target, "≥")]
