"""Training of language models with the text, models and settings of configs/language_model.py."""

import dataclasses
import functools
import tempfile
import time
from pathlib import Path

import jax
import numpy as np

from benchmarks import jitted
from benchmarks.contenders import Ready
from benchmarks.workloads import LanguageModel
from configs import language_model
from lstm_attn import models, text, training
from lstm_attn.models import ModelConfig
from lstm_attn.tasks import TextPrediction
from lstm_attn.training import TrainingConfig

CONFIG = language_model.get_config()
# More chunks than any benchmark runs.
ENDLESS = 10**6


# A task equals itself alone: one object for all callers lets `matched_features` search once.
@functools.cache
def task(case: LanguageModel) -> TextPrediction:
    """The text that every Python has, by characters."""
    with tempfile.TemporaryDirectory() as folder:
        # The mapped memory stays when the files are gone.
        described = text.prepare(
            Path(folder),
            text.Source(""),
            "character",
            vocabulary_size=0,
            held_out=CONFIG.data.held_out,
        )
    return TextPrediction(described, case.length)


def model_config(case: LanguageModel) -> ModelConfig:
    return dataclasses.replace(ModelConfig(**CONFIG.model), features=case.features)


def training_config(case: LanguageModel, steps: int) -> TrainingConfig:
    """One trial, in chunks of that many steps, evaluated on one sequence a device.

    The learning rate is constant: a benchmark has no last step. It is the first that is tuned.
    """
    return dataclasses.replace(
        TrainingConfig(**CONFIG.training),
        steps=steps * ENDLESS,
        batch_size=case.batch,
        seeds=1,
        learning_rates=CONFIG.training.learning_rates[:1],
        schedule="constant",
        warmup_steps=0,
        evaluate_every=steps,
        evaluation_sequences=jax.device_count(),
    )


def program(case: LanguageModel, steps: int) -> tuple[training.Program, TextPrediction]:
    """The training program and its task."""
    of_text = task(case)
    model = models.build(case.model, of_text, model_config(case))
    return training.make_program(model, of_text, training_config(case, steps)), of_text


def width(case: LanguageModel, of_text: TextPrediction) -> int:
    """Features with which the model has about as many parameters as the LSTM of H."""
    return models.matched_features(case.model, of_text, model_config(case))


def training_program(case: LanguageModel, steps: int) -> Ready:
    """Ours, as the studies train: one trial on all devices; a run is one chunk of the loop, the
    host's reading included."""
    trained, of_text = program(case, steps)
    began = time.perf_counter()
    trained = trained.compiled()
    seconds = time.perf_counter() - began
    assert isinstance(trained.advance, jax.stages.Compiled)
    chunks = training.run(trained, of_text, training_config(case, steps))
    evaluation, states = next(chunks)
    values = {"loss": evaluation.metrics["train_loss"]}
    if case.model == "lstm":
        # A copy: the next chunk takes the states' buffers.
        values["h"] = np.array(states.carried.h[0])
    return Ready(
        lambda: next(chunks),
        values,
        steps,
        seconds,
        jitted.temporary_bytes(trained.advance),
        parameters=sum(leaf.size for leaf in jax.tree.leaves(trained.shapes.params)),
    )
