"""The section of length generalisation: what is remembered at each tested length, and how far."""

import itertools
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lstm_attn.report import horizon, tables
from lstm_attn.report.differences import TESTS
from lstm_attn.report.figures import FORGOTTEN, LEAST_SHARE
from lstm_attn.report.panel import (
    REFERENCE,
    colors_of,
    dots,
    log_ticks,
    offsets,
    panels,
    reference,
)
from lstm_attn.report.section import NamedFigure, Section, Table, table
from lstm_attn.report.tables import NONE, groups, names

Entry = Mapping[str, Any]  # of one cell
Label = Callable[[Entry], str]
SHADE = "#ececec"
WIDTH, HEIGHT = 5.6, 2.1  # inches, of a panel
SIDE_BY_SIDE = 1.055  # between the points of two rows, as a factor of the length
AROUND = 1.3  # the trained lengths are shaded to this factor around them
TEXT = (
    "Share remembered, 1 - loss / baseline, at each tested length: a point is a trial, a dash the "
    "median of the row's {trials} seeds. Shaded: the lengths of training. Every trial had {steps} "
    "steps at {rate}, and was then tested once on {sequences:,} fresh "
    "sequences per length. Above the dashed line it remembers: its loss is at most 5 % of the loss "
    "of the best predictor without memory. Exact: {criterion}. Shares below {least:g} are drawn "
    "there. Of several schemes of positions, the one with the lowest loss on the tuning seeds is "
    "marked as tuned; tests and sentences are about it. Learned positions past the trained length "
    "are as at initialisation, since training never reached them. A model remembers (or does not) "
    "at a length where the 95 % interval of its rate of trials lies above (or below) one half. It "
    "remembers up to the longest tested length, from the trained one on, before the first at which "
    "it is undecided or does not. T50: the length that half of the trials remember, fitted to all "
    "trials at the trained length and beyond, with a 95 % bootstrap interval over seeds; one with "
    "an open end leaves the tested lengths."
)
ABOUT_TESTS = (
    "Ranges of training are compared on the same seeds by McNemar's exact test at each tested "
    "length beyond T; p is after Holm for all such tests of all tasks."
)


def sections(result: Mapping[str, Any]) -> list[Section]:
    """One for each task."""
    tests = groups(result["tests"], "task")
    return [
        _section(task, entries, tests.get(task, []))
        for task, entries in groups(result["cells"], "task").items()
    ]


def _section(task: str, entries: Sequence[Entry], tests: Sequence[Mapping[str, Any]]) -> Section:
    figures = [
        NamedFigure(
            f"length-generalisation-{task}{ending}",
            f"Share remembered of every trial by tested length, {task}: {what}",
            share_by_length(rows, f"{task}, ", of),
        )
        for ending, what, rows, of in (
            ("", "models", [entry for entry in entries if entry["counts"]], _model),
            ("-positions", "schemes of positions", _schemes(entries), _positions),
        )
        if rows
    ]
    said = [
        tables.verdict(
            [
                {**at, "task": task, "model": f"{label(entry)} trained on {trained_on(entry)}"}
                for entry in _by_model(entries)
                if entry["counts"]
                for at in entry["at"]
            ],
            task,
        ),
        *([ABOUT_TESTS] if tests else []),
        *_said(tests),
    ]
    drawn = [
        range_table(entries),
        _by_length("Remember", entries, _remember),
        _by_length("Share remembered", entries, tables.share_remembered),
        _by_length("Exact", entries, tables.count),
        *([_tests_table(tests)] if tests else []),
    ]
    text = " ".join(filter(None, (_text(entries), *said)))
    return Section(f"Length generalisation: {task}", text, figures, drawn)


def share_by_length(entries: Sequence[Entry], title: str, of: Label) -> Figure:
    """A panel for each range of trained lengths: 1 - loss / baseline of each trial against the
    tested length.

    Args:
      title: what the titles of the panels begin with.
      of: the label of an entry, which has a colour of its own.
    """
    labels = list(dict.fromkeys(map(of, entries)))
    colors = colors_of(labels)
    factors = dict(zip(labels, SIDE_BY_SIDE ** offsets(len(labels)), strict=True))
    lengths = sorted({at["length"] for entry in entries for at in entry["at"]})

    def panel_of(mine: Sequence[Entry]) -> Callable[[Axes], None]:
        def draw(axes: Axes) -> None:
            log_ticks(axes, lengths, "", 1.4)
            ends = mine[0]["shortest"] / AROUND, mine[0]["length"] * AROUND
            axes.axvspan(*ends, color=SHADE, zorder=0, label="trained on", gid=REFERENCE)
            reference(axes, "remembers", y=1 - FORGOTTEN)
            for entry in mine:
                color, factor = colors[of(entry)], factors[of(entry)]
                for at in entry["at"]:
                    shares = np.maximum(_shares(at), LEAST_SHARE)
                    dots(axes, factor * at["length"], shares, color)
                    median = max(statistics.median(_shares(at)), LEAST_SHARE)
                    axes.plot(factor * at["length"], median, "_", color=color, markersize=9)
                axes.plot([], [], "o", color=color, markersize=3.5, label=of(entry))
            axes.set(ylim=(LEAST_SHARE - 0.03, 1.03), ylabel="share remembered")

        return draw

    by_range = groups(entries, "shortest", "length").values()
    figure = panels(
        [(f"{title}trained on {_which(mine)}", panel_of(mine)) for mine in by_range],
        (WIDTH, 0.9 + HEIGHT * len(by_range)),
        legend=True,
    )
    figure.axes[-1].set_xlabel("tested length T (steps to remember over)")
    return figure


def _which(entries: Sequence[Entry]) -> str:
    """The trained lengths, and what scheme of positions the one model with positions has."""
    schemes = [label(entry) for entry in entries if entry["positions"]]
    return trained_on(entries[0]) + (f" ({schemes[0]})" if len(schemes) == 1 else "")


def _shares(at: Entry) -> list[float]:
    """Of each trial at one tested length; one that is not finite remembers nothing."""
    return [trial["share_remembered"] or 0.0 for trial in at["per_trial"]]


def _schemes(entries: Sequence[Entry]) -> list[Entry]:
    """The entries with positions, if there are several schemes."""
    rows = [entry for entry in entries if entry["positions"]]
    return rows if len(names(rows, "positions")) > 1 else []


def _text(entries: Sequence[Entry]) -> str:
    first = entries[0]
    tuned = all(entry["log_forgotten"] is not None for entry in entries)
    return TEXT.format(
        trials=" or ".join(map(str, names(entries, "trials"))),
        steps=" or ".join(f"{steps:,}" for steps in names(entries, "budget")),
        rate="a learning rate tuned on other seeds" if tuned else "the learning rate of the table",
        sequences=first["sequences"],
        criterion=first["criterion"],
        least=LEAST_SHARE,
    )


def range_table(entries: Sequence[Entry]) -> Table:
    """How far each model remembers, by the range of lengths that it was trained on."""
    return table(
        _by_model(entries),
        {
            "model": label_and_mark,
            "trained on": trained_on,
            "learning rate": lambda entry: f"{entry['learning_rate']:g}",
            "remembers up to": reach,
            "T50": t50,
        },
    )


def _by_length(what: str, entries: Sequence[Entry], cell: Callable[[Entry], str]) -> Table:
    """A row for each model and range of trained lengths, a column for each tested length."""
    lengths = sorted({at["length"] for entry in entries for at in entry["at"]})
    rows = []
    for entry in _by_model(entries):
        at = {one["length"]: cell(one) for one in entry["at"]}
        rows.append([label_and_mark(entry), trained_on(entry), *(at.get(n, NONE) for n in lengths)])
    return Table([f"{what}: model", "trained on", *(f"T = {n}" for n in lengths)], rows)


def _said(tests: Sequence[Mapping[str, Any]]) -> list[str]:
    """The sentences that the tests allow, or that there is none."""
    said = [f"T = {test['length']}: {test['verdict']}." for test in tests if test["verdict"]]
    return said or ["No difference between ranges allows a sentence."] * bool(tests)


def _tests_table(tests: Sequence[Mapping[str, Any]]) -> Table:
    return table(tests, {"T": lambda test: str(test["length"]), **TESTS})


def _by_model(entries: Sequence[Entry]) -> list[Entry]:
    """The entries of a model one after another."""
    models = list(map(label, entries))
    return sorted(entries, key=lambda entry: models.index(label(entry)))


def _remember(at: Entry) -> str:
    return f"{tables.remembering(at)} ({tables.remember_interval(at)})"


def _model(entry: Entry) -> str:
    return str(entry["model"])


def _positions(entry: Entry) -> str:
    return str(entry["positions"])


def label(entry: Entry) -> str:
    """The model, followed by its positions if it has them."""
    return f"{entry['model']} {entry['positions']}" if entry["positions"] else str(entry["model"])


def label_and_mark(entry: Entry) -> str:
    """The label, with a mark on the scheme of positions that was tuned."""
    return label(entry) + " (tuned)" * bool(entry["positions"] and entry["counts"])


def trained_on(entry: Entry) -> str:
    return f"T = {tables.lengths_in_words(entry['shortest'], entry['length'])}"


def reach(entry: Entry) -> str:
    """The longest tested length up to which, from the trained one on, the intervals say that the
    model remembers; with a "+" if no longer one was tested."""
    beyond = [at for at in entry["at"] if at["length"] >= entry["length"]]
    held = list(itertools.takewhile(lambda at: tables.standing(at) == tables.REMEMBERS, beyond))
    return f"{held[-1]['length']}{'+' * (len(held) == len(beyond))}" if held else NONE


def t50(entry: Entry) -> str:
    """T50 with its interval or as a bound."""
    return NONE if entry["horizon"] is None else horizon.in_words(entry["horizon"])
