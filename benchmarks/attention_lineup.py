"""Who takes part in `attention`, and in its part of `memory`."""

from benchmarks.contenders import Contender
from benchmarks.workloads import BYTES, Attention

HEADS, FEATURES = 4, 32
MOST_LOGITS_BYTES = 2**30
BUILDERS = "benchmarks.attending"
JAX = Contender("jax.nn", BUILDERS, "jax_own")
TORCH = Contender(
    "torch",
    "benchmarks.peers.torch_attention",
    "attention",
    environment={"JAX_PLATFORMS": "cpu"},
)


def contenders(case: Attention, with_peers: bool) -> list[Contender]:
    """Those that have room for this length; the first is what the others must equal."""
    logits_bytes = BYTES * case.batch * case.heads * case.length**2
    fits = logits_bytes <= MOST_LOGITS_BYTES
    lineup = [_ours("dense"), JAX, _ours("auto"), _ours("chunked")] if fits else [_ours("chunked")]
    return [*lineup, *([TORCH] if with_peers else [])]


def _ours(implementation: str) -> Contender:
    arguments = {"implementation": implementation}
    return Contender(f"ours, {implementation}", BUILDERS, "ours", arguments, is_ours=True)
