"""The MODELS table, and `build` of a model by its name: the door between training and Flax."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
from flax import linen as nn
from jax import Array

from lstm_attn import modules
from lstm_attn.errors import UsageError, unknown_name
from lstm_attn.model import (
    Model,
    Params,
    State,
    carries_over,
    count_parameters,
    example_inputs,
    is_carry,
    of_module,
)
from lstm_attn.model_config import ModelConfig
from lstm_attn.modules.initializers import KERNEL_INITIALIZERS, every_gate, gru_bias, lstm_bias
from lstm_attn.modules.intercept import Cut, cutting
from lstm_attn.modules.network import Network
from lstm_attn.modules.observing import COLLECTION, Observations, observations
from lstm_attn.modules.recurrent import LSTM_VARIANTS
from lstm_attn.tasks import Task

__all__ = [
    "MODELS",
    "REFERENCE",
    "Model",
    "ModelConfig",
    "Network",
    "Params",
    "State",
    "build",
    "carries_over",
    "count_parameters",
    "example_inputs",
    "matched_features",
    "of_module",
    "recurrent",
]


def recurrent(config: ModelConfig) -> Callable[..., modules.LSTM]:
    """The constructor of the LSTM that a config describes; it takes features and module options."""
    variant = LSTM_VARIANTS[config.lstm_variant]
    gates = variant.gate_order
    return functools.partial(
        variant,
        kernel_init=every_gate(len(gates), KERNEL_INITIALIZERS[config.kernel_init]),
        recurrent_kernel_init=every_gate(
            len(gates), KERNEL_INITIALIZERS[config.recurrent_kernel_init]
        ),
        bias_init=lstm_bias(gates, config.forget_bias, config.chrono_steps),
        segment=config.segment or None,
    )


def _gru(features: int, config: ModelConfig) -> nn.Module:
    return modules.GRU(
        features,
        dtype=config.dtype,
        reset_after=config.reset_after,
        kernel_init=every_gate(3, KERNEL_INITIALIZERS[config.kernel_init]),
        recurrent_kernel_init=every_gate(3, KERNEL_INITIALIZERS[config.recurrent_kernel_init]),
        bias_init=gru_bias(config.update_bias, config.chrono_steps),
        segment=config.segment or None,
    )


def _transformer(features: int, config: ModelConfig) -> nn.Module:
    return modules.Transformer(
        features,
        config.num_heads,
        config.num_layers,
        positions=config.positions,
        norm=config.norm,
        feed_forward=config.feed_forward,
        dropout=config.dropout,
        dtype=config.dtype,
    )


def _lstm_attention(features: int, config: ModelConfig) -> nn.Module:
    if config.attention_placement == "over_states":
        return modules.LSTMAttention(
            features, config.num_heads, recurrent=recurrent(config), dtype=config.dtype
        )
    return modules.LSTMAttentionBlocks(
        features,
        config.num_heads,
        config.num_layers,
        recurrent=recurrent(config),
        dropout=config.dropout,
        dtype=config.dtype,
    )


# A new model is a Flax module and one line here: (features, config) -> the module. A recurrent one
# derives from `modules.Recurrent`; see examples/your_model.py.
Builder = Callable[[int, ModelConfig], nn.Module]
MODELS: dict[str, Builder] = {
    "lstm": lambda features, config: recurrent(config)(features, dtype=config.dtype),
    "gru": _gru,
    "transformer": _transformer,
    "lstm_attention": _lstm_attention,
    "attention_pooling": lambda features, config: modules.AttentionPooling(features, config.dtype),
}
REFERENCE = "lstm"


def build(name: str, task: Task, config: ModelConfig | None = None) -> Model:
    """The model of that name in MODELS, sized for the task, as wide as `matched_features` says.

    Raises:
      ValueError: an unknown name, with the nearest ones.
    """
    config = config or ModelConfig()
    model = _build(_builder(name), task, config, matched_features(name, task, config))
    # Flax computes parameters operation by operation, and JAX compiles each of these.
    return model._replace(init=jax.jit(model.init))


def matched_features(name: str, task: Task, config: ModelConfig) -> int:
    """The width, a multiple of num_heads, whose parameter count is nearest to the LSTM's."""
    return config.features if name == REFERENCE else _nearest_width(_builder(name), task, config)


# Cached by builder, not by name: a notebook may redefine a name.
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
    made = _Made(builder, task, config, features)
    return Model(
        made.init,
        apply=made.outputs,
        apply_with_dropout=(
            made.apply_with_dropout if getattr(made.body, "dropout", 0) > 0 else None
        ),
        initial_state=made.initial_state,
        segment=made.segment,
        step=made.step,
        hidden=made.hidden,
        observe=made.observe,
        apply_cut=made.apply_cut,
    )


class _Made:
    """The functions of a Model, of a body from MODELS. A pickle says how to make them again."""

    def __init__(self, builder: Builder, task: Task, config: ModelConfig, features: int) -> None:
        self.arguments = (task, config, features)
        self.builder, self.task = builder, task
        self.body = builder(features, config)
        embedded = features if task.input_features is None else 0
        self.network = Network(self.body, task.output_features, embedded)

    def __reduce__(self) -> Any:
        named = [name for name, builder in MODELS.items() if builder is self.builder]
        return _made_again, (named[0] if named else self.builder, *self.arguments)

    def __deepcopy__(self, memo: Any) -> "_Made":
        return self  # nothing in it changes

    def init(self, key: Array) -> Params:
        # One sequence is enough: no parameter's shape depends on the batch size.
        return self.network.init(key, example_inputs(self.task))["params"]

    def _apply(self, params: Params, inputs: Array, **options: Any) -> Any:
        return self.network.apply({"params": params}, inputs, **options)

    def outputs(self, params: Params, inputs: Array) -> Array:
        outputs: Array = self._apply(params, inputs)[1]
        return outputs

    def apply_with_dropout(self, params: Params, inputs: Array, key: Array) -> Array:
        outputs: Array = self._apply(params, inputs, rngs={"dropout": key})[1]
        return outputs

    def initial_state(self, batch_size: int, length: int) -> State:
        if not hasattr(self.body, "empty_carry"):
            raise UsageError(
                f"model: expected {type(self.body).__name__}.empty_carry(batch_size, length) for "
                "the step form, got none"
            )
        return self.body.empty_carry(batch_size, length)

    def segment(self, params: Params, state: State, inputs: Array) -> tuple[State, Array]:
        after: tuple[State, Array] = self._apply(params, inputs, carry=state)
        return after

    def step(self, params: Params, state: State, inputs: Array) -> tuple[State, Array]:
        state, outputs = self.segment(params, state, inputs[:, None])
        return state, outputs[:, 0]

    def hidden(
        self, params: Params, inputs: Array, changes: Mapping[str, Array]
    ) -> tuple[Array, dict[str, Array]]:
        network, body = self.network, self.body
        (_, outputs), states = modules.with_hidden_states(network, params, inputs, changes)
        if not states and (not hasattr(body, "empty_carry") or is_carry(body.empty_carry, 1)):
            raise UsageError(
                f"model: expected {type(body).__name__} to be a modules.Recurrent, or to have one "
                "as a layer, for its hidden states; gradient_norms has inputs_only=True without"
            )
        return outputs, states

    def observe(self, params: Params, inputs: Array) -> tuple[Array, Observations]:
        (_, outputs), sown = self._apply(params, inputs, mutable=COLLECTION)
        return outputs, observations(sown.get(COLLECTION, {}))

    def apply_cut(self, params: Params, inputs: Array, cut: Cut) -> Array:
        with cutting(cut):
            return self.outputs(params, inputs)


def _made_again(builder: str | Builder, task: Task, config: ModelConfig, features: int) -> _Made:
    return _Made(_builder(builder) if isinstance(builder, str) else builder, task, config, features)
