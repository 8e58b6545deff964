# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From one equation to a character model
#
# We begin with one step of an LSTM by hand and end with a model that writes in the manner of
# Python's help pages. All cells together take some minutes on two cores. Nothing is downloaded, but
# where `lstm_attn` is not installed yet: the first cell does that.
#
# Axis letters, here and in the package: `B` batch, `T` time, `S` keys, `D` features in,
# `H` features of a hidden state, `N` attention heads, `K` features of a head.

# %%
import importlib.util
import subprocess
import sys
from pathlib import Path

if importlib.util.find_spec("lstm_attn") is None:  # then from the clone that this notebook is in
    clone = next(f for f in (Path.cwd(), Path.cwd().parent) if (f / "pyproject.toml").exists())
    install = (sys.executable, "-m", "pip", "install", "--quiet", f"{clone}[notebooks]")
    subprocess.run(install, check=True)

# %%
import re
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from matplotlib.axes import Axes

from lstm_attn import analysis, generation, models, ops, report, tasks, text, training
from lstm_attn.analysis import text_memory
from lstm_attn.history import Evaluation
from lstm_attn.ops.sampling import Sampling
from lstm_attn.report.panel import panel

training.use_compilation_cache()  # a restart compiles nothing anew
training.use_host_cores()  # a device of every core; call it before JAX computes

# %% [markdown]
# ## One step
#
# An LSTM has a memory `c`, and `h`, the part of it that it shows. At each step
#
# $$i, f, g, o = \mathrm{split}(x W + h U + b)$$
# $$c' = \sigma(f)\, c + \sigma(i) \tanh(g) \qquad h' = \sigma(o) \tanh(c')$$
#
# The forget gate `f` says what share of `c` stays, the input gate `i` how much of the candidate `g`
# comes in, the output gate `o` how much is shown. In numpy:

# %%
B, T, D, H = 2, 5, 3, 4
rng = np.random.default_rng(0)
W, U, b = (rng.normal(size=shape) for shape in ((D, 4 * H), (H, 4 * H), (4 * H,)))
x, h, c = rng.normal(size=(B, T, D)), np.zeros((B, H)), np.zeros((B, H))


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


shown = []
for t in range(T):
    i, f, g, o = np.split(x[:, t] @ W + h @ U + b, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    shown.append(h)
by_hand = np.stack(shown, axis=1)

# %% [markdown]
# The same as a pure function, arrays in and arrays out. `ops.lstm_step` is one step, `ops.lstm` all
# of them in one program.

# %%
params = ops.LSTMParams(*(jnp.asarray(part, jnp.float32) for part in (W, U, b)))
inputs = jnp.asarray(x, jnp.float32)
state = ops.LSTMState(h=jnp.zeros((B, H)), c=jnp.zeros((B, H)))
for t in range(T):
    state, output = ops.lstm_step(params, state, inputs[:, t])

outputs, last_state = ops.lstm(params, inputs)  # [B, T, H], and h and c after the last step
np.testing.assert_allclose(outputs, by_hand, atol=1e-5)
np.testing.assert_allclose(output, by_hand[:, -1], atol=1e-5)
np.testing.assert_allclose(last_state.c, state.c, atol=1e-5)
outputs.shape

# %% [markdown]
# ## Attention
#
# An LSTM sees the past through a state of fixed size. Attention keeps all of it, and looks up:
# a query is compared with every key, and the answer is the mean of the values, weighted by how well
# their keys match.
#
# $$w_{ts} = \mathrm{softmax}_s (q_t \cdot k_s / \sqrt{K}) \qquad y_t = \sum_s w_{ts} v_s$$
#
# Four keys, and a query that points along the third: the answer is nearly the third value.

# %%
keys = jnp.eye(4)[None, :, None]  # [B = 1, S = 4, N = 1, K = 4]
values = jnp.array([10.0, 20.0, 30.0, 40.0])[None, :, None, None]  # [1, 4, 1, 1]
query = 12 * keys[:, 2:3]  # [1, T = 1, 1, 4]
scores = query[0, :, 0] @ keys[0, :, 0].T / np.sqrt(4)
weights = np.exp(scores) / np.exp(scores).sum()
answer = ops.dot_product_attention(query, keys, jnp.tile(values, 4))[0, 0, 0, 0]
np.testing.assert_allclose(answer, (weights @ values[0, :, 0])[0, 0], rtol=1e-5)
assert abs(answer - 30) < 0.5
print("weights", weights.round(3), "answer", answer)

# %% [markdown]
# ## What the gradient sees of the past
#
# Training changes what a model remembers only as far as gradients come back from the loss. Here is
# the norm of the gradient of the last output by each input, for an untrained LSTM with two biases
# of its forget gate. With a bias of 1 about three quarters of `c` stay at each step, with 5 more
# than 99 of 100: of what lies 80 steps back, the first has lost sight.

# %%
T, H = 100, 16
kernel_key, recurrent_key, inputs_key = jax.random.split(jax.random.key(0), 3)
orthogonal = jax.nn.initializers.orthogonal()
inputs = jax.random.normal(inputs_key, (1, T, D))


@jax.jit
def gradient_by_lag(forget_bias: float) -> Array:
    """The norm of d sum(h_T) / d x_t at lag T - t = 0, 1 ... [T]."""
    params = ops.LSTMParams(
        kernel=0.3 * jax.random.normal(kernel_key, (D, 4 * H)),
        recurrent_kernel=orthogonal(recurrent_key, (H, 4 * H)),
        bias=jnp.zeros(4 * H).at[H : 2 * H].set(forget_bias),
    )
    gradient = jax.grad(lambda inputs: ops.lstm(params, inputs)[0][:, -1].sum())(inputs)
    return jnp.linalg.norm(gradient[0], axis=-1)[::-1]


norms = {bias: np.asarray(gradient_by_lag(bias)) for bias in (1.0, 5.0)}
assert norms[1.0][80] < 1e-6 * norms[1.0][0]
assert norms[5.0][80] > 1e-2 * norms[5.0][0]


def draw_norms(axes: Axes) -> None:
    for bias, of_lag in norms.items():
        axes.plot(of_lag, label=f"forget bias {bias:g}")
    axes.set(yscale="log", xlabel="lag (steps back)", ylabel="norm of the gradient")


panel("What the last output depends on", draw_norms).show()

# %% [markdown]
# ## Text
#
# Some English comes with every Python: the topics of `help()`. `text.prepare` cuts a text by
# position into training, validation and test, makes ids of its characters and keeps them in files,
# so that a text may be larger than memory. `text.Source("some/folder")` would take files of yours.

# %%
folder = tempfile.TemporaryDirectory()
corpus = text.prepare(
    Path(folder.name), text.Source(), "character", vocabulary_size=0, held_out=0.05
)
vocabulary, train_ids = corpus.vocabulary, corpus.splits["train"].tokens
print({name: len(split.tokens) for name, split in corpus.splits.items()})
print(vocabulary.size, "characters;", vocabulary.encode("an LSTM"), "is 'an LSTM'")
beginning = vocabulary.decode(train_ids[:300]).decode()
assert vocabulary.decode(vocabulary.encode(beginning)).decode() == beginning
print(beginning)

# %% [markdown]
# The task is to predict every character from those before it. The loss is the cross-entropy, in
# nats a character. Who knows only how often each character occurs has the `baseline`; who knows
# nothing, the logarithm of their number.

# %%
task = tasks.TextPrediction(corpus, length=64)
assert task.baseline < np.log(vocabulary.size)
print(f"nothing known: {np.log(vocabulary.size):.2f} nats a character")
print(f"frequencies known: {task.baseline:.2f}")

# %% [markdown]
# ## Training
#
# `models.build` makes a `Model` of pure functions: `init(key)` and `apply(params, ids)`. Training
# goes over segments of 64 characters: a gradient reaches back to the start of its segment, while
# the state is carried on from one to the next.

# %%
model = models.build("lstm", task, models.ModelConfig(features=128))
config = training.TrainingConfig(steps=500, seeds=1, evaluate_every=50, evaluation_sequences=64)


def show(evaluation: Evaluation) -> None:
    print(f"step {evaluation.step}: {evaluation.median_loss:.3f} nats a character")


trained = training.train(model, task, config, on_evaluation=show)
loss = trained.history.metrics["loss"][:, 0]
print(f"{models.count_parameters(model):,} parameters, {trained.history.seconds[-1]:.0f} s")

# %%
assert loss[-1] < task.baseline
report.learning_curves({"lstm": trained.history}, task.baseline, "Validation loss").show()

# %% [markdown]
# On the test split, read from first character to last: how many bits it would take to send a
# byte of it, with a 95 % interval over 20 blocks. As it is, a byte takes 8; by the frequencies of
# characters, nearly 5.

# %%
lstm = trained.trial(0)
test = corpus.splits["test"]
losses = text_memory.split_losses(model, lstm, test.tokens, task.length, batch_size=32)
bits = analysis.mean_interval(text_memory.block_bits(losses, test))
print(f"{bits.mean:.2f} bits a byte, interval {bits.low:.2f} to {bits.high:.2f}")
assert bits.high < np.log2(vocabulary.size)

# %% [markdown]
# ## How far back does it look?
#
# The same characters of the test split, predicted with only so many before them. From one to eight,
# each doubling is worth half a bit to a bit; beyond 32 this model makes almost nothing of what it
# is given. `experiments.language_model` asks other models the same.

# %%
contexts = (1, 2, 4, 8, 16, 32, 64, 128)
windows = np.lib.stride_tricks.sliding_window_view(test.tokens, max(contexts) + 1)[::40]
by_context = text_memory.losses_by_context(model, lstm, windows, contexts, batch_size=100)
intervals = [analysis.mean_interval(by_context[context]) for context in contexts]
assert by_context[8].mean() < by_context[1].mean()


def draw_context(axes: Axes) -> None:
    means = np.array([interval.mean for interval in intervals])
    half_widths = means - [interval.low for interval in intervals]
    axes.errorbar(contexts, means, half_widths, marker="o", capsize=2)
    axes.set_xscale("log", base=2)
    axes.set_xticks(contexts, list(map(str, contexts)))
    axes.set(xlabel="characters of context", ylabel="bits a character")


panel(f"Loss against context, {len(windows)} characters", draw_context).show()

# %% [markdown]
# ## Writing
#
# Draw a character from what the model expects, give it back as the next input, and so on. The
# logits are divided by a temperature first: a low one takes what is likely, a high one takes risks,
# and more of its words are in no page of the text.
# The LSTM needs no more memory for the thousandth character than for the first.


# %%
def write(prompt: str, temperature: float, length: int = 400, seed: int = 0) -> str:
    generator = generation.make_generator(model, Sampling(temperature=temperature))
    ids = vocabulary.encode(prompt)
    pieces = list(generation.generate(generator, lstm, ids, samples=1, length=length, seed=seed))
    return prompt + vocabulary.decode(np.concatenate(pieces, axis=1)[0]).decode()


known_words = set(re.findall(r"\w+", vocabulary.decode(train_ids).decode()))
known = {}
for temperature in (0.3, 0.7, 1.5):
    written = write("The class ", temperature)
    words = re.findall(r"\w+", written)
    known[temperature] = np.mean([word in known_words for word in words])
    print(f"--- temperature {temperature}, {known[temperature]:.0%} of its words are known ones")
    print(written, end="\n\n")

assert known[0.3] > known[1.5]

# %% [markdown]
# The same seed writes the same text.

# %%
assert write("def ", 0.7, length=50, seed=3) == write("def ", 0.7, length=50, seed=3)
assert write("def ", 0.7, length=50, seed=3) != write("def ", 0.7, length=50, seed=4)

# %% [markdown]
# ## Where to go from here
#
# * Any other name of `models.MODELS` in the same cells, say `models.build("transformer", ...)`.
# * `make language-model` trains four models on the same text and compares how far back they look;
#   `python -m experiments.generate` lets them write on.
# * [copy_and_adding](copy_and_adding.ipynb): two tasks whose answer is known exactly.
