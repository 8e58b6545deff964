"""A recurrent model of your own: twenty lines, one line in MODELS, and every measure works on it.

    python examples/your_model.py

The model is the minimal gated unit: one gate z, the share of the state that is kept. It derives
from `modules.Recurrent` and writes its parameters and one step. From these two come training on
every task, generation, d loss / d h_t, gates and time scales, and cuts of the path through time.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from lstm_attn import analysis, models, modules, tasks, training


class MGUGates(NamedTuple):
    """keep: z, the share of the state that is kept. candidate: n."""

    keep: Array
    candidate: Array


class MGU(modules.Recurrent):
    """The minimal gated unit, [B, T, D] to [B, T, H].

        z = sigmoid(x W_z + h U_z + b_z)
        n = tanh(x W_n + ((1 - z) * h) U_n + b_n)
        h' = z * h + (1 - z) * n

    Parameters: kernel W [D, 2H], recurrent_kernel U [H, 2H], bias b [2H]; gate order z, n.

    Source: Zhou et al. 2016, with z for their 1 - f.
    """

    def parameters(self, features_in: int) -> tuple[Array, Array, Array]:
        init, width = nn.initializers.glorot_uniform(), 2 * self.features
        return (
            self.param("kernel", init, (features_in, width), self.param_dtype),
            self.param("recurrent_kernel", init, (self.features, width), self.param_dtype),
            self.param("bias", nn.initializers.zeros, (width,), self.param_dtype),
        )

    def step(self, params: Any, carry: Array, x: Array) -> tuple[Array, MGUGates]:
        kernel, recurrent_kernel, bias = params
        x_z, x_n = jnp.split(x @ kernel + bias[None], 2, axis=-1)
        u_z, u_n = jnp.split(recurrent_kernel, 2, axis=-1)
        z = jax.nn.sigmoid(x_z + carry @ u_z)
        n = jnp.tanh(x_n + ((1 - z) * carry) @ u_n)
        return z * carry + (1 - z) * n, MGUGates(z, n)


models.MODELS["mgu"] = lambda features, config: MGU(features, dtype=config.dtype)


def main(steps: int = 300, length: int = 20) -> dict[str, Any]:
    """Trains the model on the adding problem, looks into it, and prints and returns what it saw."""
    task = tasks.adding(length)
    model = models.build("mgu", task, models.ModelConfig(features=32))
    config = training.TrainingConfig(
        steps=steps,
        evaluate_every=steps,
        warmup_steps=0,
        batch_size=32,
        learning_rates=(1e-2,),
        seeds=1,
    )
    trained = training.train(model, task, config)
    loss = float(trained.history.metrics["loss"][-1, 0])
    print(f"adding, T = {length}: loss {loss:.4f}, without memory {task.baseline:.4f}")

    reach = {
        name: analysis.reach(norms)
        for name, norms in analysis.norms_of_trials(model, trained.params, task).items()
    }
    for name, lags in (("x_t", reach["inputs"]["median"]), ("h_t", reach["body"]["median"])):
        print(f"|d loss / d {name}| at lag {length - 1}: {lags[-1]:.2g} of that at lag 1")

    key = jax.random.key(0)
    (inside,) = analysis.look_at_trials(model, task, trained.params, key, sequences=64)
    scales = inside.time_scales["body"]
    print(f"time scales: {scales.min():.1f} to {scales.max():.1f} steps")

    _, seen = model.observe(model.init(key), task.sample(key, 1).inputs)
    cuts = analysis.cuts_of(seen, task.sequence_length, analysis.crossing(task))
    metrics = analysis.metrics_when_cut(model, task, trained.params, cuts, key, sequences=256)
    losses = {name: float(values["loss"][0]) for name, values in metrics.items()}
    for name, value in losses.items():
        print(f"loss with {name} cut at half of the sequence: {value:.4f}")
    return {"loss": loss, "reach": reach, "time_scales": scales, "cut": losses}


if __name__ == "__main__":
    main()
