"""How much memory and time do long sequences take, with and without recomputing?

    python -m benchmarks.memory --output=results/benchmarks/memory.json

A training step of an LSTM (B=8, D=10, H=128) that keeps all steps for back-propagation, and one
that keeps the state between segments and computes the steps of a segment anew, about sqrt(T) of
them.
Then dot-product attention with its gradients at T = 16,384, 4 heads of 32 features. Memory is what
the process grows by above its parameters and inputs ("peak"), and XLA's own account ("temporary").
"""

import dataclasses
import math
from typing import Any

from absl import flags

from benchmarks import attention_lineup, command, pictures, tables
from benchmarks.contenders import Contender
from benchmarks.workloads import Attention, Training

BATCH, INPUTS, FEATURES = 8, 10, 128
SHORT, LONG = (5_000,), (10_000, 100_000)
# With one arena, glibc gives back what an earlier case has freed, and the growth is a case's own.
ONE_ARENA = {"MALLOC_ARENA_MAX": "1"}

LENGTH = flags.DEFINE_multi_integer(
    "length", None, "T of the LSTM in place of the set; may be repeated.", lower_bound=1
)
ATTENTION_LENGTH = flags.DEFINE_integer(
    "attention_length", 16_384, "T of the attention.", lower_bound=1
)


def cases() -> list[Training | Attention]:
    lengths = LENGTH.value or [*SHORT, *(LONG if command.ALL.value else ())]
    heads = (attention_lineup.HEADS, attention_lineup.FEATURES)
    return [
        *(Training("lstm", BATCH, length, INPUTS, FEATURES) for length in lengths),
        Attention(1, ATTENTION_LENGTH.value, *heads, True, "forward and backward"),
    ]


def contenders(case: Training | Attention) -> list[Contender]:
    if isinstance(case, Attention):
        lineup = attention_lineup.contenders(case, command.PEERS.value)
    else:
        lineup = [
            _training("ours, all steps kept", None),
            _training("ours, segments", segment_length(case.length)),
        ]
    return [
        dataclasses.replace(contender, environment={**contender.environment, **ONE_ARENA})
        for contender in lineup
    ]


def _training(name: str, segment: int | None) -> Contender:
    arguments = {"implementation": "auto", "devices": 1, "steps": 1, "segment": segment}
    return Contender(name, "benchmarks.ours", "training", arguments, is_ours=True)


def segment_length(length: int) -> int:
    """The largest divisor of T up to its root: T / segment states and segment steps are kept."""
    return max(n for n in range(1, math.isqrt(length) + 1) if length % n == 0)


def show(record: dict[str, Any]) -> list:
    return tables.case_tables(record)


if __name__ == "__main__":
    command.run("memory", cases, contenders, show, pictures.memory_and_time)
