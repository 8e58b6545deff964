"""A hand-made run folder: two models, both tasks, two lengths, known results."""

import numpy as np
import pytest

from lstm_attn.analysis import summarise
from lstm_attn.history import Evaluation, stack
from lstm_attn.runs import RunFolder

MODELS, TASKS, LENGTHS = ("lstm", "transformer"), ("adding", "copy"), (10, 50)
SEEDS, RATES = np.arange(4), np.full(4, 0.01, np.float32)
STEPS = (100, 200, 300)
BASELINE = 0.2


def solving_trials(model, task, length):
    """How many of four trials solve: a transformer all, an LSTM adding at 10 and half at 50."""
    if model == "transformer":
        return 4
    return {("adding", 10): 4, ("adding", 50): 2}.get((task, length), 0)


def evaluations(model, task, length):
    count = solving_trials(model, task, length)
    rng = np.random.default_rng(length)
    for step in STEPS:
        solved = (np.arange(4) < count) & (step >= 200)
        metrics = {
            "loss": np.where(solved, 0.001, 0.2) * rng.uniform(0.5, 1.5, 4),
            "accuracy": np.where(solved, 1.0, 0.3),
        }
        if task == "copy":
            metrics["accuracy_by_position"] = np.linspace(1, 0.2, 10) * np.ones((4, 1))
        diverged = np.zeros(4, bool)
        if (model, task, length) == ("lstm", "copy", 50) and step >= 200:
            diverged[3] = True
            metrics["loss"][3] = np.nan
        metrics = {name: values.astype(np.float32) for name, values in metrics.items()}
        yield Evaluation(step, step / 50, metrics, solved, solved & (step >= 300), diverged)


@pytest.fixture(scope="session")
def run_path(tmp_path_factory):
    config = {
        "models": MODELS,
        "task": {"names": TASKS, "variant": "arjovsky2016", "lengths": LENGTHS},
        "training": {"steps": 300},
    }
    folder = RunFolder.open(tmp_path_factory.mktemp("runs") / "made", config)
    folder.begin({"started": "now", "commit": "<script>", "device": {"kind": "a machine"}})
    for task in TASKS:
        for length in LENGTHS:
            for model in MODELS:
                cell = f"{task}-{length}-{model}"
                for evaluation in evaluations(model, task, length):
                    folder.add_evaluation(cell, evaluation)
                record = {
                    "cell": cell,
                    "chance": 1 / 8 if task == "copy" else None,
                    "model": model,
                    "task": task,
                    "variant": "arjovsky2016",
                    "length": length,
                    "criterion": f"criterion of {task}",
                    **summarise(stack(folder.evaluations(cell), SEEDS, RATES), BASELINE, STEPS[-1]),
                    "training_config": {"steps": 300},
                    "baseline": BASELINE,
                    "parameters": 4_000 + len(model),
                    "features": 32,
                }
                folder.add_result(record)
    return folder.path
