"""The work of one training step of a model: products, functions, bytes, launches of each layer."""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lstm_attn import models
from lstm_attn.errors import UsageError, unknown_name
from lstm_attn.model_config import ModelConfig

# Bytes of a number in a product. Parameters, gradients, carries and sums are always float32.
WIDTHS = {"float32": 4, "bfloat16": 2}
FLOAT32 = WIDTHS["float32"]


class Operation(NamedTuple):
    """One kind of work, forward and backward, in one training step.

    flops: of products; one of [M, K] and [K, N] counts 2 M K N.
    functions: values of exp or tanh, which cost more than the sums around them.
    bytes: read and written.
    reused: bytes of the arrays that the step reads again; if they fit in the cache, `bytes` move
      at its rate.
    launches: programs of the device (kernels) that start one after another.
    kept: bytes kept for the backward pass.
    """

    name: str
    flops: float = 0
    functions: float = 0
    bytes: float = 0
    reused: float = 0
    launches: float = 0
    kept: float = 0

    def scaled(self, work: float) -> "Operation":
        """So many times as much of it, at the launches of one."""
        return self._replace(
            flops=work * self.flops,
            functions=work * self.functions,
            bytes=work * self.bytes,
            reused=work * self.reused,
            kept=work * self.kept,
        )

    def repeated(self, times: int) -> "Operation":
        """The operation so often, one after another: no more is reused or kept at a time."""
        return self.scaled(times)._replace(
            launches=times * self.launches, reused=self.reused, kept=self.kept
        )


class Cell(NamedTuple):
    """A recurrent cell, as counted in its programs (XLA, jax 0.10.2).

    gates: G.
    functions: exp and tanh of a step and hidden feature.
    kept: float32 numbers kept for the backward pass, of a step and hidden feature, by
      implementation: XLA's account of temporary memory.
    """

    gates: int
    functions: int
    kept: dict[str, int]


CELLS = {
    "lstm": Cell(4, functions=5, kept={"scan": 15, "fused": 14}),
    "gru": Cell(3, functions=3, kept={"scan": 12, "fused": 15}),
}
# Kernels of one step of a scan, where a compiler fuses everything but products. Forward: the
# products of inputs and of state, what follows them, the loop. Backward: two products, four with
# those of the weights.
STEP_LAUNCHES = {"scan": 4 + 6, "fused": 4 + 4}
# Kernels of a dense layer: its product, what follows it, the gradients of its input and its kernel.
DENSE_LAUNCHES = 4
# The choices whose work is counted here.
COUNTED = {
    "lstm_variant": "standard",
    "attention_placement": "over_states",
    "norm": "pre",
    "feed_forward": "gelu",
}


@dataclasses.dataclass(frozen=True)
class Workload:
    """A training step of R trials of one model.

    model: of MODELS.
    features: H, or F of a Transformer: the width of this model, as `models.matched_features` says.
    batch, length: B, T.
    inputs, outputs: D and O of the task.
    trials: R.
    accumulation_steps: microbatches of the batch, computed one after another.
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
        for key, counted in COUNTED.items():
            if getattr(self.config, key) != counted:
                raise UsageError(f"{key}: expected {counted!r}, got {getattr(self.config, key)!r}")

    @property
    def width(self) -> int:
        """Bytes of a number in a product."""
        return WIDTHS[self.config.dtype]

    @property
    def rows(self) -> int:
        """Steps of all sequences, B T."""
        return self.batch * self.length

    @property
    def parameters(self) -> int:
        """Of one trial, counted in the shapes that the model's init gives."""
        return _parameters(dataclasses.replace(self, batch=1, trials=1, accumulation_steps=1))

    def operations(self, batch_shards: int = 1) -> list[Operation]:
        """The work of one trial on one device, without the optimiser; a device has one of so many
        shards of the batch.

        Raises:
          UsageError: a batch that devices and accumulation do not divide.
        """
        microbatches = batch_shards * self.accumulation_steps
        if self.batch % microbatches:
            raise UsageError(
                f"batch: expected a multiple of devices x accumulation_steps = {microbatches}, "
                f"got {self.batch}"
            )
        one = dataclasses.replace(self, batch=self.batch // microbatches, accumulation_steps=1)
        once = [
            *WORK[one.model](one),
            _dense("readout", one.rows, one.features, one.outputs, FLOAT32),
        ]
        if self.accumulation_steps > 1:
            gradients = FLOAT32 * self.parameters
            once.append(Operation("sum of gradients", bytes=3 * gradients, reused=2 * gradients))
        return [operation.repeated(self.accumulation_steps) for operation in once]


@functools.cache
def _parameters(load: Workload) -> int:
    network = models.Network(models.MODELS[load.model](load.features, load.config), load.outputs)
    inputs = jnp.zeros((1, load.length, load.inputs))
    shapes = jax.eval_shape(network.init, jax.random.key(0), inputs)["params"]
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def _recurrent(load: Workload) -> list[Operation]:
    """A layer [B, T, D] -> [B, T, H] of G gates; its inputs are data and need no gradient.

        forward   2 B T (D + H) G H
        backward  2 B T (D + H) G H for kernels, 2 B T H G H for the state

    Every step reads both kernels. Under "scan" it also reads and writes the sums of their
    gradients; "fused" computes these by one product after the scan.
    """
    name = "gru" if load.model == "gru" else "lstm"
    gates, functions, kept_numbers = CELLS[name]
    sums, cells = gates * load.features, load.rows * load.features
    kernels = (load.inputs + load.features) * sums
    kept = FLOAT32 * kept_numbers[load.implementation] * cells
    # Weights forward and backward; inputs, state and sums of each product once.
    moved = 2 * load.length * load.width * kernels + 3 * load.rows * (
        load.width * (load.inputs + load.features) + FLOAT32 * sums
    )
    reused = load.width * kernels
    if load.implementation == "scan":
        moved += 2 * load.length * FLOAT32 * kernels
        reused += FLOAT32 * kernels
    return [
        Operation(
            f"{name} products",
            flops=2 * load.rows * (2 * kernels + load.features * sums),
            bytes=moved,
            reused=reused,
            launches=load.length * STEP_LAUNCHES[load.implementation],
        ),
        # What is kept is written and read; sums are read, their gradients written.
        Operation(
            f"{name} gates",
            functions=functions * cells,
            bytes=2 * kept + 2 * FLOAT32 * gates * cells,
            reused=kept,
            kept=kept,
        ),
    ]


def _dense(
    name: str, rows: int, inputs: int, outputs: int, width: int, *, inputs_are_data: bool = False
) -> Operation:
    """A product of so many rows with a kernel [D, O]: 3 (2 for data) x 2 rows D O."""
    products = 2 if inputs_are_data else 3
    arrays = rows * (inputs + outputs) + inputs * outputs
    return Operation(
        name,
        flops=products * 2 * rows * inputs * outputs,
        bytes=products * width * arrays,
        reused=width * arrays,
        launches=DENSE_LAUNCHES,
        kept=width * rows * outputs,
    )


def _elementwise(
    name: str, numbers: float, *, functions: int = 0, passes: int, kept: int, launches: int
) -> Operation:
    """Work on each number by itself: functions, reads and writes, and numbers kept, of each."""
    return Operation(
        name,
        functions=functions * numbers,
        bytes=passes * FLOAT32 * numbers,
        reused=FLOAT32 * (1 + kept) * numbers,
        launches=launches,
        kept=kept * FLOAT32 * numbers,
    )


def _attention(load: Workload) -> list[Operation]:
    """Causal self-attention of N heads of F / N features with its projections in and out, as the
    dense implementation computes it: all pairs, also those behind the mask.

        projections  3 x 8 B T F^2
        products     3 x 4 B T^2 F
    """
    rows, features, width, heads = load.rows, load.features, load.width, load.config.num_heads
    pairs = heads * rows * load.length
    return [
        *(
            _dense(f"attention {name}", rows, features, features, width)
            for name in ("query", "key", "value", "out")
        ),
        Operation(
            "attention products",
            flops=3 * 4 * pairs * features // heads,
            # Two products forward, four backward, each with one array of all pairs.
            bytes=3 * width * 4 * rows * features + 6 * width * pairs,
            reused=FLOAT32 * pairs,
            launches=6,
        ),
        # Forward: mask, largest, exp, sum, quotient. Backward: the softmax's own.
        _elementwise("attention weights", pairs, functions=1, passes=8, kept=2, launches=6),
    ]


def _transformer(load: Workload) -> list[Operation]:
    rows, features, width = load.rows, load.features, load.width
    wide = 4 * features
    norm = _elementwise("norm", rows * features, passes=8, kept=2, launches=5)
    block = [
        *_attention(load),
        _dense("mlp in", rows, features, wide, width),
        _dense("mlp out", rows, wide, features, width),
        _elementwise("gelu", rows * wide, functions=1, passes=6, kept=2, launches=2),
        norm,
        norm,
        _elementwise("residuals", 2 * rows * features, passes=6, kept=1, launches=4),
    ]
    embed = _dense("embed", rows, load.inputs, features, width, inputs_are_data=True)
    return [embed, *load.config.num_layers * block, norm]


def _lstm_attention(load: Workload) -> list[Operation]:
    rows, features = load.rows, load.features
    return [
        *_recurrent(load),
        *_attention(load),
        _dense("combine", rows, 2 * features, features, load.width),
        _elementwise("tanh", rows * features, functions=1, passes=5, kept=1, launches=2),
    ]


WORK: dict[str, Callable[[Workload], list[Operation]]] = {
    "lstm": _recurrent,
    "gru": _recurrent,
    "transformer": _transformer,
    "lstm_attention": _lstm_attention,
}
