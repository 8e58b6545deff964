"""How fast is dot-product attention?

    python -m benchmarks.attention --peers --output=results/benchmarks/attention.json

4 heads of 32 features. Implementations that form [T, S] leave out the lengths at which the logits
alone would exceed a gibibyte.
"""

from absl import flags
from rich.table import Table

from benchmarks import attention_lineup, command, pictures, tables
from benchmarks.attention_lineup import FEATURES, HEADS
from benchmarks.workloads import DIRECTIONS, Attention

# B, T
SHORT = [(1, 512), (1, 2048), (4, 512), (4, 2048)]
LONG = [(1, 8192), (4, 8192), (1, 16384)]

SIZE = flags.DEFINE_multi_string("size", None, "B,T in place of the set; may be repeated.")


def cases() -> list[Attention]:
    sizes = SHORT + LONG if command.ALL.value else SHORT
    if SIZE.value:
        given = [command.whole_numbers("size", text, "BT") for text in SIZE.value]
        sizes = [(batch, length) for batch, length in given]
    return [
        Attention(batch, length, HEADS, FEATURES, is_causal, direction)
        for direction in DIRECTIONS
        for is_causal in (False, True)
        for batch, length in sizes
    ]


def show(record: dict) -> list[Table]:
    """A table a case, and ours against the peers."""
    return [*tables.case_tables(record), *tables.summaries(record["rows"])]


if __name__ == "__main__":
    command.run(
        "attention",
        cases,
        lambda case: attention_lineup.contenders(case, command.PEERS.value),
        show,
        pictures.attention_by_length,
    )
