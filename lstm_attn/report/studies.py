"""The STUDIES table: which file of a run folder becomes which sections of the page."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lstm_attn.report import gradient_reach, inside, length_generalisation, memory_horizon
from lstm_attn.report.section import Section
from lstm_attn.runs import RunFolder

Found = Mapping[str, Any]  # what a study wrote
# A new study is one file here and one line: the name under which it wrote, and who draws it.
STUDIES: dict[str, Callable[[Found], Sequence[Section]]] = {
    "horizon": memory_horizon.sections,
    "gradient_reach": gradient_reach.sections,
    "inside": inside.sections,
    "length_generalisation": length_generalisation.sections,
}


def sections(folder: RunFolder) -> list[Section]:
    """Those of every study that the run folder holds."""
    drawn: list[Section] = []
    for name, draw in STUDIES.items():
        found = folder.study(name)
        if found is not None:
            drawn += draw(found)
    return drawn
