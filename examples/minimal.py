"""An LSTM learns the adding problem: `ops` and optax only, one scan, one file.

    python examples/minimal.py

Each sequence has T random numbers, two of which are marked; the target is their sum. Whoever always
answers 1, the mean, has the loss 1 / 6, the variance of a sum of two numbers from U[0, 1].
"""

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from lstm_attn import ops

LENGTH, FEATURES, BATCH = 20, 32, 32
BASELINE = 1 / 6


def sample(key: Array) -> tuple[Array, Array]:
    """Inputs [B, T, 2], numbers and markers, and targets [B]. One marker is in each half."""
    numbers_key, first_key, second_key = jax.random.split(key, 3)
    numbers = jax.random.uniform(numbers_key, (BATCH, LENGTH))
    first = jax.random.randint(first_key, (BATCH,), 0, LENGTH // 2)
    second = jax.random.randint(second_key, (BATCH,), LENGTH // 2, LENGTH)
    markers = jax.nn.one_hot(first, LENGTH) + jax.nn.one_hot(second, LENGTH)
    return jnp.stack([numbers, markers], axis=-1), jnp.sum(numbers * markers, axis=1)


def initial_parameters(key: Array) -> dict:
    """LSTMParams with a bias of 1 for the forget gate (i, f, g, o), and a linear readout."""
    keys, glorot = jax.random.split(key, 3), jax.nn.initializers.glorot_uniform()
    lstm = ops.LSTMParams(
        kernel=glorot(keys[0], (2, 4 * FEATURES)),
        recurrent_kernel=glorot(keys[1], (FEATURES, 4 * FEATURES)),
        bias=jnp.zeros(4 * FEATURES).at[FEATURES : 2 * FEATURES].set(1.0),
    )
    return {"lstm": lstm, "readout": glorot(keys[2], (FEATURES, 1)), "bias": jnp.zeros(1)}


def loss(params: dict, inputs: Array, targets: Array) -> Array:
    """The mean squared error of the readout of the last h; `ops.lstm` is this scan, and faster."""
    zeros = jnp.zeros((inputs.shape[0], FEATURES))

    def step(state: ops.LSTMState, x: Array) -> tuple[ops.LSTMState, Array]:
        return ops.lstm_step(params["lstm"], state, x)

    state, _ = lax.scan(step, ops.LSTMState(zeros, zeros), inputs.swapaxes(0, 1))
    outputs = state.h @ params["readout"] + params["bias"][None]
    return jnp.mean((outputs[:, 0] - targets) ** 2)


def main(steps: int = 1000, every: int = 100) -> float:
    """Trains, prints the mean loss of every `every` steps, all on fresh data; returns the last."""
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-2))
    params = initial_parameters(jax.random.key(0))

    def update(carry: tuple, key: Array) -> tuple[tuple, Array]:
        params, optimizer_state = carry
        value, gradients = jax.value_and_grad(loss)(params, *sample(key))
        updates, optimizer_state = optimizer.update(gradients, optimizer_state, params)
        return (optax.apply_updates(params, updates), optimizer_state), value

    train = jax.jit(lambda carry, keys: lax.scan(update, carry, keys))
    carry, mean = (params, optimizer.init(params)), BASELINE
    for step in range(0, steps, every):
        carry, losses = train(carry, jax.random.split(jax.random.key(step + 1), every))
        mean = float(losses.mean())
        print(f"step {step + every:5d}: loss {mean:.4f} (without memory {BASELINE:.4f})")
    return mean


if __name__ == "__main__":
    main()
