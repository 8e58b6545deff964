"""Sizes checked at trace time, by axis letter."""

import re

import jax

from lstm_attn.errors import UsageError


def check_axes(function: str, **arrays: tuple[jax.Array, str]) -> dict[str, int]:
    """Binds axis letters to sizes, and raises where two arrays disagree.

    Each keyword is an array's name with the array and its axes, such as `kernel=(kernel, "D 4H")`.
    A letter takes its size where it first stands; list the array that defines it first. A number
    before a letter multiplies it. chex checks shapes too, but its message names neither the array
    nor the letter, and it raises AssertionError where a caller's mistake is a ValueError.

    Returns:
      The size of each letter.

    Raises:
      UsageError: (a ValueError) no array, or a rank or a size that does not fit, on one line.
    """
    sizes: dict[str, int] = {}
    for name, (array, axes) in arrays.items():
        parsed = [re.fullmatch(r"(\d*)([A-Z])", axis) for axis in axes.split()]
        label = f"{function}: {name} [{', '.join(axes.split())}]"
        if not hasattr(array, "shape"):
            raise UsageError(f"{label} expected an array, got {type(array).__name__}")
        shape = tuple(array.shape)
        if len(shape) != len(parsed):
            raise UsageError(f"{label} expected {len(parsed)} axes, got shape {shape}")
        expected = []
        for axis, size in zip(parsed, shape, strict=True):
            assert axis is not None, axes
            times, letter = int(axis[1] or 1), axis[2]
            if letter not in sizes and size % times == 0:
                sizes[letter] = size // times
            expected.append(times * sizes[letter] if letter in sizes else f"a multiple of {times}")
        if tuple(expected) != shape:
            wanted = ", ".join(map(str, expected))
            raise UsageError(f"{label} expected shape ({wanted}), got {shape}")
    return sizes
