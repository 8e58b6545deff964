"""Studies as functions: without flags, with and without a folder, and from a wheel."""

import dataclasses
import operator
import os
import pathlib
import shutil
import subprocess
import sys
import textwrap
import types

import pytest

from lstm_attn import studies, training
from lstm_attn.errors import UsageError
from lstm_attn.models import ModelConfig
from lstm_attn.native.build import compiler
from lstm_attn.runner.configs import TaskConfig
from lstm_attn.runs import RunFolder
from lstm_attn.studies.study import Study
from lstm_attn.training import TrainingConfig
from tests.studies import tiny_text
from tests.study_fixtures import ROOT, study_of

COMPARE = study_of("compare")
SMALL = {
    "features": 4, "steps": 4, "evaluate_every": 2, "warmup_steps": 1, "seeds": 2,
    "evaluation_sequences": 20, "confirmation_sequences": 0, "learning_rates": 0.01,
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_compilation_cache(monkeypatch):
    """The cache of the tests stays in use."""
    monkeypatch.setattr(training, "use_compilation_cache", lambda folder: None)


def test_what_a_user_types_is_a_config():
    """Oracle: by hand. Catches a single value that is refused, or split into letters."""
    config = COMPARE.configure(
        {"models": "lstm", "task.names": ["adding"], "task.lengths": 50},
        {"steps": 500, "learning_rates": 0.01, "features": 16, "training": {"seeds": 2}},
    )
    assert (config.models, config.task.names, config.task.lengths) == (
        ("lstm",),
        ("adding",),
        (50,),
    )
    assert (config.training.steps, config.training.learning_rates) == (500, (0.01,))
    assert (config.training.seeds, config.model.features) == (2, 16)
    texts = {"models": "lstm,gru", "task.names": "adding, copy", "task.lengths": "10,20"}
    config_of_texts = COMPARE.configure(texts, {"learning_rates": ".01,.1"})
    assert config_of_texts.models == ("lstm", "gru")
    assert config_of_texts.task == TaskConfig(("adding", "copy"), (10, 20))
    assert config_of_texts.training.learning_rates == (0.01, 0.1)
    usual = COMPARE.config()
    assert config.training.batch_size == usual.training.batch_size
    groups = {
        "model": ModelConfig(features=8),
        "training": TrainingConfig(steps=100, warmup_steps=0),
    }
    config = COMPARE.configure({"models": None}, groups)
    assert config.models == usual.models
    assert (config.model, config.training) == (groups["model"], groups["training"])


@pytest.mark.parametrize(
    ("name", "arguments", "keys"),
    [
        ("ablation", ("gru", "copy", 7, [("model.update_bias", 1.0)]), ("model_name", "task.name", "task.length", "changes")),
        ("learning_rates", ("gru", "copy", 7), ("models", "task.name", "task.length")),
        ("horizon", ("gru", "copy", 5), ("models", "task.names", "task.first")),
        ("gradient_reach", ("gru", "adding", 7), ("models", "task.name", "task.length")),
        ("inside", ("gru", "copy", (5, 7)), ("models", "task.names", "task.lengths")),
    ],
)  # fmt: skip
def test_arguments_of_a_study_reach_their_keys(name, arguments, keys, monkeypatch):
    """Oracle: the keys, by hand. Catches an argument that is dropped or exchanged with another, and
    a setting that is lost."""
    called = lambda self, _, fields, settings: self.configure(fields, settings)  # noqa: E731
    monkeypatch.setattr(Study, "call", called)
    config = getattr(studies, name)(*arguments, features=8, seeds=3)
    for key, given in zip(keys, arguments, strict=True):
        value = operator.attrgetter(key)(config)
        expected = (
            given
            if isinstance(given, int) or not isinstance(value, tuple)
            else tuple((given,) if isinstance(given, str) else given)
        )
        assert value == expected, key
    assert (config.model.features, config.training.seeds) == (8, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stpes": 3}, "unknown argument of compare 'stpes': did you mean steps"),
        ({"lr": 0.1}, "unknown argument of compare 'lr': did you mean learning_rates? known are models, tasks, lengths, workdir, profile, "),
        ({"length": 5}, "unknown argument of compare 'length': did you mean lengths?"),
        ({"hidden_size": 5}, "unknown argument of compare 'hidden_size': did you mean features?"),
        ({"batch": 5}, "unknown argument of compare 'batch': did you mean batch_size?"),
        ({"task": "adding"}, "task: expected a dict or a TaskConfig, got 'adding'; did you mean tasks=?"),
        ({"models": "lsmt"}, "unknown model 'lsmt': did you mean lstm"),
        ({"models": "LSTM"}, "unknown model 'LSTM': did you mean lstm"),
        ({"tasks": "adding:arjovsky"}, "unknown variant of adding 'arjovsky'"),
        ({"lengths": 2.5}, "task.lengths"),
        ({"lengths": "10,abc"}, "task.lengths: expected whole numbers, such as 10,50, got '10,abc'"),
        ({"lengths": "abc"}, "task.lengths: expected whole numbers, such as 10,50, got 'abc'"),
        ({"on_evaluation": 3}, "on_evaluation: expected a function of a cell's name and an evaluation, got 3"),
        ({"steps": "many"}, "training.steps: expected a whole number, got 'many'"),
        ({"training": {"stpes": 3}}, "unknown config key 'training.stpes'"),
        ({"training": 3}, "training: expected a dict or a TrainingConfig, got 3"),
        ({"seeds": 0}, "training.seeds: expected at least 1, got 0"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_leaves_nothing(arguments, message, tmp_path):
    """Catches a typo that is silently ignored, and a folder begun for a config that is refused."""
    with pytest.raises(UsageError) as caught:
        studies.compare(**arguments, workdir=tmp_path / "run")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("workdir", ["", 3])
def test_a_workdir_that_is_no_path_is_one_line(workdir):
    """Catches the working directory taken for a run folder, and a traceback."""
    with pytest.raises(
        UsageError, match=f"workdir: expected the path of a folder, got {workdir!r}"
    ):
        studies.compare("gru", "adding", 4, workdir=workdir, **SMALL)


def test_a_path_may_be_a_pathlib_path():
    """Catches a pathlib.Path that is refused."""
    config = study_of("language_model").configure({"data.path": pathlib.Path("a.txt")}, {})
    assert config.data.path == "a.txt"


# For each study, arguments that make it small.
SMALLEST = {
    "compare": {
        "models": "gru", "tasks": "adding", "lengths": 4, "learning_rates": (0.01, 0.1),
        "tuning": {"seeds": 1},
    },
    "ablation": {"model_name": "gru", "task": "adding", "length": 4, "changes": {"model.features": 8}},
    "learning_rates": {"models": "gru", "task": "adding", "length": 4, "learning_rates": (0.1, 0.2)},
    "horizon": {"models": "gru", "tasks": "adding", "first": 4, "shortest": 4, "longest": 8},
    "gradient_reach": {"models": "lstm", "forget_biases": 1.0, "length": 4, "sequences": 4},
    "inside": {"models": "gru", "tasks": "adding", "lengths": 4},
    "length_generalisation": {
        "models": "gru", "tasks": "adding", "trained_lengths": 4, "factors": (1.0, 2.0),
        "task": {"shortest": 1.0}, "test": {"sequences": 20, "batch_size": 20},
    },
    "language_model": {
        "models": "gru", "length": 8, "batch_size": 4,
        "memory": {"contexts": (2, 4), "tokens": 8, "passage": 3, "distances": (4,), "passages": 4},
    },
}  # fmt: skip


@pytest.mark.parametrize("name", SMALLEST)
@pytest.mark.parametrize("steps", [37, 50, 130])
def test_steps_alone_are_enough(name, steps):
    """Catches a default that does not divide them, and an error about a key that nobody has set."""
    assert study_of(name).configure({}, {"steps": steps}).training.steps == steps


@pytest.mark.full
@pytest.mark.usefixtures("compiled_quickly")
@pytest.mark.parametrize("name", SMALLEST)
def test_every_study_goes_on_in_its_folder_with_other_steps(name, tmp_path):
    """Catches results looked up by the names of the config's cells, although the new cells have
    other names in the folder."""
    given = {**SMALL, **SMALLEST[name], "workdir": tmp_path / "run"}
    if name == "language_model":
        given["path"] = tiny_text.text_in(tmp_path)
    first = getattr(studies, name)(**given)
    both = getattr(studies, name)(**{**given, "steps": 8})
    assert len(both.records) == 2 * len(first.records)
    assert {record["steps"] for record in both.records} == {4, 8}
    assert both.page.exists()


def test_a_folder_of_another_study_is_named(tmp_path):
    """Catches a refusal that lists keys of configs, which a caller of functions never sees."""
    RunFolder.open(tmp_path / "run", dataclasses.asdict(COMPARE.config()))
    with pytest.raises(UsageError, match="run holds a run of compare or inside; choose another$"):
        studies.horizon("gru", workdir=tmp_path / "run")


def test_every_setting_has_one_owner():
    """Catches a name that a model and training share: it would be set in one of them only."""
    owned = [set(group.__dataclass_fields__) for group in (ModelConfig, TrainingConfig)]
    assert not owned[0] & owned[1]


@pytest.mark.usefixtures("compiled_quickly")
def test_without_a_folder_nothing_is_left(tmp_path, monkeypatch, capsys):
    """Catches a temporary folder that stays, or that is deleted before the result is."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = studies.compare("gru", "adding", 4, **SMALL)
    assert [record["cell"] for record in result.records] == ["adding-4-gru"]
    assert result.page is None
    assert result.table.rows[0][:4] == ("adding", "4", "gru", "0/2")
    assert "[1/1] adding-4-gru  step 4  loss/baseline" in capsys.readouterr().out
    assert "adding" in repr(result)
    assert "<td>gru</td>" in result._repr_html_()
    assert list(tmp_path.iterdir()) == [result.workdir]
    del result
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("compiled_quickly")
def test_every_evaluation_is_given_to_a_function(tmp_path):
    """Oracle: the run folders. Catches an evaluation that is left out, and those of tuning under
    the name of the cell that is tested."""
    given = []
    studies.compare(
        "gru", "adding", 4, workdir=tmp_path / "run", on_evaluation=lambda *one: given.append(one),
        **{**SMALL, "learning_rates": (0.01, 0.1)},
    )  # fmt: skip
    for prefix, place in (("tuning/", "run/tuning"), ("", "run")):
        name = f"{prefix}adding-4-gru"
        noted = RunFolder(tmp_path / place).evaluations("adding-4-gru")
        mine = [one for cell, one in given if cell == name]
        assert [one.step for one in mine][:2] == [2, 4]
        assert mine[-1].scalars()["loss/0"] == pytest.approx(noted[-1].metrics["loss"][0])
    assert {cell.partition("+")[0] for cell, _ in given} == {"adding-4-gru", "tuning/adding-4-gru"}


@pytest.mark.full
@pytest.mark.usefixtures("compiled_quickly")
def test_a_folder_is_taken_up_and_its_page_is_named(tmp_path, capsys):
    """Catches a cell that is trained again, a result without what was there before, and a lock that
    the first result keeps."""
    first = studies.compare("gru", "adding", 4, workdir=tmp_path / "run", **SMALL)
    second = studies.compare("gru", ("adding", "copy"), (4, 5), workdir=tmp_path / "run", **SMALL)
    assert "3 of 4 cells to train" in capsys.readouterr().out
    cells = [(record["task"], record["length"]) for record in second.records]
    assert cells == [("adding", 4), ("adding", 5), ("copy", 4), ("copy", 5)]
    assert second.records[0] == first.records[0]
    second.show()
    assert f"report: {tmp_path}/run/report.html" in capsys.readouterr().out.replace("\n", "")


def test_a_table_of_pandas_has_a_row_for_each_trial(monkeypatch):
    """Oracle: by hand. Catches the loss of the cell in place of the trial's, and a traceback where
    pandas is not installed."""
    result = object.__new__(studies.Result)
    cell = {
        "task": "adding", "variant": "a", "length": 4, "model": "gru", "features": 3,
        "parameters": 9, "criterion": "c", "baseline": 0.1, "cell": "adding-4-gru",
    }  # fmt: skip
    trials = [{"seed": 0, "final_loss": 0.2}, {"seed": 1, "final_loss": 0.3}]
    record = {**cell, "final_loss": 0.25, "solved": 0, "training_config": {"steps": 8}}
    result.records = [{**record, "per_trial": trials}]
    pandas = types.SimpleNamespace(DataFrame=list)
    monkeypatch.setitem(sys.modules, "pandas", pandas)
    assert result.to_pandas() == [{**cell, "budget": 8, **trial} for trial in trials]
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="to_pandas wants `pip install pandas`"):
        result.to_pandas()


def test_studies_define_no_flags():
    """Oracle: absl's table in a process of its own. Catches a flag that collides with one of a
    notebook's own program."""
    code = (
        "from absl import flags; from lstm_attn import studies; assert callable(studies.compare); "
        "assert not [m for m in flags.FLAGS.flags_by_module_dict() if not m.startswith('absl')]"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.full
def test_a_wheel_outside_the_clone_has_it_all(tmp_path):
    """In a fresh process on an installed wheel, with this one's libraries, on a path with spaces and
    letters of several bytes, beside a package `experiments` of another project. Catches a file that
    the wheel lacks, an import of the clone, a cache that is off, a folder that stays, and a path
    that a compiler, a linker or a file of the run folder takes for two or can't name."""
    odd = tmp_path / "größer als 空, it's"
    names = ("source", "wheels", "site", "work", "tmp")
    source, wheels, site, work, temporary = (odd / name for name in names)
    for folder in (source, wheels, site, work / "experiments", temporary):
        folder.mkdir(parents=True)
    (work / "experiments" / "__init__.py").write_text("of_another_project = True\n")
    # Built elsewhere, since setuptools reuses what an earlier build has left.
    shutil.copytree(ROOT / "lstm_attn", source / "lstm_attn")
    for name in ("pyproject.toml", "README.md", "LICENSE", "setup.py"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "wheel", source, "--no-deps", "-w", wheels],
        check=True,
        capture_output=True,
    )
    (wheel,) = wheels.iterdir()
    subprocess.run([*pip, "install", "--no-deps", f"--target={site}", wheel], check=True)
    code = textwrap.dedent("""
        import experiments, jax, lstm_attn, os, pathlib
        assert experiments.of_another_project
        jax.jit(lambda x: x + 1)(1)  # a notebook has compiled something before
        assert "site" in lstm_attn.__file__, lstm_attn.__file__
        assert pathlib.Path(lstm_attn.__file__).with_name("py.typed").exists()
        result = lstm_attn.studies.compare(models="lstm", tasks="adding", lengths=10, steps=200, seeds=2,
                                 learning_rates=0.01)
        result.show()
        kept = lstm_attn.studies.compare("lstm", "adding", 10, steps=4, evaluate_every=2, seeds=2,
                                         learning_rates=0.01, workdir="übung 1")
        assert pathlib.Path("übung 1/report.html").exists()
        assert lstm_attn.trained.load(pathlib.Path("übung 1").resolve(), "adding-10-lstm").task.length == 10
        assert len(os.listdir(os.environ["TMPDIR"])) == 1
        assert any(pathlib.Path(os.environ["JAX_COMPILATION_CACHE_DIR"]).iterdir()), "no cache"
    """)
    if compiler() is not None:
        build = (
            "import lstm_attn\nfrom lstm_attn.native import __main__\nassert __main__.main() == 0"
        )
        code = f"{build}\n{code}\nassert lstm_attn.native.available()"
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=work,
        env={
            **os.environ,
            "PYTHONPATH": str(site),
            "TMPDIR": str(temporary),
            "JAX_COMPILATION_CACHE_DIR": str(odd / "cache"),
            "XDG_CACHE_HOME": str(odd / "kernel"),
        },
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert "[1/1] adding-10-lstm  step 200  loss/baseline" in run.stdout
    assert "Trials that remember" in run.stdout
    assert os.listdir(temporary) == []
    assert sorted(os.listdir(work)) == ["experiments", "übung 1"]


@pytest.mark.usefixtures("compiled_quickly")
def test_a_notebook_has_one_live_line_a_table_and_figures(tmp_path, monkeypatch):
    """Oracle: what IPython is given. Catches a line for each evaluation, progress that stays after
    the end, and figures that are missing without a run folder."""
    display = pytest.importorskip("IPython.display")
    shown, live = [], []

    class Handle:
        def update(self, data, raw):
            live.append(data["text/plain"])

    def note(value, **options):
        shown.append(value)
        return Handle()

    monkeypatch.setattr(display, "display", note)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    result = studies.compare("gru", "adding", 4, **SMALL)
    assert [line.partition("  ")[2][:6] for line in live] == ["compil", "step 2", "step 4", ""]
    shown.clear()
    result.show()
    assert shown[0] is result.table
    assert {type(one).__name__ for one in shown[-3:]} == {"Image"}
