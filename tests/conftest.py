"""Four host devices, so that meshes are real; no silent dtype promotion; hypothesis without haste."""

import hypothesis
import jax
import pytest

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_dtype_promotion", "strict")

# Each new shape compiles: a deadline would measure XLA, and a hundred examples take a minute.
hypothesis.settings.register_profile("jit", deadline=None, derandomize=True, max_examples=20)
hypothesis.settings.load_profile("jit")


@pytest.fixture
def float64():
    """64-bit arrays for the length of a test: oracles and finite differences want them."""
    with jax.enable_x64(True):
        yield
