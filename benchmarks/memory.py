"""How much memory and time do long sequences take, with and without recomputation?

    python -m benchmarks.memory --output=results/benchmarks/memory.json

A training step of an LSTM (B=8, D=10, H=128) that keeps all steps for back-propagation, and one
that keeps the state between segments of about sqrt(T) steps and recomputes each segment. Then
dot-product attention with its gradients at T = 16,384, 4 heads of 32 features. "peak" is how much
the process grows, parameters and inputs not counted; "temporary" is XLA's own account.
"""

import dataclasses
import math
from collections.abc import Sequence

from absl import flags

from benchmarks import command, figures, lineup, tables
from benchmarks.contenders import Contender
from benchmarks.workloads import HEAD_FEATURES, HEADS, Attention, Training

BATCH, INPUTS, FEATURES = 8, 10, 128
SHORT, LONG = (5_000,), (10_000, 100_000)
# With one arena, glibc gives back what an earlier case has freed, and the growth is a case's own.
ONE_ARENA = {"MALLOC_ARENA_MAX": "1"}


def contenders(case: Training | Attention, with_peers: bool) -> Sequence[Contender]:
    if isinstance(case, Attention):
        everyone = lineup.attention(case, with_peers)
    else:
        everyone = [
            _training("ours, all steps kept", None),
            _training("ours, segments", segment_length(case.length)),
        ]
    return [
        dataclasses.replace(contender, environment={**contender.environment, **ONE_ARENA})
        for contender in everyone
    ]


def _training(name: str, segment: int | None) -> Contender:
    arguments = {"implementation": "auto", "steps": 1, "segment": segment}
    return Contender(name, "benchmarks.ours", "training", arguments, is_ours=True)


def segment_length(length: int) -> int:
    """The largest divisor of T up to its root: T / segment states and segment steps are kept."""
    return max(n for n in range(1, math.isqrt(length) + 1) if length % n == 0)


def main() -> None:
    lengths = flags.DEFINE_multi_integer(
        "length", None, "T of the LSTM in place of the set; repeatable.", lower_bound=1
    )
    attention_length = flags.DEFINE_integer(
        "attention_length", 16_384, "T of the attention.", lower_bound=1
    )

    def cases(whole: bool) -> list[Training | Attention]:
        chosen = lengths.value or (SHORT + LONG if whole else SHORT)
        heads = (attention_length.value, HEADS, HEAD_FEATURES)
        return [
            *(Training("lstm", BATCH, length, INPUTS, FEATURES) for length in chosen),
            Attention(1, *heads, True, "forward and backward"),
        ]

    command.run("memory", cases, contenders, tables.case_tables, figures.memory_and_time)


if __name__ == "__main__":
    main()
