"""What a study gives back: records, a table, figures and, in a run folder, a page."""

import dataclasses
import html
import io
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rich.table
from rich import box

from lstm_attn import report
from lstm_attn.errors import UsageError
from lstm_attn.runner.terminal import Terminal
from lstm_attn.runs import RunFolder

TERMINAL_WIDTH = 80


@dataclasses.dataclass(frozen=True)
class Table:
    """A table that a terminal of 80 columns, `print` and a notebook can show.

    left: the headings whose columns are words, to the left; numbers are to the right.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: Sequence[str] = ()
    caption: str | None = None

    def __rich__(self) -> rich.table.Table:
        table = rich.table.Table(
            title=self.title, caption=self.caption, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
        )
        for heading in self.headings:
            table.add_column(heading, justify="left" if heading in self.left else "right")
        for row in self.rows:
            table.add_row(*row)
        return table

    def __str__(self) -> str:
        console = Terminal(file=io.StringIO(), width=TERMINAL_WIDTH, force_jupyter=False)
        with console.capture() as shown:
            console.print(self)
        return "\n".join(line.rstrip() for line in shown.get().splitlines())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head, *rows = (
            "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells)
            for tag, cells in [("th", self.headings), *(("td", row) for row in self.rows)]
        )
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return (
            f"<table><caption>{html.escape(self.title)}</caption><thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table>{html.escape(self.caption or '')}"
        )


class Result:
    """The result of a study.

    records: of all finished cells of the run folder, as in results.json; each holds the settings
      of its cell, and `per_trial` a line for every trial.
    shown: tables and lines of text, the main table first.
    measured: what the study measured besides, as in STUDY.json; None for `compare`.
    workdir: the run folder. Without one of the caller's it is temporary, and goes with the result
      and its copies.
    page: report.html in the caller's folder; None in a temporary one.
    """

    def __init__(
        self, name: str, folder: RunFolder, shown: Sequence[Table | str], page: Path | None
    ) -> None:
        self.name = name
        self.records: list[dict[str, Any]] = report.in_order(folder)
        self.measured = folder.study(name)
        self.shown = tuple(shown)
        self.workdir = folder.path
        self.temporary: TemporaryFolder | None = None
        self.page = page

    @property
    def table(self) -> Table:
        """The main table."""
        return next(part for part in self.shown if isinstance(part, Table))

    def to_pandas(self) -> Any:
        """A DataFrame with a row for each trial: its own values, and those of its cell.

        Raises:
          UsageError: pandas is not installed.
        """
        try:
            import pandas
        except ModuleNotFoundError as error:
            raise UsageError(f"to_pandas wants `pip install pandas`: {error.msg}") from error
        return pandas.DataFrame(report.trials.rows(self.records))

    def show(self) -> None:
        """Tables and figures in a notebook; in a terminal, tables and where the page is."""
        console = Terminal()
        if console.is_jupyter:
            self._display()
            return
        for part in self.shown:
            console.print(part)
        if self.page:
            console.print(f"report: {self.page}", soft_wrap=True)

    def _display(self) -> None:
        from IPython.display import Image, display

        for part in self.shown:
            display(part)
        report.write(self.workdir)
        for figure in sorted(self.workdir.glob("*.png")):
            display(Image(filename=str(figure)))

    def __repr__(self) -> str:
        return "\n".join([*map(str, self.shown), *([f"report: {self.page}"] if self.page else [])])

    def _repr_html_(self) -> str:
        parts = [
            part._repr_html_() if isinstance(part, Table) else f"<p>{html.escape(part)}</p>"
            for part in self.shown
        ]
        where = f"<p>report: {html.escape(str(self.page))}</p>" if self.page else ""
        return "".join(parts) + where


def temporary_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="lstm_attn-"))


class TemporaryFolder:
    """Removes a folder when no copy of its owner is left, or the process ends.

    A pickle of the owner has no folder: it may be read after that.
    """

    def __init__(self, path: Path) -> None:
        goes_with(self, path)

    def __deepcopy__(self, memo: Any) -> "TemporaryFolder":
        return self

    def __reduce__(self) -> Any:
        return type(None), ()


def goes_with(owner: object, folder: Path) -> None:
    """Removes the folder when its owner is deleted or the process ends."""
    weakref.finalize(owner, shutil.rmtree, folder, ignore_errors=True)
