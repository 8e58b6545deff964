"""Language models in training: text, models and settings of configs/language_model.py, but for the
sizes."""

import dataclasses
import functools
import tempfile
from pathlib import Path

import jax

from benchmarks.workloads import BYTES, Attention, LanguageModel
from configs import language_model
from lstm_attn import models, text, training
from lstm_attn.models import ModelConfig
from lstm_attn.tasks import TextPrediction
from lstm_attn.training import TrainingConfig

CONFIG = language_model.get_config()
# More chunks than any benchmark runs.
ENDLESS = 10**6


# A task is equal to itself alone: one for all who ask spares `matched_features` the search anew.
@functools.cache
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
    """Flops and bytes of a step of our model: products and their gradients; the data once,
    parameters and Adam's two moments read and written."""
    config = model_config(case)
    shapes = jax.eval_shape(models.build(case.model, of_text, config).init, jax.random.key(0))
    embedding = of_text.output_features * width(case, of_text)
    # Each entry of a kernel meets each token once.
    weights = sum(leaf.size for leaf in jax.tree.leaves(shapes) if leaf.ndim == 2) - embedding
    tokens = case.batch * case.length
    flops = 6 * tokens * weights
    if case.model == "transformer":
        heads = config.num_heads
        per_head = width(case, of_text) // heads
        attention = Attention(
            case.batch, case.length, heads, per_head, True, "forward and backward"
        )
        flops += config.num_layers * attention.flops
    parameters = sum(leaf.size for leaf in jax.tree.leaves(shapes))
    return flops, BYTES * (tokens + case.batch + 6 * parameters)
