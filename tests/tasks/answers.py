"""What each task of symbols asks for, in plain Python on the symbols of one sequence.

An oracle knows the published definition, and nothing of the code: it reads the symbols and says what
is due at each step, `None` where nothing is, and how far back the answer lies.
"""

import collections
import functools
import itertools
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

BLANK = {"slots": 0, "slots8": 0, "mamba": 0, "mad": 14}


class Oracle(NamedTuple):
    """answers: (symbols, task, steps at which the batch says something is due) -> what is due.
    gap: (symbols, step, task) -> the steps since what is due there was shown, or None."""

    answers: Callable[[list[int], Any, list[int]], list[Any]]
    gap: Callable[[list[int], int, Any], int] | None = None


def at_end(answer):
    """Of a task with one answer, due at the last step."""
    return lambda symbols, task, due: [None] * (len(symbols) - 1) + [answer(symbols)]


def letters(symbols, task, due):
    kind = task.variant
    if kind.startswith("slots"):
        return [None] * (len(symbols) - 1) + [tuple(s - 1 for s in symbols if s)]
    if kind == "mamba":
        count = symbols.count(15)
        asked, body = symbols[-count:], symbols[:-count]
        assert asked == [15] * count
    else:
        cut = symbols.index(15)
        asked, body = symbols[cut + 1 :], symbols[:cut]
        assert asked == [14] * len(asked)
        assert body[-1] != 14
    shown = [s for s in body if s != BLANK[kind]]
    assert len(shown) == len(asked)
    return [None] * (len(symbols) - len(shown)) + shown


def walk(symbols):
    circle = collections.deque(range(5))
    for symbol in symbols:
        circle.rotate(1 - symbol)
    return circle[0]


def evaluate(symbols):
    return eval("".join("01234+-*"[s] for s in symbols)) % 5


def flip_flop(symbols, task, due):
    memory, answers = None, []
    assert symbols[0] == 0
    assert symbols[-2] == 1
    for kind, bit in zip(symbols[::2], symbols[1::2], strict=True):
        memory = bit - 3 if kind == 0 else memory
        answers += [memory if kind == 1 else None, None]
        assert kind != 1 or bit - 3 == memory
    return answers


def flip_flop_gap(symbols, step, task):
    back = step
    while symbols[back] != 0 or back % 2:
        back -= 1
    return step - (back + 1)


def written(symbols, task):
    """The key and value of each place of the context of mqar."""
    pairs = task.pairs or max(1, len(symbols) // 16)
    places = pairs + (-(-pairs // 2) if task.variant == "overwriting" else 0)
    context = list(zip(symbols[: 2 * places : 2], symbols[1 : 2 * places : 2], strict=True))
    assert len({key for key, _ in context}) == pairs
    assert len({value for _, value in context[:pairs]}) == pairs
    for at, (key, value) in enumerate(context[pairs:]):
        assert value != dict(context[: pairs + at])[key]
    return context


def recall(symbols, task, due):
    context = written(symbols, task)
    begin, memory = 2 * len(context), dict(context)
    if not task.random_filler:
        due = [step for step in range(begin, len(symbols)) if symbols[step]]
    assert sorted(symbols[step] for step in due) == sorted(memory)
    assert all(step >= begin and (step - begin) % 2 == 0 for step in due)
    return [memory[s] if step in due else None for step, s in enumerate(symbols)]


def recall_gap(symbols, step, task):
    keys = [key for key, _ in written(symbols, task)]
    return step - (2 * max(i for i, key in enumerate(keys) if key == symbols[step]) + 1)


def induction(symbols):
    first, last = (i for i, s in enumerate(symbols) if s == 15)
    assert last == len(symbols) - 1
    assert first < len(symbols) - 3
    return symbols[first + 1]


def retrieval(symbols):
    assert symbols[-3:-1] == [36, 36]
    shown = symbols[:-3]
    assert len(set(shown[::2])) == len(shown) // 2
    return dict(zip(shown[::2], shown[1::2], strict=True))[symbols[-1]]


def is_even(permutation):
    seen, parity = set(), 0
    for start in permutation:
        length = 0
        while start not in seen:
            seen.add(start)
            start, length = permutation[start], length + 1
        parity += max(length - 1, 0)
    return parity % 2 == 0


def compose(g, h):
    return tuple(g[i] for i in h)


@functools.cache
def group(name):
    """Its elements in the order of their numbers, and its product."""
    if name == "Z60":
        return tuple(range(60)), lambda g, h: (g + h) % 60
    if name == "A4xZ5":
        even, _ = group("A4")
        elements = tuple((a, z) for a in even for z in range(5))
        return elements, lambda g, h: (compose(g[0], h[0]), (g[1] + h[1]) % 5)
    every = sorted(itertools.permutations(range(int(name[1]))))
    return tuple(p for p in every if name[0] == "S" or is_even(p)), compose


def products(symbols, task, due):
    elements, product = group(task.variant)
    number = {element: index for index, element in enumerate(elements)}
    shown = [elements[s] for s in symbols]
    return [number[element] for element in itertools.accumulate(shown, product)]


ORACLES = {
    "selective_copy": Oracle(letters),
    "parity": Oracle(at_end(lambda symbols: functools.reduce(operator.xor, symbols))),
    "even_pairs": Oracle(at_end(lambda symbols: int(symbols[0] != symbols[-1]))),
    "cycle_navigation": Oracle(at_end(walk)),
    "modular_arithmetic": Oracle(at_end(evaluate)),
    "flip_flop": Oracle(flip_flop, flip_flop_gap),
    "mqar": Oracle(recall, recall_gap),
    "induction": Oracle(
        at_end(induction), lambda symbols, step, task: step - symbols.index(15) - 1
    ),
    "retrieval": Oracle(
        at_end(retrieval), lambda symbols, step, task: step - symbols.index(symbols[-1]) - 1
    ),
    "words": Oracle(products, lambda symbols, step, task: step + 1),
}
