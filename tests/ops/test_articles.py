"""The three ways in which the source articles write the LSTM are one function."""

import numpy as np

from lstm_attn import ops
from tests.ops.test_lstm import random_case


def test_the_three_forms_of_the_articles_are_equal(float64):
    """Identity, to be read from top to bottom. Catches h and x in the wrong order."""
    (kernel, recurrent_kernel, bias), inputs, state = random_case(0, 2, 1, 3, 4)
    x, h = inputs[:, 0], state.h

    # Second article, 4.1: W x + U h + b. This is the form of `ops.lstm_step`.
    separate = x @ kernel + h @ recurrent_kernel + bias

    # First article, 3.2: W [h, x] + b. W has the rows of U above those of the kernel.
    joined_kernel = np.concatenate([recurrent_kernel, kernel])
    joined = np.concatenate([h, x], axis=1) @ joined_kernel + bias

    # First article, 5.1, its code: x_combined = [x, h], and U remains, so h is counted twice.
    # Any split of the recurrent kernel between the two places gives the same gates.
    share = np.random.default_rng(1).normal(size=recurrent_kernel.shape)
    combined_kernel = np.concatenate([kernel, recurrent_kernel - share])
    twice = np.concatenate([x, h], axis=1) @ combined_kernel + h @ share + bias

    np.testing.assert_allclose(joined, separate, rtol=1e-12)
    np.testing.assert_allclose(twice, separate, rtol=1e-12)

    # All three take the same step: the code's parameters, folded into ours.
    folded = ops.LSTMParams(combined_kernel[:3], combined_kernel[3:] + share, bias)
    ours = ops.LSTMParams(kernel, recurrent_kernel, bias)
    expected, _ = ops.lstm_step(ours, state, x)
    after, _ = ops.lstm_step(folded, state, x)
    np.testing.assert_allclose(after.h, expected.h, rtol=1e-12)
    np.testing.assert_allclose(after.c, expected.c, rtol=1e-12)
