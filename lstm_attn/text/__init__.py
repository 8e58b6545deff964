"""Text as token ids: its source, its vocabulary, and its three splits. numpy only."""

from lstm_attn.text.source import Source
from lstm_attn.text.splits import (
    DESCRIPTION,
    SPLITS,
    Split,
    Text,
    check,
    check_intact,
    load,
    prepare,
    token_counts,
)
from lstm_attn.text.vocabulary import LEVELS, Vocabulary, encode_known

__all__ = [
    "DESCRIPTION",
    "LEVELS",
    "SPLITS",
    "Source",
    "Split",
    "Text",
    "Vocabulary",
    "check",
    "check_intact",
    "encode_known",
    "load",
    "prepare",
    "token_counts",
]
