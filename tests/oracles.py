"""The equations in float64 numpy, one sequence step and one gate at a time, as the papers print them,
and the rounding error that a computation in fewer digits may have.

LSTM and attention are written from the source articles (equations 3.2.1 to 3.2.6 and 3.3.2 of the
first), which have a matrix for each gate; here each matrix is cut out of the fused parameter by
name, so that a gate in the wrong place shows.
"""

import numpy as np

# Half the distance from 1 to the next number: the largest relative error of one rounding.
UNITS = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
# What exp, tanh, sigmoid and division add, in units: XLA documents no bound; 4 is the most seen.
ELEMENTARY = 8


def rounding_bound(dtype, sum_length, *, magnitude=1.0, steps=1):
    """The largest error that arithmetic in a dtype explains, on every processor.

        |computed - exact| <= n u / (1 - n u) * sum |terms|,   n = steps (sum_length + ELEMENTARY)

    holds for every order of a sum, in lanes of any width, with and without a fused multiply-add.

    Args:
      dtype: the name of the arithmetic's dtype; u is its unit.
      sum_length: terms of the longest sum of one step.
      magnitude: the largest sum of the terms' absolute values; times the condition of what follows.
      steps: steps in a row whose errors are handed on without growing: layers, or time steps.

    Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, equations 3.4 and 4.6.
    """
    errors = steps * (sum_length + ELEMENTARY) * UNITS[dtype]
    assert errors < 1, "no digit would be left"
    return magnitude * errors / (1 - errors)


# In float32, for sums of at most 32 numbers of about 1. LAYER: two products. MODEL: eight, or a
# layer over eight time steps, each of which passes its error to the next.
LAYER = rounding_bound("float32", 32, steps=2)
MODEL = rounding_bound("float32", 32, steps=8)


def assert_close(computed, expected, terms, steps=1, *, dtype="float32", cancelled=1.0, name=""):
    """Asserts that two computations agree within twice the error that arithmetic explains.

    Args:
      terms, steps, dtype: sum_length, steps and dtype of `rounding_bound`.
      cancelled: the sum of a sum's absolute terms over the largest number of the result or 1.
    """
    computed, expected = (np.asarray(array, np.float64) for array in (computed, expected))
    magnitude = cancelled * max(1.0, np.abs(expected).max(initial=0))
    bound = 2 * rounding_bound(dtype, terms, magnitude=magnitude, steps=steps)
    np.testing.assert_allclose(computed, expected, rtol=0, atol=bound, err_msg=name)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gate(fused, order, name):
    """The block of one gate along the last axis of a fused parameter."""
    size = fused.shape[-1] // len(order)
    start = order.index(name) * size
    return np.asarray(fused, np.float64)[..., start : start + size]


def lstm(kernel, recurrent_kernel, bias, inputs, h, c):
    """Outputs [B, T, H], last h and c. f, i, candidate, C, o, h in the order of the article."""

    def affine(name, x, h):
        w, u, b = (gate(p, "ifgo", name) for p in (kernel, recurrent_kernel, bias))
        return x @ w + h @ u + b

    outputs = []
    for x in np.asarray(inputs, np.float64).swapaxes(0, 1):
        f = sigmoid(affine("f", x, h))
        i = sigmoid(affine("i", x, h))
        candidate = np.tanh(affine("g", x, h))
        o = sigmoid(affine("o", x, h))
        c = f * c + i * candidate
        h = o * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, axis=1), h, c


def gru(kernel, recurrent_kernel, bias, recurrent_bias, inputs, h):
    """Outputs [B, T, H] and the last h; reset after the product, as cuDNN documents it."""

    def from_inputs(name, x):
        return x @ gate(kernel, "rzn", name) + gate(bias, "rzn", name)

    def from_state(name, h):
        return h @ gate(recurrent_kernel, "rzn", name) + gate(recurrent_bias, "rzn", name)

    outputs = []
    for x in np.asarray(inputs, np.float64).swapaxes(0, 1):
        r = sigmoid(from_inputs("r", x) + from_state("r", h))
        z = sigmoid(from_inputs("z", x) + from_state("z", h))
        n = np.tanh(from_inputs("n", x) + r * from_state("n", h))
        h = (1 - z) * n + z * h
        outputs.append(h)
    return np.stack(outputs, axis=1), h


def attention(query, key, value, allowed=None, bias=None, scale=None):
    """softmax(Q K^T / sqrt(d_k)) V for each batch entry, head and query; zeros without any key."""
    query, key, value = (np.asarray(a, np.float64) for a in (query, key, value))
    batch, queries, heads, features = query.shape
    keys = key.shape[1]
    scale = 1 / np.sqrt(features) if scale is None else scale
    shape = (batch, heads, queries, keys)
    allowed = np.broadcast_to(True if allowed is None else allowed, shape)
    bias = np.broadcast_to(0.0 if bias is None else bias, shape)
    out = np.zeros((batch, queries, heads, value.shape[-1]))
    for b, n, t in np.ndindex(batch, heads, queries):
        attended = np.flatnonzero(allowed[b, n, t])
        if len(attended):
            logits = np.array(
                [query[b, t, n] @ key[b, s, n] * scale + bias[b, n, t, s] for s in attended]
            )
            weights = np.exp(logits - logits.max())
            out[b, t, n] = weights / weights.sum() @ value[b, attended, n]
    return out


def gru_reset_before(kernel, recurrent_kernel, bias, recurrent_bias, inputs, h):
    """Outputs [B, T, H]; equations 5 to 8 of Cho et al. 2014, the reset acting on h."""
    w, u, b, d = (
        {name: gate(p, "rzn", name) for name in "rzn"}
        for p in (kernel, recurrent_kernel, bias, recurrent_bias)
    )
    outputs = []
    for x in np.asarray(inputs, np.float64).swapaxes(0, 1):
        r, z = (sigmoid(x @ w[name] + b[name] + h @ u[name] + d[name]) for name in "rz")
        candidate = np.tanh(x @ w["n"] + b["n"] + (r * h) @ u["n"] + d["n"])
        h = z * h + (1 - z) * candidate
        outputs.append(h)
    return np.stack(outputs, axis=1)


def normalise(v, epsilon=1e-6):
    return (v - v.mean(-1, keepdims=True)) / np.sqrt(v.var(-1, keepdims=True) + epsilon)


def peephole_lstm_step(kernel, recurrent_kernel, bias, peephole, x, h, c):
    """Next h and c, as Gers, Schraudolph & Schmidhuber 2002 print them: the output gate sees the new c."""
    net = {
        n: x @ gate(kernel, "ifgo", n)
        + h @ gate(recurrent_kernel, "ifgo", n)
        + gate(bias, "ifgo", n)
        for n in "ifgo"
    }
    p = {n: gate(peephole, "ifo", n) for n in "ifo"}
    after = sigmoid(net["f"] + p["f"] * c) * c + sigmoid(net["i"] + p["i"] * c) * np.tanh(net["g"])
    return sigmoid(net["o"] + p["o"] * after) * np.tanh(after), after


def coupled_lstm_step(kernel, recurrent_kernel, bias, x, h, c):
    """Next h and c of an LSTM whose input gate is one minus its forget gate (Greff et al. 2017)."""
    f, g, o = (
        x @ gate(kernel, "fgo", n) + h @ gate(recurrent_kernel, "fgo", n) + gate(bias, "fgo", n)
        for n in "fgo"
    )
    i = 1 - sigmoid(f)
    after = sigmoid(f) * c + i * np.tanh(g)
    return sigmoid(o) * np.tanh(after), after


def layer_norm_lstm_step(
    kernel, recurrent_kernel, bias, kernel_scale, recurrent_scale, cell_scale, cell_bias, x, h, c
):
    """Next h and c, equations 20 to 22 of Ba, Kiros & Hinton 2016."""
    net = (
        kernel_scale * normalise(x @ kernel)
        + recurrent_scale * normalise(h @ recurrent_kernel)
        + bias
    )
    i, f, g, o = (gate(net, "ifgo", n) for n in "ifgo")
    after = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(cell_scale * normalise(after) + cell_bias), after
