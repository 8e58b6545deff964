"""What a study shows in a report: a section with a title, text, figures and tables."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from lstm_attn.report.panel import is_empty

BEFORE, AFTER = STAGES = ("before", "after")  # training


class NamedFigure(NamedTuple):
    """A figure, its text for readers who can't see it, and its file in the run folder, NAME.png."""

    name: str
    alt: str
    figure: Figure


class Table(NamedTuple):
    """Headings and rows of text; the first column is aligned left, the others right."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


class Quote(NamedTuple):
    """A prompt, and how it was continued: (who, what) each, line by line."""

    prompt: str
    written: Sequence[tuple[str, str]]


class Section(NamedTuple):
    """One section of the page.

    text: what the figures and tables show, then how to read them.
    """

    title: str
    text: str
    figures: Sequence[NamedFigure] = ()
    tables: Sequence[Table] = ()
    quotes: Sequence[Quote] = ()


def table(rows: Iterable[Any], columns: Mapping[str, Callable[[Any], str]]) -> Table:
    """One row for each of `rows`; columns: heading -> the text of the cell of a row."""
    return Table(list(columns), [[cell(row) for cell in columns.values()] for row in rows])


def nothing_drawn(figures: Iterable[NamedFigure]) -> str:
    """A sentence in place of the figures in which nothing is drawn; "" if there are none."""
    left_out = [figure.alt for figure in figures if is_empty(figure.figure)]
    return f"Nothing to draw: {'; '.join(left_out)}." if left_out else ""


def without_empty(section: Section) -> Section:
    """The section with that sentence in place of the figures in which nothing is drawn."""
    text = " ".join(filter(None, (section.text, nothing_drawn(section.figures))))
    figures = [figure for figure in section.figures if not is_empty(figure.figure)]
    return section._replace(text=text, figures=figures)
