"""Model(init, apply) and the MODELS table: the one door between training and Flax."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from lstm_attn import modules
from lstm_attn.errors import check_whole, unknown_name
from lstm_attn.modules.attention import check_heads
from lstm_attn.tasks import Task

Params = Any  # a pytree of arrays


class Model(NamedTuple):
    """A network as two pure functions.

    init(key) gives parameters; apply(params, inputs [B, T, D]) gives outputs [B, T, O].
    """

    init: Callable[[Array], Params]
    apply: Callable[[Params, Array], Array]


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Sizes of all models of a comparison.

    features: hidden features H of the LSTM. It sets the parameter budget: every other model takes
      the width that brings its count nearest to the LSTM's (see `matched_features`).
    num_heads: attention heads; must divide features.
    num_layers: blocks of the Transformer; the recurrent models have one layer.
    """

    features: int = 64
    num_heads: int = 2
    num_layers: int = 2

    def __post_init__(self) -> None:
        for field in ("features", "num_heads", "num_layers"):
            check_whole(f"model.{field}", getattr(self, field))
        check_heads("model", self.num_heads, self.features)


class Network(nn.Module):
    """A body that maps [B, T, D] to [B, T, H], and a linear readout to [B, T, O]."""

    body: nn.Module
    output_features: int

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        return nn.Dense(self.output_features, name="readout")(self.body(inputs))


# A new model is one file in modules/ and one line here: (features, config) -> a Flax module.
Builder = Callable[[int, ModelConfig], nn.Module]
MODELS: dict[str, Builder] = {
    "lstm": lambda features, config: modules.LSTM(features),
    "gru": lambda features, config: modules.GRU(features),
    "transformer": lambda features, config: modules.Transformer(
        features, config.num_heads, config.num_layers
    ),
    "lstm_attention": lambda features, config: modules.LSTMAttention(features, config.num_heads),
}
REFERENCE = "lstm"


def build(name: str, task: Task, config: ModelConfig | None = None) -> Model:
    """The model of that name in MODELS, sized for the task, as wide as `matched_features` says.

    Raises:
      ValueError: an unknown name, with the nearest ones.
    """
    config = config or ModelConfig()
    return _build(_builder(name), task, config, matched_features(name, task, config))


def count_parameters(model: Model) -> int:
    """How many numbers the model learns; nothing is computed."""
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))


def matched_features(name: str, task: Task, config: ModelConfig) -> int:
    """The width, a multiple of num_heads, whose parameter count is nearest to the LSTM's."""
    return config.features if name == REFERENCE else _nearest_width(_builder(name), task, config)


# By builder, not by name: in a notebook a name may come to mean another model.
@functools.cache
def _nearest_width(builder: Builder, task: Task, config: ModelConfig) -> int:
    def count(multiple: int) -> int:
        return count_parameters(_build(builder, task, config, multiple * config.num_heads))

    budget = count_parameters(_build(_builder(REFERENCE), task, config, config.features))
    narrow, wide = 1, 2
    while count(wide) < budget:
        narrow, wide = wide, 2 * wide
    while wide - narrow > 1:
        middle = (narrow + wide) // 2
        narrow, wide = (middle, wide) if count(middle) < budget else (narrow, middle)
    nearest = min(narrow, wide, key=lambda multiple: abs(count(multiple) - budget))
    return nearest * config.num_heads


def _builder(name: str) -> Builder:
    if name not in MODELS:
        raise unknown_name("model", name, MODELS)
    return MODELS[name]


def _build(builder: Builder, task: Task, config: ModelConfig, features: int) -> Model:
    network = Network(builder(features, config), task.output_features)

    def init(key: Array) -> Params:
        # One sequence is enough: no parameter's shape depends on the batch.
        inputs = jnp.zeros((1, task.sequence_length, task.input_features), jnp.float32)
        return network.init(key, inputs)["params"]

    def apply(params: Params, inputs: Array) -> Array:
        outputs = network.apply({"params": params}, inputs)
        assert isinstance(outputs, Array)  # with no mutable collections, apply returns no tuple
        return outputs

    return Model(init, apply)
