"""A fresh run against the committed one."""

import json

import pytest

from tools import check_quick


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ((0.1, 0.4), (0.3, 0.9), True),
        ((0.3, 0.9), (0.1, 0.4), True),
        ((0.0, 0.3), (0.31, 1.0), False),
        ((0.31, 1.0), (0.0, 0.3), False),
    ],
)
def test_intervals_overlap_in_either_order(first, second, both):
    """By hand. Catches one order alone, and ends exchanged."""
    records = [
        {"remember_rate_low": low, "remember_rate_high": high} for low, high in (first, second)
    ]
    assert check_quick.overlap(*records) is both


def test_cells_are_compared_by_name(run_path, tmp_path, monkeypatch, capsys):
    """Oracle: a run agrees with itself, and not with one whose rates are the opposite. Catches cells
    compared by their place, and a status that does not say so."""
    other = tmp_path / "other"
    other.mkdir()
    for path in run_path.glob("*.json*"):
        (other / path.name).write_bytes(path.read_bytes())
    records = json.loads((other / "results.json").read_text())[::-1]
    (other / "results.json").write_text(json.dumps(records))
    monkeypatch.setattr(check_quick, "COMMITTED", run_path)
    assert check_quick.main([str(other)]) == 0
    for record in records:
        low, high = record["remember_rate_low"], record["remember_rate_high"]
        shifted = (0.0, 0.0) if low > 0.3 else (1.0, 1.0)
        record["remember_rate_low"], record["remember_rate_high"] = shifted
        assert high >= low
    (other / "results.json").write_text(json.dumps(records))
    assert check_quick.main([str(other)]) == 1
    assert "intervals overlap in 0 of 8 cells" in capsys.readouterr().out
    assert check_quick.main([str(tmp_path / "none")]) == 2
