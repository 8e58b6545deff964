"""How many tokens a second does a model give, one step at a time?

    python -m benchmarks.decoding --output=results/benchmarks/decoding.json

A recurrent step costs the same at every position; a step over a key-value cache costs as much as
the cache has room for. Each model's step is jitted once and serves all positions.
"""

import math
import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from jax import Array
from rich.table import Table

from benchmarks import command, figures, tables
from benchmarks.contenders import Contender, Ready, check_same, compile_seconds
from benchmarks.record import grouped
from benchmarks.workloads import BYTES, Decoding
from lstm_attn import models, tasks
from lstm_attn.models import Params, State

MODELS = ("lstm", "gru", "transformer", "lstm_attention")
FEATURES = 128
BATCHES, ROOMS = (1, 16), (256, 1024, 4096)
SHORT_ROOMS = ROOMS[:2]
STEPS_A_RUN = 64
CHECKED_STEPS = 8


def contenders(case: Decoding, with_peers: bool) -> Sequence[Contender]:
    """The models; there are no peers."""
    return [
        Contender(name, "benchmarks.decoding", "decode", {"name": name}, True, is_same=False)
        for name in MODELS
    ]


def decode(case: Decoding, name: str) -> Ready:
    """In a child: runs of STEPS_A_RUN steps, from the first position to the last and again.

    The step is traced once for all positions, which every run asserts; the first outputs must equal
    those of all steps at once.
    """
    task = tasks.adding(case.room)
    model = models.build(name, task, models.ModelConfig(case.features))
    params = jax.jit(model.init)(jax.random.key(0))
    inputs = task.sample(jax.random.key(1), case.batch).inputs  # [B, T, D]
    traces = 0

    def step(params: Params, state: State, x: Array) -> tuple[State, Array]:
        nonlocal traces
        traces += 1
        return model.step(params, state, x)

    jitted = jax.jit(step, donate_argnums=1)
    # On the host: a slice of a JAX array would be a program of its own.
    columns = [np.asarray(inputs[:, t]) for t in range(min(case.room, STEPS_A_RUN))]
    state, position = _start(model, case), 0

    def advance(steps: int) -> list[Array]:
        nonlocal state, position
        outputs = []
        for _ in range(steps):
            if position == case.room:
                state, position = _start(model, case), 0
            state, output = jitted(params, state, columns[position % len(columns)])
            outputs.append(output)
            position += 1
        jax.block_until_ready((state, outputs))
        assert traces == 1, f"{name}: one trace for all positions, got {traces}"
        return outputs

    began = time.perf_counter()
    outputs = advance(1)
    first_seconds = time.perf_counter() - began
    checked = min(CHECKED_STEPS, len(columns))
    outputs += advance(checked - 1)
    at_once = jax.jit(model.apply)(params, inputs[:, :checked])
    check_same(name, {"outputs": np.asarray(at_once)}, {"outputs": np.stack(outputs, axis=1)})
    began = time.perf_counter()
    advance(1)
    return Ready(
        lambda: advance(STEPS_A_RUN),
        {},
        STEPS_A_RUN,
        compile_seconds=compile_seconds([first_seconds, time.perf_counter() - began]),
        work=_work(params, state, case.batch),
    )


def _start(model: models.Model, case: Decoding) -> State:
    # Copies: a cache's keys and values begin as one array of zeros, which can't be donated twice.
    return jax.tree.map(jnp.array, model.initial_state(case.batch, case.room))


def _work(params: Params, state: State, batch: int) -> tuple[int, int]:
    """Flops and bytes: each parameter and each number of the state is in one product a sequence."""
    parameters, held = (sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))
                        for tree in (params, state))  # fmt: skip
    return 2 * (batch * parameters + held), BYTES * (parameters + held)


def show(record: dict[str, Any]) -> list[Table]:
    """Tokens a second: one line a model and batch size, one column a room."""
    rooms = sorted({row["room"] for row in record["rows"]})
    lines = []
    for batch in sorted({row["batch"] for row in record["rows"]}):
        rows = [row for row in record["rows"] if row["batch"] == batch]
        for model, mine in grouped(rows, lambda row: row["name"]).items():
            seconds = {row["room"]: row["median_seconds"] for row in mine}
            tokens = [f"{batch / seconds[n]:,.0f}" if n in seconds else "–" for n in rooms]
            span = f"{1e3 * min(seconds.values()):.3g}–{1e3 * max(seconds.values()):.3g}"
            compiling = max(row["compile_seconds"] for row in mine)
            lines.append((model, str(batch), *tokens, span, f"{compiling:.2f}"))
    headings = ("model", "B", *(f"{room:,}" for room in rooms), "ms a step", "compile s")
    return [tables.plain("tokens a second, by positions that there is room for", headings, lines)]


def main() -> None:
    batches = flags.DEFINE_multi_integer("batch", BATCHES, "Sequences at once.", lower_bound=1)
    positions = flags.DEFINE_multi_integer(
        "room", None, "Positions that there is room for, in place of the set.", lower_bound=2
    )

    def cases(whole: bool) -> list[Decoding]:
        rooms = positions.value or (ROOMS if whole else SHORT_ROOMS)
        return [Decoding(batch, room, FEATURES) for batch in batches.value for room in rooms]

    command.run("decoding", cases, contenders, show, figures.tokens_by_room)


if __name__ == "__main__":
    main()
