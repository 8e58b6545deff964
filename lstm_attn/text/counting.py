"""How often each token is in a part, which may be larger than memory."""

import numpy as np

BLOCK = 1 << 22  # tokens


def token_counts(tokens: np.ndarray, size: int, block: int = BLOCK) -> np.ndarray:
    """How often each of the ids 0 ... size - 1 is among the tokens: int64 [size].

    Args:
      block: tokens that are looked at at a time.
    """
    counts = np.zeros(size, np.int64)
    for start in range(0, len(tokens), block):
        counts += np.bincount(tokens[start : start + block], minlength=size)
    return counts
