"""Two runs compared: every cell that both have, and the differences that exact tests allow."""

from collections.abc import Mapping, Sequence
from typing import Any

from lstm_attn.report import differences, tables
from lstm_attn.report.differences import Row
from lstm_attn.report.panel import COLORS
from lstm_attn.report.section import NamedFigure, Section, Table, table

Cell = Mapping[str, Any]
LISTED = 5  # cells of one run alone that are named
FEWEST_TRIALS = 12  # of each run, for a sentence
# The tests of a cell, in order; trials that are not the same seeds have the first alone.
REMEMBER, STEPS = 0, 1
RULE = (
    "Tests are exact: McNemar's of who remembers and the sign test of steps where both have the "
    "same seeds, Fisher's of who remembers where they do not. p is adjusted by Holm for all tests "
    f"of the table. A sentence wants at least {FEWEST_TRIALS} trials of each and p < .05; without "
    "one, the cells need not be equal. An interval is that of its own cell alone, 95 %. Steps: "
    "the median of paired differences; a trial that does not remember has spent its whole budget."
)


def section(result: Mapping[str, Any]) -> Section:
    """The comparison of two runs.

    Args:
      result: first and second, their names; cells, each with its name, what
        `analysis.compare_records` gives and its tests by `analysis.exact_tests`; left_out, the
        cells of one run alone; settings, each key of the configs that differs, with both values.
    """
    first, second, cells = result["first"], result["second"], result["cells"]
    title = f"{second} compared with {first}"
    if not cells:
        nothing = "They have no finished cell in common of a task that has a criterion."
        return Section(title, nothing)
    parts = [
        *_found(cells),
        f"Each difference is {second} minus {first}, for a cell with the same task, "
        "variant, length, model and name in both. A pass counts within the smaller of the two "
        "budgets, or within the steps that both ran if a cell ended with trials open.",
        RULE,
    ]
    unpaired = [cell["cell"] for cell in cells if not cell["compared"]["paired"]]
    if unpaired:
        parts.append(f"Not paired, since their seeds differ: {_some(unpaired)}.")
    if result["left_out"]:
        parts.append(f"Only in one of the two: {_some(result['left_out'])}.")
    shown = [_cells_table(first, second, cells)]
    if result["settings"]:
        settings = [[one["key"], one["first"], one["second"]] for one in result["settings"]]
        shown.append(Table(["config", first, second], settings))
    figure_title = f"Trials that remember: {second} minus {first}"
    figure = differences.rows(
        figure_title,
        "difference of rates (95 % interval)",
        list(map(_row, cells)),
        COLORS[0],
        (0, "no difference"),
        (-1.03, 1.03),
    )
    return Section(title, " ".join(parts), [NamedFigure("comparison", figure_title, figure)], shown)


def _found(cells: Sequence[Cell]) -> list[str]:
    """What the tests allow one to say; then of how many cells no test could say anything."""
    said = [
        f"{cell['cell']}: {test['verdict']}."
        for cell in cells
        for test in cell["tests"]
        if test["verdict"]
    ]
    few = sum(cell["tests"][REMEMBER]["trials"] < FEWEST_TRIALS for cell in cells)
    return [
        *(said or [f"No difference allows a sentence, in {len(cells)} of {len(cells)} cells."]),
        *([f"Too few trials for one in {few} of {len(cells)} cells."] if few else []),
    ]


def _some(names: Sequence[str]) -> str:
    more = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {more} more" if more > 0 else "")


def _row(cell: Cell) -> Row:
    """The difference of rates, in colour if its test allows a sentence."""
    test, rate = cell["tests"][REMEMBER], cell["compared"]["remember_rate"]
    value, low, high = (rate[key] for key in ("value", "low", "high"))
    return Row(cell["cell"], value, low, high, f"p = {test['p']:.3f}", bool(test["verdict"]))


def _cells_table(first: str, second: str, cells: Sequence[Cell]) -> Table:
    def remember(rate: Mapping[str, Any]) -> str:
        return f"{tables.remembering(rate)}\n{tables.remember_interval(rate)}"

    def p_value(cell: Cell, place: int) -> str:
        tests = cell["tests"]
        return differences.p_value(tests[place]["p"]) if place < len(tests) else tables.NONE

    return table(
        cells,
        {
            "cell": lambda cell: cell["cell"],
            f"remember, {first}": lambda cell: remember(cell["compared"]["first"]),
            f"remember, {second}": lambda cell: remember(cell["compared"]["second"]),
            "rate, difference": lambda cell: differences.rate(cell["compared"]),
            "p": lambda cell: p_value(cell, REMEMBER),
            "steps spent, difference": lambda cell: differences.steps(cell["compared"]),
            "p ": lambda cell: p_value(cell, STEPS),
        },
    )
