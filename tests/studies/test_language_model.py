"""The study of language models from its command on: errors, its run folder, and resuming."""

import dataclasses
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from lstm_attn import report, studies, trained
from lstm_attn.errors import UsageError
from lstm_attn.runner.launchers import cell_folder
from lstm_attn.runs import RunFolder
from tests import PATIENCE
from tests.runner.door import knock
from tests.studies.tiny_text import arrays_of, config_of, language_model, text_in, trained_on

ROOT = Path(__file__).parent.parent.parent
CELL = "text-8-lstm"


pytestmark = [
    pytest.mark.usefixtures("compiled_quickly"),
    pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning"),
]


def test_a_run_holds_all_that_its_page_shows(text_run):
    """Identity: the page drawn again from JSON and metrics alone is the page of the run. Catches a
    number that is on the page and not in the folder, and progress that counts solved trials."""
    run, out = text_run
    assert re.search(r"text-8-lstm  step 12  \d\.\d+ bits a token  left ", out)
    assert re.search(r"text-8-lstm  \d\.\d+ bits a token, \d+ s\n", out)
    assert "solved" not in out
    page = (run / "report.html").read_bytes()
    for path in (*run.glob("*.png"), run / "report.html"):
        path.unlink()
    hidden = [(run / name, run / f".{name}") for name in ("text", "checkpoints")]
    for path, elsewhere in hidden:
        path.rename(elsewhere)
    report.write(run)
    for path, elsewhere in hidden:
        elsewhere.rename(path)
    assert (run / "report.html").read_bytes() == page


@pytest.mark.full
def test_a_run_goes_on_without_its_text_to_the_same_bits(
    text_study, text_run, tmp_path, monkeypatch
):
    """Identity with an uninterrupted run. Catches a carry that is not in the checkpoint, data that
    restart, and ids read from a text that has changed since."""
    sample = {"prompt": {"text": ""}, "text": ""}
    monkeypatch.setattr(language_model, "look_at", lambda *_: {"samples": [sample]})
    monkeypatch.setattr(language_model, "bits_table", lambda _: "")
    monkeypatch.setattr(language_model, "pairs", lambda _: [])
    monkeypatch.setattr(report, "write", lambda _: None)
    path = text_in(tmp_path)
    add, left = RunFolder.add_evaluation, iter(range(3))

    def add_some(*arguments):
        if next(left, None) is None:
            raise KeyboardInterrupt
        add(*arguments)

    monkeypatch.setattr(RunFolder, "add_evaluation", add_some)
    with pytest.raises(KeyboardInterrupt):
        text_study(path, tmp_path / "run")
    monkeypatch.setattr(RunFolder, "add_evaluation", add)
    path.write_text("another text\n")
    text_study(path, tmp_path / "run")
    ours, other = RunFolder(tmp_path / "run"), RunFolder(text_run[0])
    states, expected = (load_file(folder.checkpoint(CELL)) for folder in (ours, other))
    assert any("carried" in name for name in expected)
    assert states.keys() == expected.keys()
    for name in states:
        np.testing.assert_array_equal(states[name], expected[name])
    for mine, theirs in zip(ours.evaluations(CELL), other.evaluations(CELL), strict=True):
        np.testing.assert_array_equal(mine.metrics["loss"], theirs.metrics["loss"])


def test_a_damaged_text_stops_a_run_before_it_goes_on(text_study, text_run, tmp_path):
    """Catches a run that resumes with other ids than it began with."""
    folder = shutil.copytree(text_run[0], tmp_path / "run")
    ids = bytearray((folder / "text" / "train.tokens").read_bytes())
    ids[5] ^= 1
    (folder / "text" / "train.tokens").write_bytes(ids)
    with pytest.raises(language_model.UsageError, match="train.tokens is damaged: its ids are not"):
        text_study(text_run[0].parent / "text.txt", folder)


def test_a_worker_finds_the_text_of_its_run(text_run, tmp_path):
    """Identity of the ids that the worker's cell and the driver's read. Catches a cell that only
    the driver can build, and a folder that is refused when the same command is given again."""
    folder = RunFolder(shutil.copytree(text_run[0], tmp_path / "run"))
    config = config_of(tmp_path / "text.txt")
    task = language_model.prepared(config, folder)
    [cell] = language_model.cells(config, task)
    path = cell_folder.hand_out(cell, folder)
    found = cell_folder.cell_of(path)
    assert cell_folder.config_of(found) == cell_folder.config_of(cell)
    read = (np.array([0, 1]), 0, 2, 4)
    np.testing.assert_array_equal(found.task.read(*read), task.read(*read))
    assert cell_folder.hand_out(cell, folder) == path


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A study of one model whose rate is tuned: its arguments, its folder and its result."""
    place = tmp_path_factory.mktemp("tuned")
    arguments = {
        **dataclasses.asdict(config_of(text_in(place))), "workdir": place / "run", "models": "lstm",
    }  # fmt: skip
    arguments["training"] |= {"learning_rates": (0.001, 0.1), "seeds": 2}
    return arguments, place / "run", studies.language_model(**arguments)


@pytest.mark.full
def test_the_rate_is_tuned_on_other_seeds_of_the_same_text(tuned):
    """By the protocol, and identity with the validation losses in metrics.jsonl. Catches a rate
    chosen by another loss, tests on tuning seeds, a second copy of the text, and a folder of tuning
    whose models find no text."""
    _, run, result = tuned
    (record,), (noted,) = result.records, RunFolder(run).study("tuning")["cells"]
    tuning = RunFolder(run / "tuning")
    (trained_there,) = tuning.results
    assert [trial["seed"] for trial in record["per_trial"]] == [0, 1]
    assert {trial["seed"] for trial in trained_there["per_trial"]} == {100}
    losses = tuning.evaluations(CELL)[-1].metrics["loss"]
    whole = [one for one in trained_there["per_trial"] if one["steps"] == 12]
    (best,) = (one for one in whole if one["final_loss"] == losses.min())
    assert {trial["learning_rate"] for trial in record["per_trial"]} == {best["learning_rate"]}
    assert noted["window"] is None
    (measured,) = result.measured["models"]
    assert measured["learning_rate"] == best["learning_rate"]
    assert measured["tuning"] == {key: noted[key] for key in ("trials", "steps", "seconds")}
    assert not (run / "tuning" / "text").exists()
    inner, outer = (trained.load(path, CELL).task.text for path in (run / "tuning", run))
    assert inner.splits["train"].sha256 == outer.splits["train"].sha256
    cell = trained.load(run / "tuning", CELL)
    assert (cell.seeds == 100).all()
    assert "Loss / baseline" in (run / "report.html").read_text()


@pytest.mark.full
def test_a_tuned_run_goes_on_without_training(tuned, capsys):
    """Catches tuning that is done again."""
    arguments, _, result = tuned
    again = studies.language_model(**arguments)
    assert again.records == result.records
    assert again.measured == result.measured
    assert "compiling" not in capsys.readouterr().out


def test_several_rates_are_never_pooled():
    """Catches a cell whose trials differ in their rates, and a test on the tuning seeds."""
    for changed, message in (
        ({"seeds": 0}, "tuning.seeds: expected at least 1 to choose a rate"),
        ({"first_seed": 2}, "tuning.first_seed: expected seeds that no test has"),
        ({"positions": ("rotary", "learned")}, "model.positions: learned ones reach as far as"),
    ):
        with pytest.raises(UsageError, match=message):
            language_model.STUDY.configure({}, {"tuning": changed})


def test_cells_of_one_model_have_names_of_their_own():
    """By hand. Catches two rows of a table, or files of figures, with one name."""
    records = [
        {"model": model, "length": 8, "cell": cell}
        for model, cell in (
            ("gru", "text-8-gru"), ("lstm", "text-8-lstm+x=1"), ("gru", "text-8-gru+steps=8"),
        )
    ]  # fmt: skip
    assert language_model.labels(records) == ["gru", "lstm", "gru +steps=8"]


GIVEN = (
    "--config=configs/language_model.py",
    "--config.length=16",
    "--config.data.held_out=0.05",
    "--config.training.evaluation_sequences=16",
)


@pytest.mark.parametrize(
    ("data", "flags", "message"),
    [
        (None, (), "text.txt: expected a file or a folder, got none"),
        ({}, (), "text.txt: expected some text, got none"),
        (b"", (), "text.txt: expected some text, got none"),
        (b"a\nb\n", (), "text.txt: 4 bytes are too few to cut off twice 5%"),
        (b"abc\n" * 200, (), "validation split has 40 tokens, expected more than 256"),
        (b"a\0b\n" * 9999, (), "text.txt: expected text, got a zero byte at offset "),
        ("Stra\xdfe\n".encode("latin-1") * 9999, (), "text.txt: expected UTF-8, got invalid"),
        ("Stra\xdfe\n".encode("latin-1") * 9999, ("--config.data.level=byte",), None),
        (b"abc\n" * 9999, (), None),
        (b"abc\n" * 9999, ("--config.data.level=bytes",), "unknown data.level 'bytes'"),
        (b"abc\n" * 9999, ("--config.length=8",),
         "memory.contexts: expected the shortest to be at most length=8, got 16"),
        (b"abc\n" * 9999, ("--config.model.positions=learned",),
         "model.positions: learned ones reach as far as length=16; expected others, or length of at least 1039"),
        (b"abc\n" * 99999, ("--config.model.positions=learned", "--config.length=1039"), None),
    ],
)  # fmt: skip
def test_an_unusable_text_is_one_line(tmp_path, data, flags, message):
    """Oracle: by hand. Catches a traceback, and a run folder that is begun: it would refuse the
    same command with another path."""
    path = tmp_path / "text.txt"
    if isinstance(data, bytes):
        path.write_bytes(data)
    elif data is not None:
        path.mkdir()
    workdir = tmp_path / "run"
    given = [*GIVEN, f"--config.data.path={path}", f"--workdir={workdir}", *flags]
    found = knock(language_model.STUDY, given)
    if message is None:
        assert found.settings, found.err
        return
    assert found.status == 2
    assert found.err.startswith("error: ")
    assert message in found.err
    assert found.err.count("\n") == 1
    assert not workdir.exists()


@pytest.mark.parametrize("asked", ["by the command", "by the function"])
def test_a_missing_package_is_noticed_before_anything_is_begun(tmp_path, monkeypatch, asked):
    """Catches a run folder that is begun, and would refuse the same command with another level."""
    monkeypatch.setitem(sys.modules, "tokenizers", None)  # an import of it fails
    path, workdir = text_in(tmp_path, lines=["abc\n"] * 9999), tmp_path / "run"
    if asked == "by the command":
        level = "--config.data.level=bpe"
        given = [*GIVEN, f"--config.data.path={path}", f"--workdir={workdir}", level]
        message = knock(language_model.STUDY, given).err
    else:
        with pytest.raises(UsageError) as caught:
            studies.language_model("lstm", path, level="bpe", length=16, workdir=workdir)
        message = str(caught.value)
    assert "data.level=bpe wants the package tokenizers: pip install 'lstm_attn[text]'" in message
    assert not workdir.exists()


@pytest.mark.full
def test_two_processes_read_what_one_reads(tmp_path):
    """Identity with training in this process, bit for bit, one trial a device in both. Catches data
    that a process reads for its own trial alone, and texts that differ between processes."""
    with socket.create_server(("", 0)) as server:
        address = f"localhost:{server.getsockname()[1]}"
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "1", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.studies.tiny_text", address, process, tmp_path],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True,
        )
        for process in ("0", "1")
    ]  # fmt: skip
    expected = arrays_of(trained_on(text_in(tmp_path), tmp_path / "run"))
    for process in both:
        out, _ = process.communicate(timeout=PATIENCE)
        assert (
            "error: process 1 was started with another text (or none that it can read) than process 0\n"
            in out
        )
    with np.load(tmp_path / "found.npz") as found:
        assert found.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array)
