"""Model(init, apply, ...) and the MODELS table: the one door between training and Flax."""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from lstm_attn import modules
from lstm_attn.errors import UsageError, unknown_name
from lstm_attn.model_config import ModelConfig
from lstm_attn.modules.dense import compute_dtype, flat_product
from lstm_attn.modules.initializers import (
    KERNEL_INITIALIZERS,
    every_gate,
    gru_bias,
    lstm_bias,
    normal,
)
from lstm_attn.modules.intercept import Cut, cutting
from lstm_attn.modules.observing import COLLECTION, Observations, observations
from lstm_attn.modules.recurrent import LSTM_VARIANTS
from lstm_attn.modules.recurrent_protocol import continued
from lstm_attn.ops.additive_attention import PoolingState
from lstm_attn.ops.kv_cache import KeyValueCache
from lstm_attn.ops.placement import explicit_sharding
from lstm_attn.tasks import Task

Params = Any  # a pytree of arrays
State = Any  # likewise


def _no_state(*_: Any) -> Any:
    raise UsageError("model: expected one with a step form, got one with init and apply only")


def _no_inside(*_: Any) -> Any:
    raise UsageError(
        "model: expected one that can be looked into, got one with init and apply only"
    )


def _no_hidden(*_: Any) -> Any:
    raise UsageError(
        "model: expected one that shows its hidden states, got one with init and apply only; "
        "gradient_norms has inputs_only=True for it"
    )


class Model(NamedTuple):
    """A network as pure functions. Training needs only the first two.

    init(key): parameters.
    apply(params, inputs [B, T, D], or ids [B, T]): outputs [B, T, O], all steps at once.
    apply_with_dropout(params, inputs, key): apply with dropout, for training; None without dropout.
    initial_state(batch_size, length): the state before the first of at most `length` steps: a
      carry, or an empty key-value cache with that much room.
    segment(params, state, inputs [B, T, D]): (state, outputs [B, T, O]) of the next T steps.
    step(params, state, x_t [B, D]): (state, y_t [B, O]), the next step.
    hidden(params, inputs [B, T, D], changes): (outputs [B, T, O], layer -> h [B, T, H]), with
      changes, layer -> [B, T, H], added to the hidden states of its recurrent layers; {} for no
      change (see `modules.with_hidden_states`).
    observe(params, inputs): (outputs, `Observations`), with states, gates and attention by layer.
    apply_cut(params, inputs, cut): apply with the paths through time closed that the `Cut` names.

    step and segment agree with apply. A key-value cache without room for a step is a one-line
    error, or gives NaN under `jax.jit`, where the number of steps is not known. A model that lacks
    a function raises a `UsageError` when it is called.
    """

    init: Callable[[Array], Params]
    apply: Callable[[Params, Array], Array]
    apply_with_dropout: Callable[[Params, Array, Array], Array] | None = None
    initial_state: Callable[[int, int], State] = _no_state
    segment: Callable[[Params, State, Array], tuple[State, Array]] = _no_state
    step: Callable[[Params, State, Array], tuple[State, Array]] = _no_state
    hidden: Callable[[Params, Array, Mapping[str, Array]], tuple[Array, dict]] = _no_hidden
    observe: Callable[[Params, Array], tuple[Array, Observations]] = _no_inside
    apply_cut: Callable[[Params, Array, Cut], Array] = _no_inside

    def __reduce__(self) -> Any:
        """Of a jitted `init`, a pickle has the function, which is compiled again."""
        jitted = isinstance(self.init, jax.stages.Wrapped)
        init = getattr(self.init, "__wrapped__") if jitted else self.init  # noqa: B009
        return _unpickled, (jitted, init, *self[1:])


def _unpickled(jitted: bool, init: Callable[[Array], Params], *others: Any) -> Model:
    return Model(jax.jit(init) if jitted else init, *others)


class Network(nn.Module):
    """A body that maps [B, T, D] to [B, T, H], and a linear readout to [B, T, O] in at least
    float32. Token ids [B, T] are first embedded as vectors of `embedding_features`, which is 0 for
    inputs that are features."""

    body: nn.Module
    output_features: int
    embedding_features: int = 0

    @nn.compact
    def __call__(self, inputs: Array, carry: State = None) -> tuple[State, Array]:
        if self.embedding_features:
            embedding = nn.Embed(
                self.output_features,
                self.embedding_features,
                # Flax's default is smaller by the root of the features: an LSTM learns slower.
                embedding_init=normal(1.0),
                name="embedding",
            )
            # JAX does not guess where rows of a table lie that it takes for ids on Explicit axes.
            place = explicit_sharding(inputs)
            inputs = (
                embedding(inputs)
                if place is None
                else embedding.embedding.at[inputs].get(mode="fill", out_sharding=place)
            )
        carry, hidden = continued(self.body, inputs, carry)
        dtype = compute_dtype(hidden, None, jnp.float32)
        readout = nn.Dense(
            self.output_features, dtype=dtype, dot_general=flat_product, name="readout"
        )
        return carry, readout(hidden)


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


def of_module(module: nn.Module, task: Task) -> Model:
    """A Flax module that maps [B, T, D], or ids [B, T], to outputs [B, T, O], as a Model.

    It is trained as it is: without a step form, and not seen into.

    Raises:
      UsageError: no Flax module, one with other variables than parameters, or one whose outputs
        are not those of the task.
    """
    kind = type(module).__name__
    if not isinstance(module, nn.Module):
        raise UsageError(
            f"model: expected a Model or a Flax module, got {kind}; "
            "models.build(name, task) makes a Model of a name in models.MODELS"
        )

    made = _OfModule(module, task)
    inputs = example_inputs(task)
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), inputs))
    if set(shapes) != {"params"}:
        raise UsageError(
            f"model: expected {kind} with parameters and no other variables, got {sorted(shapes)}"
        )
    outputs = jax.eval_shape(made.outputs, shapes["params"], inputs)
    expected = (1, task.sequence_length, task.output_features)
    got = getattr(outputs, "shape", type(outputs).__name__)
    if got != expected:
        raise UsageError(
            f"model: {kind} expected to give outputs [B, T, O] = {expected} for the task "
            f"{task.name}, got {got}"
        )
    return Model(jax.jit(made.init), made.outputs)


def example_inputs(task: Task) -> Array:
    """A sequence of zeros in the shape and dtype of the task's inputs."""
    if task.input_features is None:
        return jnp.zeros((1, task.sequence_length), jnp.int32)
    return jnp.zeros((1, task.sequence_length, task.input_features), jnp.float32)


def carries_over(model: Model, length: int) -> bool:
    """Whether the model's state is carried from one segment of a text to the next: a recurrent
    carry is. A key-value cache would grow without end, and in the sums of attention pooling a new
    segment would soon have next to no weight."""
    return model.initial_state is not _no_state and _is_carry(model.initial_state, length)


def _is_carry(initial_state: Callable[[int, int], State], length: int) -> bool:
    """Whether the state has no cache and no pooling sums."""
    kinds = (KeyValueCache, PoolingState)
    state = jax.eval_shape(lambda: initial_state(1, length))
    parts = jax.tree.leaves(state, is_leaf=lambda part: isinstance(part, kinds))
    return not any(isinstance(part, kinds) for part in parts)


def count_parameters(model: Model) -> int:
    """The number of parameters; nothing is computed."""
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))


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
        if not states and (not hasattr(body, "empty_carry") or _is_carry(body.empty_carry, 1)):
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


class _OfModule(NamedTuple):
    """The functions of a Model, of a Flax module alone."""

    module: nn.Module
    task: Task

    def init(self, key: Array) -> Params:
        return self.module.init(key, example_inputs(self.task))["params"]

    def outputs(self, params: Params, inputs: Array) -> Any:
        return self.module.apply({"params": params}, inputs)
