"""A benchmark's record, read: rows by case, the fastest of a case, ratios to other libraries.

A record is the JSON that a benchmark writes; a row of it is one contender on one case.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

Row = dict[str, Any]


def grouped(rows: Iterable[Row], key: Callable[[Row], str]) -> dict[str, list[Row]]:
    """key(row) -> its rows, both in the order in which they come."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def by_case(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Case -> its rows."""
    return grouped(rows, lambda row: row["case"])


def fastest(rows: Iterable[Row], *, ours: bool) -> Row | None:
    """The row with the lowest median among ours, or among the others; None without such rows."""
    mine = [row for row in rows if row["is_ours"] == ours]
    return min(mine, key=lambda row: row["median_seconds"], default=None)


def of_layers(rows: Iterable[Row]) -> list[Row]:
    """Those of a recurrent layer alone."""
    return [row for row in rows if "cell" in row]


def of_text(rows: Iterable[Row]) -> list[Row]:
    """Those of language models."""
    return [row for row in rows if "model" in row]


class Throughput(NamedTuple):
    """Tokens a second of a language model, with their quartiles; speed: the fastest peer's time
    over its own, None without a peer."""

    row: Row
    median: float
    lower: float
    upper: float
    speed: float | None


def throughputs(rows: Iterable[Row]) -> list[Throughput]:
    """Of rows of language models, in their order."""
    computed = []
    for mine in by_case(rows).values():
        peer = fastest(mine, ours=False)
        for row in mine:
            tokens = row["batch"] * row["length"]
            # Few seconds, many tokens.
            kinds = ("median", "upper_quartile", "lower_quartile")
            median, lower, upper = (tokens / row[f"{kind}_seconds"] for kind in kinds)
            speed = peer["median_seconds"] / row["median_seconds"] if peer else None
            computed.append(Throughput(row, median, lower, upper, speed))
    return computed


def speed_over_peers(rows: Sequence[Row]) -> dict[str, list[float]]:
    """Name of each of ours -> the fastest peer's time over its own, for each case with a peer; a
    name that lacks one of these cases is left out."""
    ratios: dict[str, list[float]] = {}
    cases = 0
    for mine in by_case(rows).values():
        peer = fastest(mine, ours=False)
        if peer is None:
            continue
        cases += 1
        for row in mine:
            if row["is_ours"]:
                ratio = peer["median_seconds"] / row["median_seconds"]
                ratios.setdefault(row["name"], []).append(ratio)
    return {name: values for name, values in ratios.items() if len(values) == cases}
