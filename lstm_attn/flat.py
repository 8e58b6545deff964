"""Nested configs flattened to keys such as training.steps, and the first difference of two."""

import json
from typing import Any

MISSING = "missing"


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(tree, dict):
        return {prefix: tree}
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}.{key}" if prefix else key)
    return flat


def difference(there: Any, here: Any) -> str | None:
    """The first key in which two configs differ as JSON, with both values; None if they are equal.

    A tuple here equals a list there, which JSON made of it.
    """
    first, second = flatten(there), flatten(json.loads(json.dumps(here)))
    for key in dict.fromkeys([*first, *second]):
        if first.get(key, MISSING) != second.get(key, MISSING):
            return f"{key} is {first.get(key, MISSING)} there and {second.get(key, MISSING)} here"
    return None
