"""What the layers of a training step ask of a device: products, functions, bytes, launches."""

from typing import NamedTuple

from lstm_attn.errors import unknown_name

# Parameters, their gradients, carries and sums are float32 whatever products are computed in.
FLOAT32 = 4


class Operation(NamedTuple):
    """One kind of work, forward and backward, in one training step.

    flops: of products; one of [M, K] and [K, N] counts 2 M K N.
    functions: values of exp or tanh, which cost more than the sums around them.
    bytes: read and written.
    reused: bytes of the arrays that the step comes back to; if a cache holds them, so fast are
      `bytes` moved.
    launches: programs of the device (kernels) that start one after another.
    kept: bytes that wait for the backward pass.
    """

    name: str
    flops: float = 0
    functions: float = 0
    bytes: float = 0
    reused: float = 0
    launches: float = 0
    kept: float = 0


class Gates(NamedTuple):
    """A recurrent cell: its gates, and what was counted in its programs (XLA, jax 0.10.2).

    functions: exp and tanh of a step and hidden feature.
    kept: float32 numbers that wait for the backward pass, of a step and hidden feature, by
      implementation: XLA's account of temporary memory.
    """

    gates: int
    functions: int
    kept: dict[str, int]


CELLS = {
    "lstm": Gates(4, functions=5, kept={"scan": 15, "fused": 14}),
    "gru": Gates(3, functions=3, kept={"scan": 12, "fused": 15}),
}
# Of one step of a scan, where a compiler fuses all that is not a product: products of inputs and
# of state, what follows them, the loop; backward two or, with those of weights, four products.
STEP_LAUNCHES = {"scan": 4 + 6, "fused": 4 + 4}
# Of a layer's product: itself, and what follows it; the gradients of its input and its kernel.
DENSE_LAUNCHES = 4


def recurrent(
    cell: str,
    batch: int,
    length: int,
    inputs: int,
    features: int,
    *,
    width: int = FLOAT32,
    implementation: str = "scan",
    inputs_are_data: bool = False,
) -> list[Operation]:
    """A recurrent layer [B, T, D] -> [B, T, H] of G gates, forward and backward.

        forward   2 B T (D + H) G H
        backward  2 B T (D + H) G H for kernels, 2 B T H G H for the state, 2 B T D G H for inputs

    Every step reads both kernels. Under "scan" it also reads and writes the sums of their
    gradients; "fused" makes these by one product after the scan.

    Args:
      cell: "lstm" or "gru".
      batch, length, inputs, features: B, T, D, H.
      width: bytes of a number in the products.
      implementation: "scan" or "fused", as in `ops.lstm`.
      inputs_are_data: the inputs need no gradient.
    """
    if cell not in CELLS:
        raise unknown_name("cell", cell, CELLS)
    if implementation not in STEP_LAUNCHES:
        raise unknown_name("implementation", implementation, STEP_LAUNCHES)
    gates, functions, kept_numbers = CELLS[cell]
    sums, cells = gates * features, batch * length * features
    kernels = (inputs + features) * sums
    product = 2 * batch * length * kernels
    of_inputs = 0 if inputs_are_data else 2 * batch * length * inputs * sums
    kept = FLOAT32 * kept_numbers[implementation] * cells
    # Weights forward and backward; inputs, state and sums of each product once.
    moved = 2 * length * width * kernels + 3 * batch * length * (
        width * (inputs + features) + FLOAT32 * sums
    )
    reused = width * kernels
    if implementation == "scan":
        moved += 2 * length * FLOAT32 * kernels
        reused += FLOAT32 * kernels
    return [
        Operation(
            f"{cell} products",
            flops=2 * product + of_inputs + 2 * batch * length * features * sums,
            bytes=moved,
            reused=reused,
            launches=length * STEP_LAUNCHES[implementation],
        ),
        # What is kept is written and read; sums are read, their gradients written.
        Operation(
            f"{cell} gates",
            functions=functions * cells,
            bytes=2 * kept + 2 * FLOAT32 * gates * cells,
            reused=kept,
            kept=kept,
        ),
    ]


def dense(
    name: str,
    rows: int,
    inputs: int,
    outputs: int,
    *,
    width: int = FLOAT32,
    inputs_are_data: bool = False,
) -> Operation:
    """A product with a kernel [D, O] for so many rows, forward and backward: 3 (2 for data) x
    2 rows D O."""
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


def elementwise(
    name: str, numbers: float, *, functions: int = 0, passes: int, kept: int, launches: int
) -> Operation:
    """What is computed number by number: functions, reads and writes, and numbers kept, of each."""
    return Operation(
        name,
        functions=functions * numbers,
        bytes=passes * FLOAT32 * numbers,
        reused=FLOAT32 * (1 + kept) * numbers,
        launches=launches,
        kept=kept * FLOAT32 * numbers,
    )


def attention(
    batch: int, length: int, heads: int, features: int, *, width: int = FLOAT32
) -> list[Operation]:
    """Causal self-attention of N heads of F / N features, its projections in and out included, as
    the dense implementation computes it: all pairs, also those behind the mask.

        projections  3 x 8 B T F^2
        products     3 x 4 B T^2 F
    """
    pairs = batch * heads * length * length
    arrays = 4 * batch * length * features
    return [
        *(
            dense(f"attention {name}", batch * length, features, features, width=width)
            for name in ("query", "key", "value", "out")
        ),
        Operation(
            "attention products",
            flops=3 * 4 * pairs * features // heads,
            # Two products forward, four backward, each with one array of all pairs.
            bytes=3 * width * arrays + 6 * width * pairs,
            reused=FLOAT32 * pairs,
            launches=6,
        ),
        # Forward: mask, largest, exp, sum, quotient. Backward: the softmax's own.
        elementwise("attention weights", pairs, functions=1, passes=8, kept=2, launches=6),
    ]


def transformer_block(
    batch: int, length: int, heads: int, features: int, *, gated: bool, width: int = FLOAT32
) -> list[Operation]:
    """Attention and feed-forward of width 4 F, with their norms, gelu and residuals."""
    rows, wide = batch * length, 4 * features
    kernels = [("mlp in", features, wide), ("mlp out", wide, features)]
    if gated:
        kernels.append(("mlp gate", features, wide))
    return [
        *attention(batch, length, heads, features, width=width),
        *(dense(name, rows, into, out, width=width) for name, into, out in kernels),
        elementwise("gelu", rows * wide, functions=1, passes=6, kept=2, launches=2),
        norm(rows, features),
        norm(rows, features),
        elementwise("residuals", 2 * rows * features, passes=6, kept=1, launches=4),
    ]


def norm(rows: int, features: int) -> Operation:
    """A layer norm with its derivative."""
    return elementwise("norm", rows * features, passes=8, kept=2, launches=5)


def pooling(batch: int, length: int, features: int) -> Operation:
    """The scan of `ops.attention_pooling`: two exp a sequence and step, no product."""
    numbers = batch * length * features
    kept = FLOAT32 * 7 * numbers
    return Operation(
        "pooling",
        functions=2 * batch * length,
        bytes=2 * kept,
        reused=kept,
        launches=length * (2 + 3),
        kept=kept,
    )


def optimiser(parameters: float, shards: int = 1) -> Operation:
    """Clipping, AdamW, and keeping what is finite, on this device's part of the parameters.

    The gradient is read for its norm and for the step; parameters and two moments are read, made
    and chosen: 14 reads and writes of float32 a parameter.
    """
    mine = parameters / shards
    return Operation(
        "optimiser",
        functions=mine,
        bytes=14 * FLOAT32 * mine,
        reused=4 * FLOAT32 * mine,
        launches=12,
    )
