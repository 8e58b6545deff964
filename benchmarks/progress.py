"""Progress of a benchmark: a live line in a terminal, else one plain line a case."""

import time

from rich.console import Console
from rich.status import Status

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
        self._began = self._case_began = time.monotonic()
        self._status = Status("", console=self.console)

    def __enter__(self) -> "Progress":
        if self.console.is_terminal:
            self._status.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._status.stop()

    def start(self, title: str) -> None:
        self._number += 1
        self._title, self._case_began = f"[{self._number}/{self._cases}] {title}", time.monotonic()
        if not self.console.is_terminal:
            self.console.print(self._title, soft_wrap=True)

    def show(self, what: str) -> None:
        """What happens now; in a terminal only."""
        left = ""
        if self._number > 1:
            per_case = (self._case_began - self._began) / (self._number - 1)
            seconds = int(per_case * (self._cases - self._number + 1))
            left = f"  left about {seconds // 60}:{seconds % 60:02d}"
        self._status.update(f"{self._title}: {what}{left}")

    def say(self, line: str) -> None:
        """A line that stays."""
        self.console.print(f"  {line}", soft_wrap=True)

    def finish(self) -> None:
        seconds = time.monotonic() - self._case_began
        self.console.print(f"{self._title}: {seconds:.0f} s", soft_wrap=True)
