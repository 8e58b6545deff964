"""A grid of any tasks: two of the field, with a variant, trained, resumed and reported by name."""

import pytest

from lstm_attn import studies


@pytest.mark.full
def test_a_grid_mixes_tasks(tmp_path):
    """Oracle: the names of its records, and the page's sections. Catches a task that needs code of its
    own in the trainer or the report, and a variant that is lost in a run folder."""
    settings = {
        "workdir": tmp_path, "features": 4, "num_heads": 2, "steps": 2, "seeds": 2,
        "learning_rates": 0.01, "evaluation_sequences": 8, "batch_size": 4, "lengths": 8,
    }  # fmt: skip
    names = ["selective_copy", "mqar:uniform"]
    result = studies.compare("lstm", names, **settings)
    found = [(r["task"], r["variant"], r["criterion"]) for r in result.records]
    assert found == [
        ("selective_copy", "slots", "at least 99 % of letters right"),
        ("mqar", "uniform", "at least 99 % of values right"),
    ]
    assert all(record["trials"] == 2 for record in result.records)
    again = studies.compare("lstm", names, **settings)  # from the run folder
    assert again.records == result.records
    page = (tmp_path / "report.html").read_text()
    assert "selective_copy" in page
    assert "mqar" in page
    assert "recalled position" in page
