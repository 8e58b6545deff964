"""The comparison as a user runs it: a process of its own."""

import dataclasses
import importlib
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from absl import flags
from rich.console import Console

from lstm_attn.history import History
from lstm_attn.runner import grow
from lstm_attn.runner.session import Session
from lstm_attn.runner.train_cells import measured
from lstm_attn.runs import RunFolder
from lstm_attn.training import trial_settings
from tests import PATIENCE
from tests.studies import tiny_text

ROOT = Path(__file__).parent.parent
# Two cells of a second each, many checkpoints.
TINY = (
    "--config.models=('gru','lstm')",
    "--config.task.names=('adding',)",
    "--config.task.lengths=(4,)",
    "--config.model.features=4",
    "--config.training.steps=1500",
    "--config.training.evaluate_every=5",
    "--config.training.warmup_steps=10",
    "--config.training.evaluation_sequences=20",
    "--config.training.confirmation_sequences=40",
    "--config.training.seeds=2",
    "--config.training.learning_rates=(0.01,)",
    "--config.training.stop_when_solved=False",
)


@pytest.fixture(autouse=True, scope="module")
def flags_are_parsed():
    """Flags as `app.run` leaves them, for a study that a test calls: it reads --launcher, which is
    this process by default."""
    flags.FLAGS.mark_as_parsed()


@pytest.fixture(scope="session")
def compilation_cache(request):
    """The folder of compiled programs that all tests of this run share."""
    return Path(request.config.programs)


@pytest.fixture(scope="session")
def compare(compilation_cache):
    """Starts `python -m experiments.compare` on the quick config with overrides.

    variables: of the environment, in addition to those of the tests.
    """
    # Without the cluster on which the tests may run.
    others = ("JAX_COMPIL", "RAY_", "SLURM_", "SUBMITIT_")
    usual = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    environment = {
        **usual,
        # The kernel need not be built, and says so on stderr.
        "PYTHONWARNINGS": "error::RuntimeWarning,ignore:the LSTM and attention run without their C++ kernels",
        "JAX_COMPILATION_CACHE_DIR": str(compilation_cache),
    }

    def start(workdir, *overrides, config=("--config=configs/quick.py",), variables=None):
        # Tests in the background of a shell ignore SIGINT, and a child would inherit that.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return subprocess.Popen(
                [sys.executable, "-m", "experiments.compare", *config,
                 f"--workdir={workdir}", *overrides],
                cwd=ROOT, env={**environment, **(variables or {})},
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
        finally:
            signal.signal(signal.SIGINT, before)

    return start


@pytest.fixture(scope="session")
def whole(compare, tmp_path_factory):
    """An uninterrupted run, and what it printed."""
    workdir = tmp_path_factory.mktemp("whole") / "run"
    process = compare(workdir, *TINY)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    return workdir, out


@pytest.fixture(scope="session")
def text_study():
    """text_study(path of the text, folder) runs the tiny study of text there in this process, and
    returns what it printed; its programs are compiled the first time."""
    programs = {}

    def run(path, folder):
        with tiny_text.compiled_once(programs):
            return tiny_text.study(path, folder)

    return run


@pytest.fixture(scope="session")
def text_run(text_study, tmp_path_factory):
    """An uninterrupted run of it, and what it printed."""
    place = tmp_path_factory.mktemp("text_run")
    return place / "run", text_study(tiny_text.text_in(place), place / "run")


@pytest.fixture
def make_records(monkeypatch):
    """Replaces the training of a study by known records.

    make_records(ends): cell name -> for each trial the step at which it solves, or None.
    """

    def in_place_of_training(ends):
        def train(session, cells):
            placed = [one.cell for one in grow.place(cells, session.folder)]
            for cell, asked in zip(placed, cells, strict=True):
                session.folder.add_result(record_of(cell, ends[asked.name]))
            return placed

        monkeypatch.setattr(Session, "train", train)

    return in_place_of_training


def study_of(name):
    """The study of that name: in the package, the function hides its module of the same name."""
    return importlib.import_module(f"lstm_attn.studies.{name}").STUDY


def do_study(study, config, path):
    """Runs a study in a folder, which may exist, as its command does.

    Returns:
      The folder, and all that was printed.
    """
    folder = RunFolder.open(path, dataclasses.asdict(config))
    folder.begin({"started": "now", "commit": "none", "device": {"kind": "a machine"}})
    console = Console(file=io.StringIO(), width=100)
    result = study.run(config, Session(folder, console))
    return folder, f"{console.file.getvalue()}{result}"


def record_of(cell, ends):
    """The record of a cell whose trials solve at these steps."""
    steps = np.arange(1, cell.training.steps + 1)
    solved = np.array([[end is not None and step >= end for end in ends] for step in steps])
    history = History(
        steps=steps,
        seconds=steps / 2,
        metrics={"loss": np.where(solved, 0.01, 0.1)},
        remembers=solved,
        solved=solved,
        diverged=np.zeros_like(solved),
        seeds=trial_settings(cell.training)[0],
        learning_rates=trial_settings(cell.training)[1],
    )
    return measured(cell, history)
