"""The terminal that programs print to: no command reaches it from a text that they show."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.segment import Segment

from lstm_attn.errors import visible


class Terminal(Console):
    """A console that shows words as they are, no markup in them, and control characters as escapes.

    Line ends stay. All that rich prints goes through `render`: text, tables and live lines.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def render(self, renderable: Any, options: Any = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            # Rich's own commands are marked as such.
            if segment.control or segment.text == "\n" or segment.text.isprintable():
                yield segment
            else:
                lines = map(visible, segment.text.split("\n"))
                yield Segment("\n".join(lines), segment.style)
