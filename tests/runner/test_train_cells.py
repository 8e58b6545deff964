"""Items made in advance: in order, one ahead at most, errors raised where an item is asked for."""

import threading

import pytest

from lstm_attn.runner.train_cells import in_advance
from tests import PATIENCE


def test_one_is_made_ahead_and_no_more():
    """Oracle: by hand. Catches a second thread that makes nothing ahead, or everything at once."""
    made, events = [], [threading.Event() for _ in range(4)]

    def make(item):
        made.append(item)
        events[item].set()
        return 10 * item

    for item, ready in enumerate(in_advance(make, range(4))):
        assert ready() == 10 * item
        if item < 3:
            assert events[item + 1].wait(PATIENCE)
        assert made == list(range(min(item + 2, 4)))


def test_an_error_comes_where_its_item_is_asked_for():
    """Catches an error that is lost in its thread, or that ends the item before it."""

    def make(item):
        if item == 1:
            raise ValueError("the second")
        return item

    items = in_advance(make, [0, 1])
    assert next(items)() == 0
    with pytest.raises(ValueError, match="the second"):
        next(items)()


def test_an_interruption_does_not_wait():
    """Catches a Ctrl-C that waits for a compilation."""
    go_on, ended = threading.Event(), []

    def make(item):
        if item == 0:
            go_on.wait(PATIENCE)
            ended.append(item)
        return item

    items = in_advance(make, [1, 0])
    assert next(items)() == 1
    items.close()
    assert ended == []
    go_on.set()


def test_no_items_give_nothing():
    """Catches a grid whose cells are all finished."""
    assert list(in_advance(str, [])) == []
