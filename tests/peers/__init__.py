"""Tests that run PyTorch and Keras themselves; `make test` leaves them out."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")  # before Keras is imported
