"""What a benchmark's record says: rows by case, the fastest of a case, ratios to other libraries.

A record is the JSON that `benchmarks` writes; a row of it is one contender on one case.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

Row = dict[str, Any]


def by_case(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Case -> its rows, in the order of both."""
    cases: dict[str, list[Row]] = {}
    for row in rows:
        cases.setdefault(row["case"], []).append(row)
    return cases


def fastest(rows: Iterable[Row], *, ours: bool) -> Row | None:
    """The row of the lowest median among ours, or among the others; None where there is none."""
    mine = [row for row in rows if row["is_ours"] == ours]
    return min(mine, key=lambda row: row["median_seconds"], default=None)


def of_layers(rows: Iterable[Row]) -> list[Row]:
    """Those that train a recurrent layer by itself."""
    return [row for row in rows if "cell" in row]


def of_text(rows: Iterable[Row]) -> list[Row]:
    """Those that train a language model."""
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
    """Of the rows of language models, in their order."""
    found = []
    for mine in by_case(rows).values():
        peer = fastest(mine, ours=False)
        for row in mine:
            tokens = row["batch"] * row["length"]
            # Few seconds, many tokens.
            kinds = ("median", "upper_quartile", "lower_quartile")
            median, lower, upper = (tokens / row[f"{kind}_seconds"] for kind in kinds)
            speed = peer["median_seconds"] / row["median_seconds"] if peer else None
            found.append(Throughput(row, median, lower, upper, speed))
    return found


def speed_over_peers(rows: Sequence[Row]) -> dict[str, list[float]]:
    """Name of each of ours -> the fastest peer's time over its own, case by case.

    Of the cases that have a peer; a name that is missing in one of them is left out.
    """
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
