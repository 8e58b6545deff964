"""The STUDIES table: which file of a run folder becomes which sections of the page."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lstm_attn.errors import UsageError
from lstm_attn.report import (
    ablation,
    gradient_reach,
    horizon,
    inside,
    language_model,
    learning_rates,
    length_generalisation,
)
from lstm_attn.report.escaping import harmless
from lstm_attn.report.section import Section
from lstm_attn.runs import RunFolder

NOT_WHAT_IS_WRITTEN = (AttributeError, ArithmeticError, LookupError, TypeError, ValueError)
Found = Mapping[str, Any]  # what a study wrote
# A new study is one file here and one line: the name under which it wrote, and who draws it.
STUDIES: dict[str, Callable[[Found], Sequence[Section]]] = {
    "ablation": ablation.sections,
    "learning_rates": learning_rates.sections,
    "horizon": horizon.sections,
    "gradient_reach": gradient_reach.sections,
    "inside": inside.sections,
    "language_model": language_model.sections,
    "length_generalisation": length_generalisation.sections,
}


def sections(folder: RunFolder) -> list[Section]:
    """Those of every study that the run folder holds.

    Raises:
      UsageError: a file that is not what its study writes, on one line.
    """
    drawn: list[Section] = []
    for name, draw in STUDIES.items():
        found = harmless(folder.study(name))
        if found is not None:
            try:
                drawn += draw(found)
            except NOT_WHAT_IS_WRITTEN as error:
                raise UsageError(
                    f"{folder.path / name}.json is not what the study writes: {error!r}"
                ) from error
    return drawn
