"""What comes next is made ready while what came before is at work."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def in_advance(make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Callable[[], Made]]:
    """For each item a function that waits for make(item) and gives it, or raises what it raised.

    A second thread makes one item ahead: the second begins as soon as the first is asked for. XLA
    compiles outside Python's lock, so a device that trains goes on meanwhile. Nothing that `make`
    does may run on devices of other processes: the order would differ from process to process.
    """
    executor = ThreadPoolExecutor(max_workers=1)
    pending: list[Future[Made]] = []
    try:
        for item in items:
            pending.append(executor.submit(make, item))
            if len(pending) == 2:
                yield pending.pop(0).result
        if pending:
            yield pending.pop().result
    finally:
        # An interrupted run does not wait for a compilation that nobody needs.
        executor.shutdown(wait=False, cancel_futures=True)
