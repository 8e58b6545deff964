"""How far back can a sequence model remember, and what does that cost?

    import lstm_attn
    lstm_attn.studies.compare("lstm", "adding", lengths=50, steps=500, seeds=2)

Each part is imported when it is first asked for: `lstm_attn.report` reads run folders without JAX,
`lstm_attn.ops` comes without Flax. `python -m lstm_attn` says what is here.
"""

from typing import Any

__version__ = "0.1.0"
__all__ = [
    "analysis",
    "errors",
    "generation",
    "history",
    "interop",
    "model_config",
    "models",
    "modules",
    "native",
    "ops",
    "report",
    "runner",
    "runs",
    "studies",
    "tasks",
    "text",
    "trained",
    "training",
]


def __getattr__(name: str) -> Any:
    """A part of the package, as an attribute (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module 'lstm_attn' has no attribute {name!r}")
    import importlib

    return importlib.import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
