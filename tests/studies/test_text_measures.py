"""Measures of a language model's memory, on models with known answers."""

import json

import numpy as np
import pytest

from lstm_attn.analysis import hierarchical_bootstrap
from lstm_attn.models import Model
from lstm_attn.studies import text_measures
from tests.analysis.looking_back import SIZE, delayed

UNKNOWN, KNOWN = np.log2(SIZE), -np.log2(0.9)
PERIODIC = np.tile(np.arange(8) % SIZE, 100)


def asked(**changed):
    default = {
        "contexts": (4, 8, 32), "tokens": 20, "passage": 6, "distances": (6, 12, 40), "passages": 30
    }  # fmt: skip
    return text_measures.MemoryConfig(**{**default, **changed})


def test_context_helps_a_model_that_looks_eight_tokens_back():
    """Closed form: from eight tokens on, the next one has probability .9. Catches a fall with the
    wrong sign, one relative to the longest context, and a measure of one trial alone."""
    points = text_measures.by_context(delayed(8), [None, None], PERIODIC, asked())
    assert [point["context"] for point in points] == [4, 8, 32]
    np.testing.assert_allclose(
        [point["mean"] for point in points], [UNKNOWN, KNOWN, KNOWN], rtol=1e-5
    )
    falls = [point["fall"]["mean"] for point in points]
    np.testing.assert_allclose(falls, [0, UNKNOWN - KNOWN, UNKNOWN - KNOWN], rtol=1e-5)


def test_contexts_longer_than_the_text_are_left_out():
    """Catches an index error on a short text."""
    short = text_measures.by_context(delayed(8), [None], PERIODIC[:20], asked())
    assert [point["context"] for point in short] == [4, 8]
    far = text_measures.by_distance(delayed(8), [None], PERIODIC[:20], SIZE, asked(), 0)
    assert [point["distance"] for point in far] == [6, 12]


def test_positions_are_put_together_by_powers_of_two():
    """Closed form: of the tokens with 5 to 8 before them only the last is known. Catches bins that
    are off by one, overlap or leave a token out."""
    points = text_measures.by_position(delayed(8), [None], PERIODIC, asked())
    ends = [(point["first"], point["last"]) for point in points]
    assert ends == [(1, 1), (2, 2), (3, 4), (5, 8), (9, 16), (17, 32)]
    expected = [UNKNOWN] * 3 + [(3 * UNKNOWN + KNOWN) / 4, KNOWN, KNOWN]
    np.testing.assert_allclose([point["mean"] for point in points], expected, rtol=1e-5)


def test_a_passage_is_known_again_at_its_distance_alone():
    """Closed form: the loss with the passage before is -log2 .9. Catches text and control exchanged."""
    tokens = np.random.default_rng(0).integers(0, SIZE, 300)
    points = text_measures.by_distance(delayed(12), [None], tokens, SIZE, asked(), 0)
    near, at, far = (point["mean"] for point in points)
    assert at == pytest.approx(points[1]["loss"] - KNOWN, rel=1e-5)
    assert at > 1
    assert abs(near) < 0.3
    assert abs(far) < 0.3


def test_each_seed_has_its_figure():
    """By hand. Catches a mean over the wrong axis, and a bootstrap over one of the two alone."""
    values = np.array([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]])
    found = text_measures.over_seeds(values)
    assert found["by_seed"] == [2.0, 4.0]
    assert (found["mean"], found["low"], found["high"]) == hierarchical_bootstrap(values)


def measured(name, means, blocks=(0.0, 1.0, -1.0, 0.5)):
    """A model of these means by seed, all on the same blocks."""
    return {"model": name, "blocks": (np.array(means)[:, None] + np.array(blocks)).tolist()}


SEEDS = np.array([-0.02, -0.01, 0.0, 0.01, 0.02])


def test_a_difference_that_excludes_0_is_said():
    """By hand: the second needs .5 bits fewer on every block. Catches the sign of a difference, the
    better model taken for the worse, and blocks that differ between models."""
    (pair,) = text_measures.pairs([measured("a", 2.5 + SEEDS), measured("b", 2.0 + SEEDS)])
    assert (pair["first"], pair["second"]) == ("a", "b")
    assert pair["mean"] == pytest.approx(-0.5)
    assert -0.55 < pair["low"] < -0.5 < pair["high"] < -0.45
    numbers = f"0.500 ({-pair['high']:.3f} to {-pair['low']:.3f})"
    assert pair["verdict"] == f"b needs {numbers} fewer bits per byte than a"
    (turned,) = text_measures.pairs([measured("b", 2.0 + SEEDS), measured("a", 2.5 + SEEDS)])
    assert turned["verdict"].startswith("b needs 0.500 (0.4")


@pytest.mark.parametrize(("apart", "seeds"), [(0.01, 5), (0.5, 4)])
def test_a_difference_within_noise_or_of_few_seeds_is_not_said(apart, seeds):
    """By the protocol: no sentence where the interval holds 0, or with fewer than 5 seeds."""
    few = SEEDS[:seeds]
    (pair,) = text_measures.pairs([measured("a", 2.0 + few), measured("b", 2.0 + apart + few)])
    assert (pair["low"] > 0) == (apart == 0.5)
    assert pair["verdict"] is None


def test_every_two_models_are_compared():
    """By hand. Catches a model compared with the first alone."""
    found = text_measures.pairs([measured(name, 2.0 + SEEDS) for name in "abc"])
    assert [(one["first"], one["second"]) for one in found] == [("a", "b"), ("a", "c"), ("b", "c")]


def test_a_model_that_diverged_is_null_in_json():
    """Oracle: JSON, which has no NaN. Catches a run that ends in a traceback after all training."""
    lost = Model(
        lambda key: None, lambda params, ids: np.full((*ids.shape, SIZE), np.nan, np.float32)
    )
    found = text_measures.by_distance(lost, [None], PERIODIC, SIZE, asked(), 0)
    assert json.loads(json.dumps(found, allow_nan=False))[0]["loss"] is None
    (pair,) = text_measures.pairs([measured("a", SEEDS), measured("b", [*SEEDS[1:], np.nan])])
    assert [pair[key] for key in ("mean", "low", "high", "verdict")] == [None] * 4
