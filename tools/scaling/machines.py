"""Rates, sizes and links of devices, from data sheets and measurements."""

import dataclasses
import math
from typing import NamedTuple


class Link(NamedTuple):
    """One level of a network.

    devices: in a group that it joins.
    bytes_per_second: what a device sends while it receives as much.
    hop_seconds: of one message.
    ring: each device reaches its two neighbours only; else a switch joins all.
    """

    devices: int
    bytes_per_second: float
    hop_seconds: float
    ring: bool = False

    def hops(self, devices: int) -> int:
        """Messages one after another until each of n devices has heard of all: log2 n by a switch,
        half way round a ring, end to end along a segment of a ring."""
        if not self.ring:
            return math.ceil(math.log2(devices))
        return devices // 2 if devices == self.devices else devices - 1

    def rate(self, devices: int) -> float:
        """Bytes a second among n devices. A segment of a ring is not closed, so one direction is
        idle.

        Source: Austin et al. 2025, chapter 2.
        """
        whole = not self.ring or devices == self.devices
        return self.bytes_per_second if whole else self.bytes_per_second / 2


@dataclasses.dataclass(frozen=True)
class Machine:
    """One kind of device and the network that joins them.

    flops_per_second: dtype of the numbers in a product -> rate.
    functions_per_second: values of exp or tanh.
    bytes_per_second: of the memory.
    cache_bytes, cache_bytes_per_second: of the fastest level that all arithmetic shares.
    memory_bytes: of a device.
    launch_seconds: from the start of a tiny kernel to the start of the next.
    links: from the innermost out.
    batched_trials: a device's trials are one batched program; else they run one after another.
    """

    name: str
    flops_per_second: dict[str, float]
    functions_per_second: float
    bytes_per_second: float
    cache_bytes: float
    cache_bytes_per_second: float
    memory_bytes: float
    launch_seconds: float
    links: tuple[Link, ...]
    batched_trials: bool = True


# The share of the data sheet's rates that programs reach, and of the links'.
# Source: Austin et al. 2025, "How to Scale Your Model", chapter 12, quiz 1 question 4 (15 us of a
# product take about 20) and quiz 2 question 3 (1.04 ms of an all-gather take about 1.5).
REACHED, REACHED_BY_LINKS = 0.75, 0.7

H100 = Machine(
    "H100 SXM",
    # Dense rates. JAX multiplies float32 as TF32 unless told otherwise (docs.jax.dev, "Matmul
    # precision").
    {"bfloat16": REACHED * 989.4e12, "float32": REACHED * 494.7e12},
    # 67e12 float32 operations a second outside of tensor cores, some ten to a function.
    functions_per_second=REACHED * 6.7e12,
    bytes_per_second=REACHED * 3.35e12,
    cache_bytes=50e6,
    cache_bytes_per_second=REACHED * 5.5e12,
    memory_bytes=80e9,
    launch_seconds=3e-6,
    links=(
        Link(8, REACHED_BY_LINKS * 450e9, 2e-6),
        Link(32, REACHED_BY_LINKS * 50e9, 5e-6),
    ),
)
TPU_V5E = Machine(
    "TPU v5e",
    # JAX multiplies float32 in one pass of bfloat16 unless told otherwise (same page).
    {"bfloat16": REACHED * 197e12, "float32": REACHED * 197e12},
    # 8 x 128 lanes of 4 units at 1.5 GHz, some ten operations to a function.
    functions_per_second=REACHED * 0.6e12,
    bytes_per_second=REACHED * 819e9,
    cache_bytes=128 * 2**20,
    cache_bytes_per_second=REACHED * 22 * 819e9,
    memory_bytes=16e9,
    launch_seconds=1e-6,
    links=(
        Link(16, REACHED_BY_LINKS * 100e9, 0.5e-6, ring=True),
        Link(16, REACHED_BY_LINKS * 100e9, 0.5e-6, ring=True),
    ),
)
ACCELERATORS = (H100, TPU_V5E)
