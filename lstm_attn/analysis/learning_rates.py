"""How much a model's success hangs on its learning rate."""

from collections.abc import Mapping
from typing import Any

from lstm_attn.analysis.solving import median_steps, solve_rate


def by_learning_rate(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The trials of one record of results.json, rate by rate from the least, as JSON values.

    Each with the solve rate and its 95 % Wilson interval, the median of steps to solve over the
    trials that solve with its interval (`median_steps`), and how many diverged.
    """
    found = []
    for rate in sorted({trial["learning_rate"] for trial in record["per_trial"]}):
        mine = [trial for trial in record["per_trial"] if trial["learning_rate"] == rate]
        ends = [t["steps_to_solve"] for t in mine if t["steps_to_solve"] is not None]
        found.append(
            {
                "learning_rate": rate,
                **solve_rate(len(ends), len(mine)),
                **median_steps(ends),
                "steps_to_solve": ends,
                "diverged": sum(trial["diverged_by"] is not None for trial in mine),
            }
        )
    return found
