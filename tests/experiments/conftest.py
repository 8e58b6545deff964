"""The comparison as a user runs it: a process of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
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
    "--config.training.seeds=2",
    "--config.training.stop_when_solved=False",
)


@pytest.fixture(scope="session")
def compilation_cache(tmp_path_factory):
    """A cache of the tests' own, filled by the first run of a program."""
    return tmp_path_factory.mktemp("compilation_cache")


@pytest.fixture(scope="session")
def compare(compilation_cache):
    """Starts `python -m experiments.compare` on the quick config with overrides."""
    usual = {name: value for name, value in os.environ.items() if not name.startswith("JAX_COMPIL")}
    environment = {
        **usual,
        "PYTHONWARNINGS": "error::RuntimeWarning",
        "JAX_COMPILATION_CACHE_DIR": str(compilation_cache),
    }

    def start(workdir, *overrides, config=("--config=configs/quick.py",)):
        # Tests that a shell runs in its background ignore SIGINT, and a child would inherit that.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return subprocess.Popen(
                [sys.executable, "-m", "experiments.compare", *config,
                 f"--workdir={workdir}", *overrides],
                cwd=ROOT, env=environment,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
        finally:
            signal.signal(signal.SIGINT, before)

    return start
