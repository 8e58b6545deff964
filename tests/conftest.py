"""CPU with four devices, so that meshes are real; no silent dtype promotion but inside optax."""

import os

os.environ["JAX_PLATFORMS"] = "cpu"  # before JAX is imported, and for the processes of tests

import hypothesis
import jax
import optax
import pytest

from lstm_attn.training import optimizer, train_step

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_dtype_promotion", "strict")

pytest_plugins = ["tests.study_fixtures"]

# Each new shape compiles: a deadline would measure XLA, and a hundred examples take a minute.
hypothesis.settings.register_profile("jit", deadline=None, derandomize=True, max_examples=20)
hypothesis.settings.load_profile("jit")


# Folders most of whose tests' time is compilation.
COMPILED_QUICKLY = ("analysis", "benchmarks", "configs", "modules", "ops", "tasks")


def make_lenient_optimizer(config, learning_rate, global_norm=None):
    """Ours, with promotion allowed: optax's Adam raises a float to an integer count."""
    strict = optimizer.make_optimizer(config, learning_rate, global_norm)

    def update(*arguments):
        with jax.numpy_dtype_promotion("standard"):
            return strict.update(*arguments)

    return optax.GradientTransformation(strict.init, update)


@pytest.fixture(autouse=True, scope="session")
def optax_may_promote():
    patch = pytest.MonkeyPatch()
    patch.setattr(train_step, "make_optimizer", make_lenient_optimizer)
    yield
    patch.undo()


@pytest.fixture(autouse=True, scope="module")
def programs_are_let_go():
    """A compiled program keeps maps of memory, of which Linux gives a process 65,530: with those of
    all tests, the compiler dies of a segmentation fault."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="module")
def compiled_quickly():
    """For modules most of whose time is compilation, their child processes' too: no number hangs
    on how well it is done."""
    usual = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
        yield
    jax.config.update("jax_disable_most_optimizations", usual)


@pytest.fixture(autouse=True, scope="module")
def folders_compiled_quickly(request):
    if request.path.parent.name in COMPILED_QUICKLY:
        request.getfixturevalue("compiled_quickly")


@pytest.fixture
def float64():
    """64-bit arrays for the length of a test: oracles and finite differences want them."""
    with jax.enable_x64(True):
        yield
