"""Every two models of a comparison, tested on the same seeds."""

from collections.abc import Mapping
from typing import Any

from lstm_attn.report.differences import TESTS
from lstm_attn.report.section import Section, table

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
            **TESTS,
        },
    )
    return [Section("Differences between models", text, (), [shown])]
