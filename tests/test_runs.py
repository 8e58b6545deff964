"""The run folder: what is written is read back, whatever was torn."""

import json

import numpy as np
import pytest

from lstm_attn import runs
from lstm_attn.errors import UsageError
from lstm_attn.history import Evaluation
from lstm_attn.runs import RunFolder

CONFIG = {"models": ("lstm",), "training": {"steps": 10, "learning_rates": (0.01,)}}


def evaluation(step, seed=0):
    rng = np.random.default_rng(seed)
    metrics = {
        "loss": np.append(rng.normal(size=2), np.nan).astype(np.float32),
        "accuracy_by_position": rng.random((3, 4)).astype(np.float32),
    }
    flags = np.array([True, False, False])
    return Evaluation(step, 1.25, metrics, flags | flags[::-1], flags, flags[::-1])


def test_scalars_of_an_evaluation():
    """Oracle: by hand. Catches a trial under the number of another, a metric of several numbers
    that is squeezed into one, and a share of all evaluations in place of all trials."""
    loss = evaluation(5).metrics["loss"]
    found = evaluation(5).scalars()
    assert np.isnan(found.pop("loss/2"))  # of the trial that diverged
    assert found == {
        "loss/0": loss[0],
        "loss/1": loss[1],
        "loss/median": max(loss[:2]),
        "share/remember": pytest.approx(2 / 3),
        "share/exact": pytest.approx(1 / 3),
        "share/diverged": pytest.approx(1 / 3),
    }


@pytest.fixture
def folder(tmp_path):
    return RunFolder.open(tmp_path / "run", CONFIG)


def test_evaluations_come_back_bit_for_bit(folder):
    """Identity. Catches a float32 that JSON rounds, NaN that is lost, cells that are mixed up."""
    folder.add_evaluation("a", evaluation(5, seed=1))
    folder.add_evaluation("b", evaluation(5, seed=2))
    folder.add_evaluation("a", evaluation(10, seed=3))
    back = folder.evaluations("a")
    assert [e.step for e in back] == [5, 10]
    for ours, seed in zip(back, (1, 3), strict=True):
        for name, values in evaluation(0, seed).metrics.items():
            assert ours.metrics[name].dtype == np.float32
            np.testing.assert_array_equal(ours.metrics[name], values)
        np.testing.assert_array_equal(ours.solved, [True, False, False])
        np.testing.assert_array_equal(ours.diverged, [False, False, True])


def test_long_and_strange_text_comes_back_as_it_is(tmp_path):
    """Identity. Catches strings that are cut or escaped when read: a run whose config has a long
    path could not be resumed, and the next record would change the earlier ones."""
    text = "line\n\x1b[31m" + "\u2028é" * 1000
    RunFolder.open(tmp_path, {"data": {"path": text}})
    folder = RunFolder.open(tmp_path, {"data": {"path": text}})
    folder.add_result({"cell": "a", "text": text})
    folder.add_result({"cell": "b"})
    folder.write_study("sample", {"text": text})
    assert folder.config["data"]["path"] == folder.results[0]["text"] == text
    assert folder.study("sample") == {"text": text}


def test_every_line_is_strict_json(folder):
    """Catches NaN, which is not JSON and which other readers refuse."""
    folder.add_evaluation("a", evaluation(5))

    def refuse(word):
        raise AssertionError(word)

    text = (folder.path / "metrics.jsonl").read_text()
    assert json.loads(text, parse_constant=refuse)["metrics"]["loss"][2] is None


def test_a_torn_last_line_is_dropped(folder):
    """Catches a folder that can't be resumed after a power cut."""
    folder.add_evaluation("a", evaluation(5))
    with open(folder.path / "metrics.jsonl", "a") as file:
        file.write('{"cell": "a", "st')
    folder.drop_evaluations_after("a", 5)
    folder.add_evaluation("a", evaluation(10))
    assert [e.step for e in folder.evaluations("a")] == [5, 10]


def test_a_torn_line_does_not_spoil_the_next(folder):
    """Catches a line appended to half a line, so that neither can be read."""
    folder.add_evaluation("a", evaluation(5))
    with open(folder.path / "metrics.jsonl", "a") as file:
        file.write('{"cell": "a", "st')
    again = RunFolder.open(folder.path, CONFIG)
    again.add_evaluation("b", evaluation(5))
    assert [e.step for e in again.evaluations("a") + again.evaluations("b")] == [5, 5]


def test_what_came_after_the_checkpoint_is_dropped_for_its_cell_only(folder):
    """Catches an evaluation counted twice after resuming."""
    for cell, step in (("a", 5), ("b", 10), ("a", 10)):
        folder.add_evaluation(cell, evaluation(step))
    folder.drop_evaluations_after("a", 5)
    assert [e.step for e in folder.evaluations("a")] == [5]
    assert [e.step for e in folder.evaluations("b")] == [10]


def test_the_same_config_is_taken_up_again(folder):
    """Catches a tuple that differs from the list it becomes in JSON."""
    folder.add_result({"cell": 1})
    assert RunFolder.open(folder.path, CONFIG).results == [{"cell": 1}]


def test_the_config_is_that_of_the_latest_command(folder):
    """Catches a folder that can't grow, and a page that shows the settings of an older run."""
    other = {"models": ("gru",), "training": {"steps": 11, "learning_rates": (0.1, 0.2)}}
    again = RunFolder.open(folder.path, other)
    assert again.config == json.loads(json.dumps(other))


@pytest.mark.parametrize(
    ("other", "key"),
    [
        ({**CONFIG, "changes": ()}, "changes, which is only here"),
        ({"models": ("lstm",), "training": {"steps": 10}}, "training.learning_rates, which is only there"),
    ],
)  # fmt: skip
def test_another_study_is_refused_with_a_key_that_differs(folder, other, key):
    """Catches a folder in which one study continues another study's run."""
    with pytest.raises(ValueError, match=f"holds a run of another study: .* as {key}") as caught:
        RunFolder.open(folder.path, other)
    assert "\n" not in str(caught.value)
    assert folder.config == json.loads(json.dumps(CONFIG))


def test_a_record_takes_the_place_of_others(folder):
    """Oracle: by hand. Catches a cell that has two records once it has grown."""
    for name in ("a", "b", "a+part"):
        folder.add_result({"cell": name, "trials": 2})
    folder.add_result({"cell": "a", "trials": 4}, instead_of=["a+part"])
    assert folder.results == [{"cell": "b", "trials": 2}, {"cell": "a", "trials": 4}]


def test_evaluations_take_the_place_of_others(folder):
    """Oracle: by hand. Catches replaced lines that stay, and lines of another cell that go."""
    for name in ("a", "a+part", "b"):
        folder.add_evaluation(name, evaluation(5, seed=1))
    folder.replace_evaluations("a", [evaluation(5, seed=2)], also=["a+part"])
    assert [len(folder.evaluations(name)) for name in ("a", "a+part", "b")] == [1, 0, 1]
    np.testing.assert_array_equal(
        folder.evaluations("a")[0].metrics["loss"], evaluation(5, seed=2).metrics["loss"]
    )


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    """Catches a traceback of mkdir. A file in a folder's place stops even root."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"workdir .*file/run can't be written: Not a directory"):
        RunFolder.open(tmp_path / "file" / "run", CONFIG)


@pytest.mark.parametrize("note", [None, "", "[]", "{}", '{"format": "2"}', '{"format": 999}'])
def test_another_format_is_one_line_to_reader_and_writer(folder, note):
    """Catches a folder half understood, and the traceback of a reader. Nothing in it is changed."""
    if note is None:
        (folder.path / "format.json").unlink()
    else:
        (folder.path / "format.json").write_text(note)
    (folder.path / "config.json").write_text("of a kind that nobody here knows")
    before = {path.name: path.stat().st_mtime_ns for path in folder.path.iterdir()}
    for read in (RunFolder, lambda path: RunFolder.open(path, CONFIG)):
        with pytest.raises(UsageError, match="format.json") as caught:
            read(folder.path)
        assert "\n" not in str(caught.value)
    assert {path.name: path.stat().st_mtime_ns for path in folder.path.iterdir()} == before


def test_a_folder_begun_but_stopped_is_taken_up(folder):
    """Oracle: by hand, stopped before the first and before the second file. Catches a folder that
    is refused because it has no config yet."""
    for name in ("config.json", "format.json"):
        (folder.path / name).unlink()
        RunFolder(folder.path)
    assert RunFolder.open(folder.path, CONFIG).config["models"] == ["lstm"]


@pytest.mark.parametrize(
    ("place", "write"),
    [
        ("metrics.jsonl", lambda folder: folder.add_evaluation("a", evaluation(5))),
        ("results.json.partial", lambda folder: folder.add_result({"cell": "a"})),
        ("horizon.json.partial", lambda folder: folder.write_study("horizon", {})),
        ("environment.json.partial", lambda folder: folder.begin({"started": "now"})),
        ("profile/times.json.partial", lambda folder: folder.add_times({"cell": "a"})),
    ],
)
def test_a_full_disk_is_one_line_at_every_write(folder, place, write):
    """Oracle: the system's own error, of /dev/full. Catches a traceback, and a message that does
    not say where."""
    path = folder.path / place
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/full")
    named = place.removesuffix(".partial")
    with pytest.raises(ValueError, match=f"{named} can't be written: No space left") as caught:
        write(folder)
    assert "\n" not in str(caught.value)


def test_a_record_follows_what_it_speaks_of(folder, monkeypatch):
    """Catches a cell that counts as finished before its checkpoint is on disk."""
    forced = []
    monkeypatch.setattr(runs, "force", lambda *paths: forced.extend(paths))
    folder.checkpoint("a").touch()
    folder.add_result({"cell": "a"})
    assert forced == [folder.path / "metrics.jsonl", folder.checkpoint("a")]


def test_environment_is_kept_and_what_changed_is_named(folder):
    """Catches a resumed run that hides another JAX version."""
    before = {"started": "then", "versions": {"jax": "1", "numpy": "2"}}
    assert folder.begin(before) == []
    assert folder.begin({"started": "now", "versions": {"jax": "3", "numpy": "2"}}) == [
        "versions.jax"
    ]
    assert folder.environment == before


def test_damaged_files_are_one_line(folder):
    """Catches the traceback of a JSON reader."""
    (folder.path / "metrics.jsonl").write_text("{}}\n")
    with pytest.raises(ValueError, match=r"metrics.jsonl, line 1: not JSON"):
        folder.evaluations("a")
    (folder.path / "results.json").write_text("")
    with pytest.raises(ValueError, match=r"results.json can't be read"):
        _ = folder.results
    (folder.path / "config.json").write_text("")
    with pytest.raises(ValueError, match=r"config.json can't be read"):
        RunFolder.open(folder.path, CONFIG)


def test_a_folder_of_other_files_is_refused_and_left_as_it_is(tmp_path):
    """Catches another folder, such as a clone of a repository, taken for a run folder."""
    (tmp_path / "README.md").write_text("a project")
    with pytest.raises(UsageError, match=r"is not a run folder: .*found README.md") as caught:
        RunFolder.open(tmp_path, CONFIG)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


@pytest.mark.parametrize("path", ["", 3, None])
def test_what_is_no_path_is_one_line(path):
    """Catches the working directory taken for a run folder, and a traceback."""
    with pytest.raises(UsageError, match=f"workdir: expected the path of a folder, got {path!r}"):
        RunFolder.open(path, CONFIG)
