"""What a study says in a report: a title, words, pictures and tables."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure


class Picture(NamedTuple):
    """A figure of the page; its file name in the run folder is name.png."""

    name: str
    alt: str
    figure: Figure


class Table(NamedTuple):
    """Headings and rows of text; the first column is to the left, the others to the right."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


class Quote(NamedTuple):
    """text: what a model wrote, line by line; prompt: what it was given before."""

    prompt: str
    text: str


class Section(NamedTuple):
    """One part of the page.

    text: in plain words, what is shown and how to read it.
    """

    title: str
    text: str
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    quotes: Sequence[Quote] = ()


BEFORE, AFTER = STAGES = ("before", "after")  # training
