"""One colour a model, the same in every picture."""

from collections.abc import Iterable

# Okabe & Ito 2008: told apart by readers who see fewer colours.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MODEL_COLORS = dict(
    zip(("lstm", "gru", "transformer", "lstm_attention", "attention_pooling"), COLORS, strict=False)
)
OTHERS = COLORS[len(MODEL_COLORS) :]


def colors_of(names: Iterable[str]) -> dict[str, str]:
    """Name -> colour: a model's own, and for other names those that are left, in turn."""
    names = list(dict.fromkeys(names))
    others = [name for name in names if name not in MODEL_COLORS]
    given = {name: OTHERS[index % len(OTHERS)] for index, name in enumerate(others)}
    return {name: MODEL_COLORS.get(name) or given[name] for name in names}
