"""The work of one training step: a model of MODELS at its sizes, as operations and parameters."""

import dataclasses
from collections.abc import Callable

from lstm_attn.errors import UsageError, check_whole, unknown_name
from lstm_attn.model_config import ModelConfig
from tools.scaling import operations as layers
from tools.scaling.operations import FLOAT32, Operation

WIDTHS = {"float32": 4, "bfloat16": 2}


@dataclasses.dataclass(frozen=True)
class Workload:
    """A training step of R trials of one model.

    model: of MODELS.
    features: H, or F of a Transformer: the width of this model, as `models.matched_features` says.
    batch, length: B, T.
    inputs, outputs: D and O of the task.
    trials: R.
    accumulation_steps: parts that a batch is cut into, one after another.
    implementation: of LSTM and GRU, "scan" or "fused".
    config: heads, layers and dtype; its own `features` do not count.
    """

    model: str
    features: int
    batch: int
    length: int
    inputs: int
    outputs: int
    trials: int = 1
    accumulation_steps: int = 1
    implementation: str = "scan"
    config: ModelConfig = dataclasses.field(default_factory=ModelConfig)

    def __post_init__(self) -> None:
        if self.model not in WORK:
            raise unknown_name("model", self.model, WORK)
        sizes = ("features", "batch", "length", "inputs", "outputs", "trials", "accumulation_steps")
        for field in sizes:
            check_whole(field, getattr(self, field))
        config = self.config
        # Only what the published layers compute is counted here.
        for key, expected in (("lstm_variant", "standard"), ("attention_placement", "over_states")):
            if getattr(config, key) != expected:
                raise UsageError(f"{key}: expected {expected!r}, got {getattr(config, key)!r}")

    @property
    def width(self) -> int:
        """Bytes of a number in a product."""
        return WIDTHS[self.config.dtype]

    @property
    def parameters(self) -> int:
        """Of one trial."""
        return PARAMETERS[self.model](self) + (self.features + 1) * self.outputs

    @property
    def arrays(self) -> int:
        """That the parameters lie in."""
        return ARRAYS[self.model](self) + 2

    def operations(self, batch_shards: int = 1) -> list[Operation]:
        """Those of one trial on one device, the parts of its batch together; without optimiser.

        Raises:
          ValueError: a batch that devices and accumulation do not divide.
        """
        parts = batch_shards * self.accumulation_steps
        if self.batch % parts:
            raise UsageError(
                f"batch: expected a multiple of devices x accumulation_steps = {parts}, "
                f"got {self.batch}"
            )
        part = dataclasses.replace(self, batch=self.batch // parts, accumulation_steps=1)
        rows = part.batch * part.length
        readout = layers.dense("readout", rows, part.features, part.outputs)
        once = [*WORK[part.model](part), readout]
        repeated = [_repeated(operation, self.accumulation_steps) for operation in once]
        if self.accumulation_steps > 1:
            added = 3 * FLOAT32 * self.parameters * self.accumulation_steps
            repeated.append(
                Operation("sum of gradients", bytes=added, reused=2 * FLOAT32 * self.parameters)
            )
        return repeated


def _repeated(operation: Operation, times: int) -> Operation:
    """The operation so often, one after another: no more is kept at a time."""
    return operation._replace(
        flops=times * operation.flops,
        functions=times * operation.functions,
        bytes=times * operation.bytes,
        launches=times * operation.launches,
    )


def _recurrent(load: Workload) -> list[Operation]:
    cell = "gru" if load.model == "gru" else "lstm"
    return layers.recurrent(
        cell,
        load.batch,
        load.length,
        load.inputs,
        load.features,
        width=load.width,
        implementation=load.implementation,
        inputs_are_data=True,
    )


def _transformer(load: Workload) -> list[Operation]:
    rows, features, width = load.batch * load.length, load.features, load.width
    gated = load.config.feed_forward == "gated"
    return [
        layers.dense("embed", rows, load.inputs, features, width=width, inputs_are_data=True),
        *load.config.num_layers
        * layers.transformer_block(
            load.batch, load.length, load.config.num_heads, features, gated=gated, width=width
        ),
        *([layers.norm(rows, features)] if load.config.norm == "pre" else []),
    ]


def _lstm_attention(load: Workload) -> list[Operation]:
    rows, features, width = load.batch * load.length, load.features, load.width
    return [
        *_recurrent(load),
        *layers.attention(load.batch, load.length, load.config.num_heads, features, width=width),
        layers.dense("combine", rows, 2 * features, features, width=width),
        layers.elementwise("tanh", rows * features, functions=1, passes=5, kept=1, launches=2),
    ]


def _attention_pooling(load: Workload) -> list[Operation]:
    rows, features, width = load.batch * load.length, load.features, load.width
    return [
        layers.dense("hidden", rows, load.inputs, features, width=width, inputs_are_data=True),
        layers.dense("score", rows, features, 1, width=width),
        layers.pooling(load.batch, load.length, features),
        layers.dense("context", rows, features, features, width=width),
        layers.elementwise("leaky relu", 2 * rows * features, passes=5, kept=0, launches=4),
    ]


WORK: dict[str, Callable[[Workload], list[Operation]]] = {
    "lstm": _recurrent,
    "gru": _recurrent,
    "transformer": _transformer,
    "lstm_attention": _lstm_attention,
    "attention_pooling": _attention_pooling,
}


def _lstm_parameters(load: Workload) -> int:
    return 4 * load.features * (load.inputs + load.features + 1)


def _transformer_parameters(load: Workload) -> int:
    features, config = load.features, load.config
    mlp = 3 if config.feed_forward == "gated" else 2
    # Kernels and biases of attention and feed-forward, and two norms.
    block = 4 * features * (features + 1)
    block += mlp * 4 * features**2 + (mlp - 1) * 4 * features + features
    block += 4 * features
    embedding = (load.inputs + 1) * features
    if config.positions == "learned":
        embedding += load.length * features
    last_norm = 2 * features if config.norm == "pre" else 0
    return embedding + config.num_layers * block + last_norm


PARAMETERS: dict[str, Callable[[Workload], int]] = {
    "lstm": _lstm_parameters,
    "gru": lambda load: 3 * load.features * (load.inputs + load.features + 2),
    "transformer": _transformer_parameters,
    "lstm_attention": lambda load: (
        _lstm_parameters(load) + (4 + 2) * load.features**2 + (4 + 1) * load.features
    ),
    "attention_pooling": lambda load: (
        (load.inputs + 1) * load.features + load.features + 1 + (load.features + 1) * load.features
    ),
}


def _transformer_arrays(load: Workload) -> int:
    config = load.config
    # Four projections, two or three kernels of feed-forward, each with its bias; two norms.
    block = 2 * (4 + (3 if config.feed_forward == "gated" else 2) + 2)
    return (
        2
        + (config.positions == "learned")
        + config.num_layers * block
        + (2 if config.norm == "pre" else 0)
    )


ARRAYS: dict[str, Callable[[Workload], int]] = {
    "lstm": lambda _: 3,
    "gru": lambda _: 4,
    "transformer": _transformer_arrays,
    "lstm_attention": lambda _: 3 + 8 + 2,
    "attention_pooling": lambda _: 6,
}
