"""Which implementation of a recurrent layer runs where: what "auto" takes, as it was measured."""

import jax

from lstm_attn.errors import UsageError, unknown_name

IMPLEMENTATIONS = ("auto", "scan", "fused")

# Platform -> what "auto" takes where there is a fused form. Measured (README, "What it costs").
# A platform that is not here was not measured and gets "scan".
MEASURED = {"cpu": "fused"}


def choose(function: str, implementation: str, fused: bool, why_not: str = "") -> str:
    """The implementation to run: never "auto".

    Args:
      fused: whether there is a fused form of what is asked for.
      why_not: what was asked for, where there is none.

    Raises:
      UsageError: a name that is not known, or "fused" where there is no such form.
    """
    if implementation not in IMPLEMENTATIONS:
        raise unknown_name(f"{function}: implementation", implementation, IMPLEMENTATIONS)
    if implementation == "fused" and not fused:
        raise UsageError(f"{function}: implementation='fused' has no form for {why_not}")
    if implementation != "auto":
        return implementation
    return MEASURED.get(jax.default_backend(), "scan") if fused else "scan"
