"""Tests with PyTorch and Keras themselves, which `make test` does without."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")  # before Keras is imported
