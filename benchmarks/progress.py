"""Progress of a benchmark: a live line in a terminal, and one line that stays a case."""

import time

from rich.console import Console

from lstm_attn.runner.terminal import Terminal

LOG_WIDTH = 132  # of tables where there is no terminal


def make_console() -> Console:
    """The terminal; where there is none, wide enough for tables."""
    console = Terminal()
    if not console.is_terminal:
        console.width = LOG_WIDTH
    return console


class Progress:
    """start(case), show(what), say(line), finish(), case after case."""

    def __init__(self, cases: int, console: Console | None = None) -> None:
        self.console = console or make_console()
        self._cases, self._number, self._title = cases, 0, ""
        self._status = self.console.status("")

    def start(self, title: str) -> None:
        self._number += 1
        self._title, self._began = f"[{self._number}/{self._cases}] {title}", time.monotonic()
        if self.console.is_terminal:
            self._status.start()
        else:
            self.say(self._title)

    def show(self, what: str) -> None:
        """What happens now; in a terminal only."""
        self._status.update(f"{self._title}: {what}")

    def say(self, line: str) -> None:
        """A line that stays."""
        self.console.print(line, soft_wrap=True)

    def finish(self) -> None:
        self._status.stop()
        self.say(f"{self._title}: {time.monotonic() - self._began:.0f} s")
