"""A CPU with four devices, so that meshes are real; no silent dtype promotion but inside optax.

Most of the tests' time is compilation. The programs that a run compiles are kept in a temporary
folder; `JAX_COMPILATION_CACHE_DIR` names another, which stays.
"""

import os

os.environ["JAX_PLATFORMS"] = "cpu"  # before JAX is imported; for child processes too

import shutil
import tempfile

import hypothesis
import jax
import optax
import pytest

from lstm_attn.training import optimizer, train_step

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

pytest_plugins = ["tests.made_run", "tests.study_fixtures"]

# Each new shape compiles: a deadline would measure XLA, and a hundred examples take a minute.
hypothesis.settings.register_profile("jit", deadline=None, derandomize=True, max_examples=20)
hypothesis.settings.register_profile("few", hypothesis.settings.get_profile("jit"), max_examples=6)
hypothesis.settings.load_profile("jit")


# Folders whose tests spend most of their time in compilation.
COMPILED_QUICKLY = ("analysis", "benchmarks", "configs", "modules", "ops", "tasks")

PROGRAMS = pytest.StashKey[str]()


# XLA's new emitters take half of the time of compiling a training step for a CPU.
QUICK_FLAGS = "--xla_cpu_use_fusion_emitters=false"


def pytest_configure(config):
    """One folder of compiled programs for all workers of a run.

    `make test` runs fewer examples and compiles with fewer optimisations, in child processes too;
    other runs compile as users do, except in COMPILED_QUICKLY and where a test asks for
    `compiled_quickly`.
    """
    if config.option.markexpr == "not full":
        hypothesis.settings.load_profile("few")
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {QUICK_FLAGS}"
        os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
        jax.config.update("jax_disable_most_optimizations", True)
    folder = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if hasattr(config, "workerinput"):
        folder = config.workerinput["programs"]
    elif folder is None:
        folder = config.stash[PROGRAMS] = tempfile.mkdtemp(prefix="programs_of_tests_")
    config.programs = folder
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    node.workerinput["programs"] = node.config.programs


def pytest_unconfigure(config):
    if PROGRAMS in config.stash:
        shutil.rmtree(config.stash[PROGRAMS], ignore_errors=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """`full_but(ids)`: every case of a test is `full` except these; an id is the whole id, or one
    of its parts between dashes."""
    for item in items:
        marker = item.get_closest_marker("full_but")
        if marker and not {item.callspec.id, *item.callspec.id.split("-")} & set(marker.args):
            item.add_marker("full")


def make_lenient_optimizer(config, learning_rate, *options):
    """Our optimiser, with promotion allowed: optax's Adam raises a float to an integer count."""
    strict = optimizer.make_optimizer(config, learning_rate, *options)

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
    """A compiled program holds memory maps, of which Linux gives a process 65,530: with the maps of
    all tests, the compiler would crash."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="module")
def compiled_quickly():
    """Turns off compiler optimisations, in child processes too, for tests that mostly compile: no
    number depends on them."""
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
    """64-bit arrays during a test: oracles and finite differences need them."""
    with jax.enable_x64(True):
        yield
