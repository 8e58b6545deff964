"""How many tokens a second does a model give, one step at a time?

    python -m benchmarks.decoding --output=results/benchmarks/decoding.json

A recurrent step costs the same at every position; a step over a key-value cache costs as much as
the cache has room for. Each model's step is jitted once and serves all positions.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags
from rich.table import Table

from benchmarks import command, pictures
from benchmarks.contenders import Contender
from benchmarks.workloads import Decoding

MODELS = ("lstm", "gru", "transformer", "lstm_attention")
FEATURES = 128
BATCHES, ROOMS = (1, 16), (256, 1024, 4096)
SHORT_ROOMS = ROOMS[:2]

BATCH = flags.DEFINE_multi_integer("batch", BATCHES, "Sequences at once.", lower_bound=1)
ROOM = flags.DEFINE_multi_integer("room", None, "Positions, in place of the set.", lower_bound=2)


def cases() -> list[Decoding]:
    rooms = ROOM.value or (ROOMS if command.ALL.value else SHORT_ROOMS)
    return [Decoding(batch, room, FEATURES) for batch in BATCH.value for room in rooms]


def contenders(case: Decoding) -> Sequence[Contender]:
    return [
        Contender(
            name,
            "benchmarks.stepping",
            "decoding",
            {"model_name": name},
            is_ours=True,
            is_same=False,
        )
        for name in MODELS
    ]


def show(record: dict[str, Any]) -> list[Table]:
    """Tokens a second: a line a model and batch size, a column a room."""
    rooms = sorted({row["room"] for row in record["rows"]})
    table = Table(title="tokens a second, by positions that there is room for")
    table.add_column("model")
    for heading in ("B", *(f"{room:,}" for room in rooms), "ms a step", "compile s"):
        table.add_column(heading, justify="right")
    for batch in sorted({row["batch"] for row in record["rows"]}):
        for model in MODELS:
            mine = {
                r["room"]: r for r in record["rows"] if (r["name"], r["batch"]) == (model, batch)
            }
            times = [1e3 * mine[room]["median_seconds"] for room in mine]
            tokens = [f"{batch / mine[room]['median_seconds']:,.0f}" if room in mine else "–"
                      for room in rooms]  # fmt: skip
            compiling = max(row["compile_seconds"] for row in mine.values())
            span = f"{min(times):.3g}–{max(times):.3g}"
            table.add_row(model, str(batch), *tokens, span, f"{compiling:.2f}")
    return [table]


if __name__ == "__main__":
    command.run("decoding", cases, contenders, show, pictures.tokens_by_room)
