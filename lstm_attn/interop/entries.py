"""Named arrays of a dictionary: missing, unexpected and misshapen ones are errors."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lstm_attn.errors import UsageError
from lstm_attn.plain_numbers import plain


class Entries:
    """The arrays of a (nested) dictionary, under names joined by a slash.

    Taking an array binds its sizes to axis letters, so that the entries must fit each other. A
    number before a letter multiplies it: "4H D" is the shape (4H, D). "NK" is one size, that of N
    and K joined.

    Args:
      function: the name of the public function, for error messages.
      tree: a dictionary of dictionaries and of arrays that numpy can read.
    """

    def __init__(self, function: str, tree: Mapping[str, Any]) -> None:
        if not isinstance(tree, Mapping):
            raise UsageError(
                f"{function}: expected a dictionary of arrays, got {type(tree).__name__}"
            )
        self.function = function
        self._leaves = dict(_leaves(tree, ""))
        self._sizes = {"": 1}  # no letter: "2" is an axis of size two

    def __contains__(self, name: str) -> bool:
        return name in self._leaves

    def has_part(self, prefix: str) -> bool:
        """Whether there is an entry inside the dictionary of this name."""
        return any(name.startswith(f"{prefix}/") for name in self._leaves)

    def expect(self, names: Sequence[str]) -> None:
        """Raises UsageError unless the entries are these, in any order.

        Called before shapes are checked: an unsupported option of the other library shows as an
        unexpected entry, and may change the shapes of others.
        """
        missing = [name for name in names if name not in self._leaves]
        unexpected = [name for name in self._leaves if name not in names]
        if missing or unexpected:
            problems = [f"missing {', '.join(missing)}"] if missing else []
            problems += [f"unexpected {', '.join(unexpected)}"] if unexpected else []
            raise UsageError(
                f"{self.function}: expected the entries {', '.join(names)}; {'; '.join(problems)}"
            )

    def take(self, name: str, axes: str) -> np.ndarray:
        """A copy of an entry, since training may change its source. The shape is checked.

        Raises:
          UsageError: an entry that numpy cannot read, or of another shape.
        """
        source = self._leaves[name]
        try:
            array = np.asarray(source).copy(order="C")
        except (TypeError, ValueError, RuntimeError) as error:
            reason = str(error).partition("\n")[0]
            raise UsageError(
                f"{self.function}: {name} expected an array that numpy can read, "
                f"got {type(source).__name__}: {reason}"
            ) from error
        if array.dtype.kind in "OSU":
            raise UsageError(
                f"{self.function}: {name} expected an array of numbers, got {type(source).__name__}"
            )
        self._check_shape(name, array.shape, axes)
        return array

    def take_or_zeros(self, name: str, axes: str, like: np.ndarray) -> np.ndarray:
        """The entry; or, if there is none, zeros of its shape in the dtype of another array."""
        if name in self._leaves:
            return self.take(name, axes)
        return np.zeros([times * self._sizes[letter] for times, letter in _parse(axes)], like.dtype)

    def check_zeros(self, name: str, array: np.ndarray, because: str) -> None:
        """Raises UsageError unless the array, for which the other library has no entry, is zero."""
        if np.any(array != 0):
            largest = float(np.max(np.abs(array)))
            raise UsageError(
                f"{self.function}: {name} expected zeros, because {because}; "
                f"got values up to {largest:.6g} in magnitude"
            )

    def check_choice(self, name: str, value: object, choices: Sequence[str]) -> None:
        """Raises UsageError unless an argument is one of these."""
        if value not in choices:
            raise UsageError(
                f"{self.function}: {name} expected {' or '.join(choices)}, got {value!r}"
            )

    def divide(self, axis: str, name: str, parts: int) -> int:
        """The size of an axis divided by a number of parts, which must be a divisor of it."""
        size = self._sizes[axis]
        whole = plain(parts)
        if type(whole) is not int or whole < 1 or size % whole:
            raise UsageError(f"{self.function}: {name} expected a divisor of {size}, got {parts!r}")
        return size // whole

    def _check_shape(self, name: str, shape: tuple[int, ...], axes: str) -> None:
        parsed = list(_parse(axes))
        label = f"{self.function}: {name} [{', '.join(axes.split())}]"
        if len(shape) != len(parsed):
            raise UsageError(f"{label} expected {len(parsed)} axes, got shape {shape}")
        wanted = []
        for (times, letter), size in zip(parsed, shape, strict=True):
            if letter not in self._sizes and size % times == 0:
                self._sizes[letter] = size // times
            known = letter in self._sizes
            wanted.append(times * self._sizes[letter] if known else f"a multiple of {times}")
        if tuple(wanted) != shape:
            raise UsageError(f"{label} expected shape ({', '.join(map(str, wanted))}), got {shape}")


def attention_names(entries: Entries, parts: Iterable[str]) -> list[str]:
    """The expected entries of an attention: a kernel of each part, and biases if any has one."""
    parts = list(parts)
    has_bias = any(f"{part}/bias" in entries for part in parts)
    return [f"{part}/{name}" for part in parts for name in ("kernel", "bias")[: 1 + has_bias]]


def _leaves(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", value


def _parse(axes: str) -> Iterator[tuple[int, str]]:
    """Each axis as a factor and the letters of a size."""
    for axis in axes.split():
        letters = axis.lstrip("0123456789")
        yield int(axis.removesuffix(letters) or 1), letters
