"""A language model that trains in a second, on two thousand characters; also in two processes.

python -m tests.studies.tiny_text ADDRESS PROCESS FOLDER
"""

import contextlib
import dataclasses
import importlib
import io
import sys
from pathlib import Path
from unittest import mock

import jax
import numpy as np
from rich.console import Console

from configs import language_model as notes
from lstm_attn import models, training
from lstm_attn.errors import UsageError
from lstm_attn.flat import flatten
from lstm_attn.runner import checked_config
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.session import Session
from lstm_attn.runs import RunFolder
from lstm_attn.studies.language_model import LanguageModelConfig
from lstm_attn.training import multihost

language_model = importlib.import_module("lstm_attn.studies.language_model")

LINES = [f"line {number}: she sells {number * 7 % 11} sea shells, é€\n" for number in range(60)]


def text_in(folder, name="text.txt", lines=LINES):
    """The path of a file with the text."""
    path = Path(folder) / name
    path.write_text("".join(lines))
    return path


def config_of(path):
    config = notes.get_config()
    config.update(
        {
            "models": ("lstm",),
            "length": 8,
            "data": {"path": str(path), "held_out": 0.1},
            "memory": {
                "contexts": (2, 4),
                "tokens": 8,
                "passage": 3,
                "distances": (4,),
                "passages": 4,
            },
            "model": {"features": 4, "num_layers": 1, "num_heads": 2},
            "training": {
                "steps": 12,
                "evaluate_every": 3,
                "batch_size": 4,
                "evaluation_sequences": 8,
                "warmup_steps": 2,
                "seeds": 4,
                "learning_rates": (0.006,),
            },
        }
    )
    return checked_config.checked(LanguageModelConfig, config)


def study(path, folder):
    """Runs it in this process, and returns what it printed."""
    config = config_of(path)
    opened = RunFolder.open(folder, dataclasses.asdict(config))
    opened.begin({"versions": {}, "device": {}, "layout": ""})
    with contextlib.redirect_stdout(io.StringIO()) as out:
        language_model.STUDY.run(config, Session(opened, Console(width=100)))
    return out.getvalue()


@contextlib.contextmanager
def compiled_once(programs):
    """Reuses a cell's jitted functions; its data are read again, or else they would be the text of
    another run."""
    make = Cell.make_program

    def compiled(cell):
        program = make(cell)
        ready = programs[cell.name] = programs.get(cell.name) or program.compiled()
        return program._replace(start_trial=ready.start_trial, advance=ready.advance)

    usual = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        with mock.patch.object(Cell, "compiled", compiled):
            yield
    finally:
        jax.config.update("jax_disable_most_optimizations", usual)


def trained_on(path, folder):
    """The result of training both trials."""
    config = config_of(path)
    task = language_model.prepared(
        config, RunFolder.open(folder, {"config": dataclasses.asdict(config)})
    )
    return training.train(models.build("lstm", task, config.model), task, config.training)


def arrays_of(found):
    return {"loss": found.history.metrics["loss"], **flatten(found.params)}


def main(address, process, folder):
    multihost.initialize(address, 2, int(process))
    own = Path(folder) / process
    own.mkdir()
    found = trained_on(text_in(own), own / "run")
    if multihost.leads():
        np.savez(Path(folder) / "found.npz", **arrays_of(found))
    try:
        other = text_in(own, "other.txt", LINES[int(process) :])
        language_model.prepared(config_of(other), RunFolder.open(own / "other", {}))
    except UsageError as error:
        print(f"error: {error}", flush=True)
    multihost.end(0, 5)


if __name__ == "__main__":
    main(*sys.argv[1:])
