"""Which implementation of a recurrent layer runs where: what "auto" takes, as it was measured."""

import jax

from lstm_attn.errors import UsageError, unknown_name

IMPLEMENTATIONS = ("auto", "scan", "fused", "native")

# Platform -> what "auto" takes, the first that there is; "scan" is always there. Measured on two
# x86 cores (README, "What it costs"): of five shapes none where a later one was faster. A platform
# that is not here was not measured.
MEASURED = {"cpu": ("native", "fused")}


def choose(function: str, implementation: str, obstacles: dict[str, str | None]) -> str:
    """The implementation to run: never "auto".

    Args:
      obstacles: implementation -> why it can't run what is asked for, or None where it can.

    Raises:
      UsageError: a name that is not known, or an implementation that can't run this, and why.
    """
    if implementation not in IMPLEMENTATIONS:
        raise unknown_name(f"{function}: implementation", implementation, IMPLEMENTATIONS)
    if implementation != "auto":
        if obstacle := obstacles.get(implementation):
            raise UsageError(f"{function}: implementation={implementation!r} {obstacle}")
        return implementation
    there = (name for name in MEASURED.get(jax.default_backend(), ()) if not obstacles[name])
    return next(there, "scan")
