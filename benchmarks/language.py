"""Language models in training: the text, models and settings of configs/language_model.py."""

import dataclasses
import tempfile
from pathlib import Path

import jax

from benchmarks.workloads import BYTES, LanguageModel
from configs import language_model
from lstm_attn import models, text, training
from lstm_attn.models import ModelConfig
from lstm_attn.tasks import TextPrediction
from lstm_attn.training import TrainingConfig

CONFIG = language_model.get_config()
# More chunks than any benchmark runs.
ENDLESS = 10**6


def task(case: LanguageModel) -> TextPrediction:
    """The text that every Python has, by characters."""
    with tempfile.TemporaryDirectory() as folder:
        # What is mapped into memory stays there when the files are gone.
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
    """One trial, in chunks of that many steps, with one sequence a device to evaluate on.

    The learning rate is constant: a benchmark has no last step.
    """
    return dataclasses.replace(
        TrainingConfig(**CONFIG.training),
        steps=steps * ENDLESS,
        batch_size=case.batch,
        seeds=1,
        schedule="constant",
        warmup_steps=0,
        evaluate_every=steps,
        evaluation_sequences=jax.device_count(),
    )


def program(case: LanguageModel, steps: int) -> tuple[training.Program, TextPrediction]:
    """What trains the model, and what on."""
    of_text = task(case)
    model = models.build(case.model, of_text, model_config(case))
    return training.make_program(model, of_text, training_config(case, steps)), of_text


def width(case: LanguageModel, of_text: TextPrediction) -> int:
    """Features of the model: with them it has about as many parameters as the LSTM of H."""
    return models.matched_features(case.model, of_text, model_config(case))


def work(case: LanguageModel, of_text: TextPrediction) -> tuple[int, int]:
    """Flops and bytes of a step of our model: three times those of the products of forward; the
    data once, parameters and Adam's two moments read and written."""
    config, vocabulary = model_config(case), of_text.output_features
    parameters = models.count_parameters(models.build(case.model, of_text, config))
    features, tokens = width(case, of_text), case.batch * case.length
    weights = features * vocabulary
    pairs = 0
    if case.model == "lstm":
        weights += 8 * features**2  # four gates, from inputs and from h
    else:
        # Into the first block; query, key, value and out, and to 4 H and back.
        weights += (1 + 12 * config.num_layers) * features**2
        pairs = config.num_layers * case.batch * case.length * (case.length + 1) // 2
    flops = 3 * (2 * tokens * weights + 4 * pairs * features)
    return flops, BYTES * (tokens + case.batch + 6 * parameters)
