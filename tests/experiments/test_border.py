"""What a user can get wrong: one clear line, status 2, no traceback."""

import pytest


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("--config.models=('lsmt',)", "unknown model 'lsmt': did you mean lstm"),
        ("--config.task.names=('ading',)", "unknown task 'ading': did you mean adding"),
        (
            "--config.task.lenghts=(5,)",
            "unknown config key 'task.lenghts': did you mean task.lengths",
        ),
        ("--config.task.lengths=(1,)", "adding: length expected at least 2, got 1"),
        ("--config.model.num_heads=3", "num_heads expected a divisor of features=32, got 3"),
        ("--config.training.seeds=0", "training.seeds: expected at least 1, got 0"),
        ("--config.training.steps=many", "invalid literal for int() with base 10: 'many'"),
        ("--config.task.lengths=('ten',)", "task.lengths"),
        ("--config.models=()", "models: expected at least one, got none"),
        ("--workdir=/dev/null/run", "workdir /dev/null/run can't be written: Not a directory"),
        (
            "--config=configs/qiuck.py",
            "--config expected a Python file, found none at 'configs/qiuck.py'",
        ),
        ("--confg=x", "Unknown command line flag 'confg'"),
        ("resume", "unexpected argument 'resume'"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(compare, tmp_path, override, message):
    """Catches a traceback, a message without the key, and work begun before the config is checked."""
    process = compare(tmp_path / "run", override)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2, err
    assert message in err
    assert err.count("\n") == 1, err
    assert out == ""
    assert not (tmp_path / "run").exists()


def test_an_empty_workdir_is_one_line(compare):
    """Catches an empty path taken for a folder."""
    process = compare("")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "workdir" in err
    assert err.count("\n") == 1
