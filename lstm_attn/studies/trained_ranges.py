"""Length generalisation, over all of its rows: which one of a model counts, and whether it matters
over which range of lengths the model was trained."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lstm_attn.analysis import paired_rate_test, table_of_tests
from lstm_attn.analysis.paired_tests import ON_MORE_SEEDS
from lstm_attn.report.length_generalisation import label, trained_on
from lstm_attn.report.tables import groups

Entry = Mapping[str, Any]  # of one cell


def findings(entries: Sequence[Entry]) -> dict[str, Any]:
    """All that the study notes, as JSON values: every row, and the tests between ranges."""
    rows = which_count(entries)
    return {"cells": rows, "tests": range_tests(rows)}


def which_count(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """The entries, each with `counts`: whether tests and sentences are about it.

    Of several entries of a model on one task, range and budget, such as those of the schemes of
    positions, it is the one that forgot least on the tuning seeds; none if none was tuned.
    """
    counting = set()
    for rows in groups(entries, "task", "length", "shortest", "model", "budget").values():
        tuned = [row for row in rows if row["log_forgotten"] is not None]
        if tuned or len(rows) == 1:
            counting.add(min(tuned or rows, key=lambda row: row["log_forgotten"])["cell"])
    return [{**entry, "counts": entry["cell"] in counting} for entry in entries]


def range_tests(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Every two ranges that end at the same T, tested against each other, as JSON values.

    McNemar's exact test of who remembers on more seeds, at each tested length beyond T, of the
    entries of a model that count; p is after Holm over all tests.
    """
    where, tests = [], []
    counting = [entry for entry in entries if entry["counts"]]
    for mine in groups(counting, "task", "length", "model", "budget").values():
        for first, second in itertools.combinations(mine, 2):
            for length in _beyond(first, second):
                one, other = (_remembers(entry, length) for entry in (first, second))
                if one.keys() == other.keys():
                    pair = np.array([(one[seed], other[seed]) for seed in one])
                    where.append({"task": first["task"], "length": length})
                    sides = _in_words(first), _in_words(second)
                    tests.append((*sides, ON_MORE_SEEDS, paired_rate_test(*pair.T)))
    return [{**at, **test} for at, test in zip(where, table_of_tests(tests), strict=True)]


def _beyond(first: Entry, second: Entry) -> list[int]:
    """The lengths beyond the trained ones at which both were tested."""
    tested = [{at["length"] for at in entry["at"]} for entry in (first, second)]
    return sorted(length for length in tested[0] & tested[1] if length > first["length"])


def _remembers(entry: Entry, length: int) -> dict[int, bool]:
    """Seed -> whether its trial remembers at a tested length."""
    at = next(at for at in entry["at"] if at["length"] == length)
    return {trial["seed"]: trial["remembers"] for trial in at["per_trial"]}


def _in_words(entry: Entry) -> str:
    return f"{label(entry)} trained on {trained_on(entry)}"
