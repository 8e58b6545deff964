"""Linear recurrences and matrix memories in float64 numpy: one row, one head, one step at a time.

Each step takes the state and the arrays of one step of one row, and gives the next state and the
output. The mLSTM is the one without a stabiliser.
"""

import numpy as np


def linear_recurrence(h, decay, inputs):
    h = decay * h + inputs
    return h, h


def gated_linear_attention(memory, query, key, value, decay=None, log_decay=None):
    """Each head on its own; decay or log_decay [N] or [N, K]."""
    memory, outputs = memory.copy(), np.zeros_like(value)
    for n in range(len(query)):
        memory[n] = memory[n] @ kept(n, key[n], decay, log_decay) + np.outer(value[n], key[n])
        outputs[n] = memory[n] @ query[n]
    return memory, outputs


def kept(n, key, decay, log_decay):
    """The matrix [K, K] by which head n decays."""
    factor = 1.0 if decay is None else decay[n]
    factor = factor if log_decay is None else np.exp(log_decay[n])
    return np.diag(np.broadcast_to(factor, key.shape))


def m_lstm(state, query, key, value, log_decay, log_input_gate):
    """The state is the memory and the normaliser, over exp(0)."""
    memory, normaliser = (array.copy() for array in state)
    outputs = np.zeros_like(value)
    for n in range(len(query)):
        forget, write = np.exp(log_decay[n]), np.exp(log_input_gate[n])
        memory[n] = forget * memory[n] + write * np.outer(value[n], key[n])
        normaliser[n] = forget * normaliser[n] + write * key[n]
        outputs[n] = memory[n] @ query[n] / max(abs(normaliser[n] @ query[n]), 1)
    return (memory, normaliser), outputs


def delta_rule(memory, query, key, value, beta, decay=None, log_decay=None):
    """With micro-steps key, value and beta have an axis before the heads."""
    if key.ndim == 2:
        key, value, beta = key[None], value[None], beta[None]
    memory, outputs = memory.copy(), np.zeros_like(value[0])
    for n in range(len(query)):
        memory[n] = memory[n] @ kept(n, query[n], decay, log_decay)
        for k, v, b in zip(key[:, n], value[:, n], beta[:, n], strict=True):
            erase = np.eye(len(k)) - b * np.outer(k, k)
            memory[n] = memory[n] @ erase + b * np.outer(v, k)
        outputs[n] = memory[n] @ query[n]
    return memory, outputs


def rwkv7(memory, query, key, value, beta, log_decay, removal_key):
    """beta [N] or [N, K]; log_decay [N, K]."""
    memory, outputs = memory.copy(), np.zeros_like(value)
    for n in range(len(query)):
        removal = removal_key[n]
        transition = np.diag(np.exp(log_decay[n])) - np.outer(removal, beta[n] * removal)
        memory[n] = memory[n] @ transition + np.outer(value[n], key[n])
        outputs[n] = memory[n] @ query[n]
    return memory, outputs


def over_time(step, arrays, state, lengths, resets, reverse):
    """Each row alone, up to its own end: outputs [B, T, ...] and final states, a list of a row each.

    Args:
      arrays: name -> [B, T, ...].
      state: a pytree as of the step, each leaf [B, ...]: an array, or a tuple of two.
    """

    def row(state, b):
        return tuple(leaf[b] for leaf in state) if isinstance(state, tuple) else state[b]

    def zeros(state):
        return tuple(map(np.zeros_like, state)) if isinstance(state, tuple) else state * 0

    outputs, finals = None, []
    for b in range(len(lengths)):
        now, order = row(state, b), range(lengths[b])
        for t in reversed(order) if reverse else order:
            if resets[b, t]:
                now = zeros(now)
            now, output = step(now, **{name: array[b, t] for name, array in arrays.items()})
            if outputs is None:
                outputs = np.zeros((*resets.shape, *output.shape), output.dtype)
            outputs[b, t] = output
        finals.append(now)
    return outputs, finals
