"""The STUDIES table: the sections that each study adds to the page."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lstm_attn.errors import UsageError
from lstm_attn.report import (
    ablation,
    compare,
    gradient_reach,
    horizon,
    inside,
    language_model,
    learning_rates,
    length_generalisation,
    tuning,
)
from lstm_attn.report.escaping import harmless
from lstm_attn.report.section import Section, without_empty
from lstm_attn.runs import RunFolder

# What drawing raises if a file is not what its study writes.
DAMAGED = (AttributeError, ArithmeticError, LookupError, TypeError, ValueError)
Result = Mapping[str, Any]  # what a study wrote
# A study's name and its function, which draws NAME.json. A new study is one line. `compare` has
# none: `report.page` draws the records of a grid, which other studies write too.
STUDIES: dict[str, Callable[[Result], Sequence[Section]]] = {
    "compare": compare.sections,
    "tuning": tuning.sections,
    "ablation": ablation.sections,
    "learning_rates": learning_rates.sections,
    "horizon": horizon.sections,
    "gradient_reach": gradient_reach.sections,
    "inside": inside.sections,
    "language_model": language_model.sections,
    "length_generalisation": length_generalisation.sections,
}


def drawn(name: str, result: Result) -> list[Section]:
    """The sections of the study of that name, without figures in which nothing is drawn."""
    return list(map(without_empty, STUDIES[name](result)))


def sections(folder: RunFolder) -> list[Section]:
    """The sections of all studies that the run folder holds.

    Raises:
      UsageError: a file that is not what its study writes, on one line.
    """
    found: list[Section] = []
    for name in STUDIES:
        result = harmless(folder.study(name))
        if result is not None:
            try:
                found += drawn(name, result)
            except DAMAGED as error:
                raise UsageError(
                    f"{folder.path / name}.json is not what the study writes: {error!r}"
                ) from error
    return found
