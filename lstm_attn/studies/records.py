"""What a study's own record says of a cell, from that of results.json."""

from collections.abc import Mapping
from typing import Any

OF_CELL = (
    "cell", "parameters", "trials", "remembers", "remember_rate_low", "remember_rate_high", "solved"
)  # fmt: skip
OF_TRIAL = ("seed", "learning_rate", "share_remembered", "steps_to_remember")


def remembered(record: Mapping[str, Any]) -> dict[str, Any]:
    """What the trials of a cell remember, all together and one by one."""
    return {
        **{key: record[key] for key in OF_CELL},
        "per_trial": [{key: trial[key] for key in OF_TRIAL} for trial in record["per_trial"]],
    }
