"""The answer of a worker to the launcher that started it."""

import re

import pytest

from lstm_attn.errors import UsageError
from lstm_attn.runner import worker


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (None, "^None$"),
        (UsageError("one line"), "^one line$"),
        (
            ValueError("a bug"),
            r"^Traceback \(most recent call last\):\n(.*\n)*ValueError: a bug\n$",
        ),
    ],
)
def test_what_went_wrong_is_the_answer(error, answer, monkeypatch):
    """Oracle: by hand. Catches a failure that looks like a finished cell, and a bug of ours without
    the place where it happened."""

    def train(*_):
        if error:
            raise error

    monkeypatch.setattr(worker, "train", train)
    assert re.search(answer, str(worker.attempt("folder", 1, "")))


def test_a_stopped_worker_gives_no_answer(monkeypatch):
    """Catches an interrupted job that is reported as a failure of its cell."""

    def train(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(worker, "train", train)
    with pytest.raises(KeyboardInterrupt):
        worker.attempt("folder", 1, "")
