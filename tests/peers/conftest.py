"""Other libraries broadcast between ranks as they like."""

import jax
import pytest


@pytest.fixture(autouse=True)
def ranks_may_differ():
    with jax.numpy_rank_promotion("allow"):
        yield
