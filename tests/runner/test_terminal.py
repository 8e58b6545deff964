"""Printed text cannot command the terminal, whatever a run folder holds."""

import pytest
from rich.live import Live
from rich.progress import Progress, TextColumn
from rich.table import Table

from lstm_attn.runner.terminal import Terminal

TITLE = "\x1b]0;title\x07"  # a terminal that obeys renames its window


def print_text(console):
    console.print(TITLE, soft_wrap=True)


def print_table(console):
    table = Table("a")
    table.add_row(TITLE)
    console.print(table)


def show_progress(console):
    progress = Progress(TextColumn("{task.description}", markup=False), console=console)
    progress.add_task(TITLE)
    with Live(progress, console=console, auto_refresh=False):
        pass


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("show", [print_text, print_table, show_progress])
def test_no_text_commands_the_terminal(show, terminal, capsys, monkeypatch):
    """Oracle: the escape as Python writes it. Catches output that bypasses the escapes."""
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    show(Terminal())
    printed = capsys.readouterr().out
    assert "\x1b]0" not in printed
    assert "\x07" not in printed
    assert r"\x1b]0;t" in printed


def test_lines_stay_lines(capsys):
    """Oracle: the text itself. Catches a worker's traceback joined into one line."""
    Terminal().print("one\n  two [red]x[/red] :smile:", soft_wrap=True)
    assert capsys.readouterr().out == "one\n  two [red]x[/red] :smile:\n"
