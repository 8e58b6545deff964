"""Pickles and deep copies of models, modules, configs, tasks and results."""

import copy
import dataclasses
import pickle
import subprocess
import sys

import jax
import numpy as np
import pytest
from flax import linen as nn

from lstm_attn import models, modules, studies, tasks, text, training
from lstm_attn.models import MODELS, ModelConfig
from lstm_attn.ops.sampling import Sampling
from lstm_attn.runs import RunFolder
from lstm_attn.studies.study import STUDIES
from lstm_attn.tasks import TASKS
from lstm_attn.training import TrainingConfig
from tests import PATIENCE

COPIES = {"pickle": lambda one: pickle.loads(pickle.dumps(one)), "deepcopy": copy.deepcopy}
SMALL = ModelConfig(features=8, num_layers=1)
TINY = {
    "steps": 2, "evaluate_every": 1, "warmup_steps": 0, "batch_size": 4, "seeds": 2,
    "evaluation_sequences": 4, "confirmation_sequences": 0,
}  # fmt: skip

each_copy = pytest.mark.parametrize("made", COPIES.values(), ids=COPIES)
pytestmark = pytest.mark.usefixtures("compiled_quickly")


@pytest.mark.full_but("pickle-lstm", "deepcopy-lstm", "pickle-transformer")
@pytest.mark.parametrize("name", [*MODELS, "of a module"])
@each_copy
def test_a_model_again_is_the_same_functions(made, name):
    """Oracle: the model that was copied, bit for bit, and the names of its functions. Catches a
    function within a function, which can't be pickled."""
    task = tasks.adding(5)
    model = (
        models.build(name, task, dataclasses.replace(SMALL, dropout=0.1, chrono_steps=(2.0, 9.0)))
        if name in MODELS
        else models.of_module(modules.LSTM(1), task)
    )
    again = made(model)
    params = model.init(jax.random.key(0))
    jax.tree.map(np.testing.assert_array_equal, again.init(jax.random.key(0)), params)
    inputs = task.sample(jax.random.key(1), 2).inputs
    outputs = [jax.jit(one.apply)(params, inputs) for one in (model, again)]
    np.testing.assert_array_equal(*outputs)
    for field, function in model._asdict().items():
        other = getattr(again, field)
        assert (function is None) == (other is None), field
        assert getattr(function, "__name__", "") == getattr(other, "__name__", ""), field


@pytest.mark.full
def test_a_model_goes_to_another_process(tmp_path):
    """Oracle: its outputs here. Catches a pickle that only the process that wrote it can read."""
    task = tasks.copy(3)
    model = models.build("lstm_attention", task, SMALL)
    params = jax.tree.map(np.asarray, model.init(jax.random.key(0)))
    inputs = np.asarray(task.sample(jax.random.key(1), 2).inputs)
    path = tmp_path / "model.pickle"
    path.write_bytes(pickle.dumps((model, task, params, inputs)))
    code = (
        "import pickle, sys, numpy; model, task, params, inputs = pickle.load(open(sys.argv[1], 'rb'));"
        "numpy.save(sys.argv[1] + '.npy', model.apply(params, inputs))"
    )
    subprocess.run([sys.executable, "-c", code, path], check=True, timeout=PATIENCE)
    outputs = np.load(f"{path}.npy")
    np.testing.assert_allclose(outputs, model.apply(params, inputs), atol=1e-6)


MODULES = {
    name: getattr(modules, name)
    for name in modules.__all__
    if isinstance(getattr(modules, name), type) and issubclass(getattr(modules, name), nn.Module)
}
ARGUMENTS = {
    "Bidirectional": (modules.LSTM(4), modules.GRU(4)),
    "MultiHeadAttention": (2,),
    "TransformerBlock": (2, 8),
    "Transformer": (4, 2, 1),
    "LSTMAttention": (4, 2),
    "LSTMAttentionBlocks": (4, 2, 1),
}


@pytest.mark.parametrize("name", MODULES)
@each_copy
def test_a_module_again_is_equal(made, name):
    """Oracle: the module's own equality, by its fields. Catches an initialiser that is a closure."""
    module = MODULES[name](*ARGUMENTS.get(name, (4,)))
    assert made(module) == module


@each_copy
def test_every_config_again_is_equal(made):
    """Oracle: equality of dataclasses, of the default of every study. Catches a field that is a
    function."""
    assert len(STUDIES) >= 7
    for config in (*(study.config() for study in STUDIES), TrainingConfig(), Sampling()):
        assert made(config) == config


def text_task(folder):
    path = folder / "text.txt"
    path.write_text("she sells sea shells\n" * 40)
    source = text.Source(str(path))
    return tasks.TextPrediction(
        text.prepare(folder / "text", source, "byte", vocabulary_size=0, held_out=0.2), 6
    )


@each_copy
def test_every_task_again_gives_the_same_batches(made, tmp_path):
    """Oracle: the batches of the task that was copied. Catches a task that holds a file, or whose
    cached sizes are lost."""
    drawn = [TASKS[name](6) for name in ("adding", "copy")]
    # A range holds the task of its longest sequences.
    drawn += [tasks.build(name, 6, shortest=4) for name in TASKS]
    for task in drawn:
        again = made(task)
        assert again == task
        batches = (one.sample(jax.random.key(0), 2) for one in (task, again))
        jax.tree.map(np.testing.assert_array_equal, *batches)
    rng = np.random.default_rng(0)
    arrays = rng.normal(size=(5, 4, 3)), rng.random(5)
    for task in (tasks.from_arrays(*arrays, *arrays), text_task(tmp_path)):
        again = made(task)
        assert (again.baseline, again.name) == (task.baseline, task.name)
        read = (one.read(np.arange(2), 0, 2, 2) for one in (task, again))
        jax.tree.map(np.testing.assert_array_equal, *read)


@each_copy
def test_what_was_trained_again_is_the_same(made):
    """Oracle: its history and parameters. Catches a program that is held along."""
    task = tasks.adding(4)
    trained = training.train(
        models.build("lstm", task, SMALL), task, **TINY, on_evaluation=lambda one: None
    )
    again = made(trained)
    jax.tree.map(np.testing.assert_array_equal, again.params, trained.params)
    for field in dataclasses.fields(trained.history):
        jax.tree.map(
            np.testing.assert_array_equal,
            getattr(again.history, field.name),
            getattr(trained.history, field.name),
        )


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(tmp_path_factory.mktemp("results")))
        yield [studies.compare("gru", "adding", 4, features=8, **TINY)]


def test_a_result_again_has_its_tables_and_records(result):
    """Oracle: the result that was copied. Catches a run folder's lock that is held along."""
    for made in COPIES.values():
        again = made(result[0])
        assert repr(again) == repr(result[0])
        assert again.records == result[0].records
        assert again.workdir == result[0].workdir


def test_a_copy_of_a_result_keeps_its_folder(result):
    """Catches a temporary folder that goes with the first of its owners, and one that stays."""
    first, again = result.pop(), None
    again = copy.deepcopy(first)
    folder = first.workdir
    pickled = pickle.dumps(first)
    del first
    assert (folder / "results.json").exists()
    assert RunFolder(folder).results == again.records
    del again
    assert not folder.exists()
    assert pickle.loads(pickled).table.rows


@each_copy
def test_a_run_folder_again_reads_and_does_not_hold(made, tmp_path):
    """Oracle: the lock itself. Catches a copy of a lock, which says that it holds and does not."""
    first = RunFolder.open(tmp_path / "run", {"a": 1})
    again = made(first)
    assert again.config == first.config
    assert again._hold is None
