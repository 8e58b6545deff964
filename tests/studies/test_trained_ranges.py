"""Which rows of length generalisation count, and the tests between ranges, on hand-made rows."""

import pytest

from lstm_attn.studies.trained_ranges import findings, range_tests, which_count

LENGTHS = (10, 20, 40, 80)


def row(model="lstm", shortest=20, up_to=(), positions=None, log_forgotten=-1.0, **changes):
    """A row whose seed k remembers the tested lengths up to up_to[k]."""
    ending = f"_{positions}" if positions else ""
    return {
        "cell": f"adding-{shortest}-{model}{ending}", "task": "adding", "length": 20,
        "shortest": shortest, "model": model, "positions": positions, "budget": 100,
        "log_forgotten": log_forgotten, "counts": True,
        "at": [
            {
                "length": length,
                "per_trial": [
                    {"seed": seed, "remembers": length <= longest}
                    for seed, longest in enumerate(up_to)
                ],
            }
            for length in LENGTHS
        ],
        **changes,
    }  # fmt: skip


def counting(rows):
    return [one["cell"] for one in which_count(rows) if one["counts"]]


def test_the_scheme_that_forgot_least_on_the_tuning_seeds_counts():
    """By hand. Catches the scheme that remembers most on the test seeds, the one that forgot most, a
    choice over all ranges or models at once, and a model without positions that is left out."""
    rows = [
        row("transformer", 20, (80,) * 4, "none", -2.0),
        row("transformer", 20, (20,) * 4, "rotary", -3.0),
        row("transformer", 20, (80,) * 4, "alibi", None),
        row("transformer", 5, (20,) * 4, "none", -2.5),
        row("transformer", 5, (20,) * 4, "rotary", -2.0),
        row("lstm", 20, (20,) * 4, log_forgotten=-1.0),
        row("lstm", 5, (20,) * 4, log_forgotten=None),
    ]
    assert counting(rows) == [
        "adding-20-transformer_rotary", "adding-5-transformer_none", "adding-20-lstm",
        "adding-5-lstm",
    ]  # fmt: skip


def test_schemes_that_were_not_tuned_do_not_count():
    """Catches a choice on the test seeds, and the first scheme taken for the best."""
    schemes = [row("transformer", positions=name, log_forgotten=None) for name in ("none", "alibi")]
    assert counting(schemes) == []
    assert counting(schemes[:1]) == ["adding-20-transformer_none"]


def test_ranges_are_tested_at_each_length_beyond_the_trained_one():
    """By hand. Of twelve seeds the one trained on 5 to 20 remembers twelve at 40, and one at 80, of
    which the other has none: p = 2 / 2^12 and 1, times two for Holm. Catches a test at trained
    lengths, ranges exchanged, p before Holm, and seeds that are paired by their place."""
    alone, over_range = row(up_to=(20,) * 12), row(shortest=5, up_to=(40,) * 11 + (80,))
    shuffled = {
        **over_range,
        "at": [{**at, "per_trial": at["per_trial"][::-1]} for at in over_range["at"]],
    }
    for second in (over_range, shuffled):
        near, far = range_tests([alone, second])
        assert (near["length"], far["length"]) == (40, 80)
        assert (near["first"], near["second"]) == (
            "lstm trained on T = 20", "lstm trained on T = 5 to 20",
        )  # fmt: skip
        assert (near["first_ahead"], near["second_ahead"], near["pairs"]) == (0, 12, 12)
        assert (far["first_ahead"], far["second_ahead"], far["pairs"]) == (0, 1, 12)
        assert near["p"] == pytest.approx(2 * 2 / 2**12)
        assert far["p"] == 1
        assert near["verdict"].startswith(
            "lstm trained on T = 5 to 20 remembers on more seeds than lstm trained on T = 20: 12 to 0"
        )
        assert far["verdict"] is None


def test_only_rows_that_count_of_one_model_are_tested():
    """By hand: the Transformer's tuned schemes differ by range and are compared all the same.
    Catches a pair across models, tasks or budgets, a scheme that lost, and other seeds."""
    ends = (20,) * 4
    rows = [
        row("transformer", 20, ends, "none", -1.0), row("transformer", 20, ends, "rotary", -2.0),
        row("transformer", 5, ends, "none", -2.0), row("transformer", 5, ends, "rotary", -1.0),
        row("gru", 20, ends), row("lstm", 5, ends), row("gru", 5, ends, budget=200),
        row("lstm", 20, ends[:3]),
    ]  # fmt: skip
    found = findings(rows)
    assert [(test["first"], test["second"], test["length"]) for test in found["tests"]] == [
        ("transformer rotary trained on T = 20", "transformer none trained on T = 5 to 20", length)
        for length in (40, 80)
    ]
    assert len(found["cells"]) == len(rows)
