"""Counts of tokens, block by block."""

from collections import Counter

import numpy as np
import pytest

from lstm_attn.text import token_counts


@pytest.mark.parametrize("block", [1, 7, 100, 1000])
def test_counts_do_not_depend_on_the_block(block):
    """Oracle: Python's Counter. Catches a last block that is lost, and ids that are never there."""
    tokens = np.random.default_rng(0).integers(0, 5, 100).astype(np.uint8)
    counted = Counter(tokens.tolist())
    expected = [counted[number] for number in range(7)]
    np.testing.assert_array_equal(token_counts(tokens, 7, block), expected)
