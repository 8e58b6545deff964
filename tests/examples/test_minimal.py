"""examples/minimal.py learns."""

import jax
import numpy as np

from examples import minimal
from tests import oracles


def test_the_adding_problem_is_learnt(capsys):
    """Oracle: the loss of a model without memory, 1 / 6; half of it at a third of the example's
    steps. Catches a wrong gradient, a state that is not carried, and a lost update."""
    with jax.numpy_dtype_promotion("standard"):
        loss = minimal.main(steps=400)
    assert loss < minimal.BASELINE / 2
    assert capsys.readouterr().out.count("loss") == 4


def test_data_are_those_of_the_adding_problem():
    """Oracle: its definition, by numpy, and the baseline as the variance of many targets. Catches
    both markers in one half, and targets of unmarked numbers."""
    keys = jax.random.split(jax.random.key(0), 100)
    inputs, targets = map(np.asarray, jax.vmap(minimal.sample)(keys))
    numbers, markers = inputs[..., 0], inputs[..., 1]
    half = minimal.LENGTH // 2
    assert (markers[..., :half].sum(-1) == 1).all()
    assert (markers[..., half:].sum(-1) == 1).all()
    np.testing.assert_allclose(targets, (numbers * markers).sum(-1), atol=oracles.LAYER)
    # 3,200 targets: the standard error of their variance is about .003.
    assert abs(targets.var() - minimal.BASELINE) < 0.012
