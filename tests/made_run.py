"""A hand-made run folder: two models, both tasks, two lengths, known results; tuned and compared."""

import numpy as np
import pytest

from lstm_attn.analysis import summarise
from lstm_attn.history import Evaluation, stack
from lstm_attn.runs import RunFolder

MODELS, TASKS, LENGTHS = ("lstm", "transformer"), ("adding", "copy"), (10, 50)
SEEDS, RATES = np.arange(4), np.full(4, 0.01, np.float32)
STEPS = (100, 200, 300)
BASELINE = 0.2


TUNING = {
    "cells": [
        {
            "cell": "adding-10-lstm", "task": "adding", "shortest": 10, "length": 10, "model": "lstm",
            "choice": "chrono", "learning_rate": 0.01, "trials": 8, "steps": 1800, "seconds": 4.6,
            "window": {"low": 0.005, "high": 0.02, "decades": 0.6, "open_low": False,
                       "open_high": False},
            "tried": [
                {"choice": "bias_1", "learning_rate": 0.01, "log_forgotten": -1.0, "whole": True},
                {"choice": "bias_1", "learning_rate": 0.1, "log_forgotten": None, "whole": False},
                {"choice": "chrono", "learning_rate": 0.1, "log_forgotten": -2.0, "whole": False},
                {"choice": "chrono", "learning_rate": 0.01, "log_forgotten": -3.0, "whole": True},
            ],
        },
        {
            "cell": "adding-10-transformer", "task": "adding", "shortest": 10, "length": 10,
            "model": "transformer", "choice": "", "learning_rate": 0.001, "trials": 4,
            "steps": 900, "seconds": 2.4,
            "window": {"low": 0.001, "high": 0.01, "decades": 1.0, "open_low": True,
                       "open_high": False},
            "tried": [
                {"choice": "", "learning_rate": 0.001, "log_forgotten": -4.0, "whole": True},
                {"choice": "", "learning_rate": 0.01, "log_forgotten": -3.5, "whole": True},
            ],
        },
    ]
}  # fmt: skip
COMPARE = {
    "pairs": [
        {
            "task": "adding", "length": 50, "first": "lstm", "second": "transformer",
            "what": "remembers on more seeds than", "first_ahead": 0, "second_ahead": 2,
            "pairs": 4, "p": 1.0, "verdict": None,
        },
        {
            "task": "copy", "length": 50, "first": "lstm", "second": "transformer",
            "what": "needs fewer steps than", "first_ahead": 0, "second_ahead": 12,
            "pairs": 12, "p": 0.002,
            "verdict": "transformer needs fewer steps than lstm: 12 to 0 of 12 pairs",
        },
    ]
}  # fmt: skip


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
        "training": {"steps": 300, "seeds": 4},
    }
    folder = RunFolder.open(tmp_path_factory.mktemp("runs") / "made", config)
    folder.begin(
        {
            "started": "2026-11-28 now", "commit": "<script>", "versions": {"jax": "0"},
            "device": {"kind": "a machine", "cores": 2, "vector_bits": 256},
        }
    )  # fmt: skip
    folder.write_study("tuning", TUNING)
    folder.write_study("compare", COMPARE)
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
