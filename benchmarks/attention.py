"""How fast is dot-product attention?

    python -m benchmarks.attention --peers --output=results/benchmarks/attention.json

4 heads of 32 features. Implementations that form [T, S] leave out the lengths at which the logits
alone would exceed a gibibyte.
"""

from typing import Any

from absl import flags
from rich.table import Table

from benchmarks import command, figures, lineup, tables
from benchmarks.workloads import DIRECTIONS, HEAD_FEATURES, HEADS, Attention

# B, T
SHORT: list[tuple[int, ...]] = [(1, 512), (1, 2048), (4, 512), (4, 2048)]
LONG: list[tuple[int, ...]] = [(1, 8192), (4, 8192), (1, 16384)]


def show(record: dict[str, Any]) -> list[Table]:
    """A table a case, and ours against the peers."""
    return [*tables.case_tables(record), *tables.summaries(record["rows"])]


def main() -> None:
    size = flags.DEFINE_multi_string("size", None, "B,T in place of the set; repeatable.")

    def cases(whole: bool) -> list[Attention]:
        sizes = command.sizes("size", size.value, "BT")
        return [
            Attention(batch, length, HEADS, HEAD_FEATURES, is_causal, direction)
            for direction in DIRECTIONS
            for is_causal in (False, True)
            for batch, length in sizes or (SHORT + LONG if whole else SHORT)
        ]

    command.run("attention", cases, lineup.attention, show, figures.attention_by_length)


if __name__ == "__main__":
    main()
