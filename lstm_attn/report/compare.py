"""Every two models of a comparison, tested on the same seeds."""

from collections.abc import Mapping
from typing import Any

from lstm_attn.report.section import Section, table
from lstm_attn.report.tables import NONE

FEWEST_PAIRS = 12


def sections(result: Mapping[str, Any]) -> list[Section]:
    """The tests, and the sentences that they allow.

    Args:
      result: pairs, as `studies.compare.pairs` gives them.
    """
    pairs = result["pairs"]
    if not pairs:
        return []
    said = [
        f"{pair['task']}, T = {pair['length']}: {pair['verdict']}."
        for pair in pairs
        if pair["verdict"]
    ]
    text = (
        "Exact tests of two models on the same seeds: McNemar's of who remembers on more of them, "
        "the sign test of who needs fewer steps. p is adjusted by Holm for all tests of the table. "
        f"A sentence wants at least {FEWEST_PAIRS} seeds and p < .05. "
        + (" ".join(said) or "No difference allows one.")
    )
    shown = table(
        pairs,
        {
            "task": lambda pair: pair["task"],
            "T": lambda pair: str(pair["length"]),
            "first": lambda pair: pair["first"],
            "second": lambda pair: pair["second"],
            "": lambda pair: pair["what"],
            "seeds of the first": lambda pair: str(pair["first_ahead"]),
            "of the second": lambda pair: str(pair["second_ahead"]),
            "seeds": lambda pair: str(pair["pairs"]),
            "p": lambda pair: NONE if pair["p"] == 1 else f"{pair['p']:.3f}",
        },
    )
    return [Section("Differences between models", text, (), [shown])]
