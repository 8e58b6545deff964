"""How fast is dot-product attention, and how much memory does it take?

    python -m benchmarks.attention --peers --output=results/benchmarks/attention.json

4 heads of 32 features. Implementations that form [T, S] leave out the lengths at which the logits
alone would exceed a gibibyte.
"""

from absl import flags
from rich.table import Table

from benchmarks import attention_picture, command, tables
from benchmarks.contenders import Contender
from benchmarks.workloads import BYTES, DIRECTIONS, Attention

HEADS, FEATURES = 4, 32
# B, T
SHORT = ((1, 512), (1, 2048), (4, 512), (4, 2048))
LONG = ((1, 8192), (4, 8192), (1, 16384))
MOST_LOGITS_BYTES = 2**30
BUILDERS = "benchmarks.attending"
JAX = Contender("jax.nn", BUILDERS, "jax_own")
TORCH = Contender(
    "torch",
    "benchmarks.peers.torch_attention",
    "attention",
    environment={"JAX_PLATFORMS": "cpu"},
)

SIZE = flags.DEFINE_multi_string("size", None, "B,T in place of the set; may be repeated.")


def cases() -> list[Attention]:
    if SIZE.value:
        sizes = [tuple(command.whole_numbers("size", text, "BT")) for text in SIZE.value]
    else:
        sizes = [*SHORT, *(LONG if command.ALL.value else ())]
    return [
        Attention(batch, length, HEADS, FEATURES, is_causal, direction)
        for direction in DIRECTIONS
        for is_causal in (False, True)
        for batch, length in sizes
    ]


def contenders(case: Attention) -> list[Contender]:
    """Those that have room for this length; the first is what the others must equal."""
    dense = [_ours("dense"), JAX]
    logits_bytes = BYTES * case.batch * case.heads * case.length**2
    lineup = [
        *(dense if logits_bytes <= MOST_LOGITS_BYTES else []),
        _ours("auto"),
        _ours("chunked"),
    ]
    return [*lineup, *([TORCH] if command.PEERS.value else [])]


def _ours(implementation: str) -> Contender:
    arguments = {"implementation": implementation}
    return Contender(f"ours, {implementation}", BUILDERS, "ours", arguments, is_ours=True)


def show(record: dict) -> list[Table]:
    """A table a case, and ours against the peers."""
    summaries = [tables.summary(record["rows"])] if tables.speed_over_peers(record["rows"]) else []
    return [*tables.case_tables(record), *summaries]


if __name__ == "__main__":
    command.run("attention", cases, contenders, show, attention_picture.lines)
