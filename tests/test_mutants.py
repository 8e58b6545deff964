"""The list of mutations fits the code, and the script tells a killed mutant from a survivor."""

import json
from collections import Counter

import pytest

from tests import mutants, random_mutants
from tests.mutations import MUTATIONS, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.what)
def test_a_mutation_has_its_place(mutation):
    """Catches code that moved away from under its mutant, so that `make mutants` would stop."""
    code = (mutants.ROOT / mutation.file).read_text()
    assert code.count(mutation.old) == 1
    assert mutation.new != mutation.old
    assert (mutants.ROOT / mutation.tests.split()[0]).exists()


def test_no_mutation_is_listed_twice():
    """Catches a score that counts one mutant as two."""
    assert Counter((m.file, m.old, m.new) for m in MUTATIONS).most_common(1)[0][1] == 1


@pytest.mark.full
def test_a_harmless_change_survives_and_a_harmful_one_is_killed(tmp_path):
    """Oracle: two changes with known verdicts. Catches a script for which all mutants are
    killed."""
    folder = mutants.copy_repository(tmp_path)
    changed = ("lstm_attn/errors.py", "if whole < lowest:")
    tests = "tests/training/test_config.py"
    harmless = Mutation("the same, said otherwise", *changed, "if not whole >= lowest:", tests)
    harmful = Mutation("no lowest value", *changed, "if whole < lowest - 1:", tests)
    assert mutants.try_mutation(folder, harmless) == ""
    assert mutants.try_mutation(folder, harmful).startswith("tests/training/test_config.py::")


def test_random_mutants_are_those_of_the_tree(tmp_path):
    """Oracle: by hand. Catches a mutant that changes nothing, one of an annotation or a string, and
    one in the wrong place."""
    room = tmp_path / "lstm_attn" / "tasks"
    room.mkdir(parents=True)
    code = "def f(x: int = 3, y: list[4] = ()) -> 5:\n    return not (x < 1 and max(x) + y.sum(axis=1)), f'{x + 1}'\n"
    (room / "one.py").write_text(code)
    found = random_mutants.mutants_of(tmp_path, room / "one.py", "tests/tasks")
    changes = {(mutant.old, mutant.new) for mutant in found}
    assert changes == {
        ("3", "(4)"),
        ("not (x < 1 and max(x) + y.sum(axis=1))", "(x < 1 and max(x) + y.sum(axis=1))"),
        ("x < 1 and max(x) + y.sum(axis=1)", "(x < 1 or max(x) + y.sum(axis=1))"),
        ("x < 1", "(x <= 1)"),
        ("1", "(0)"),
        ("max(x) + y.sum(axis=1)", "(max(x) - y.sum(axis=1))"),
        ("max(x)", "(min(x))"),
        ("y.sum(axis=1)", "(y.mean(axis=1))"),
    }
    for mutant in found:
        assert code[mutant.start : mutant.end] == mutant.old
        assert mutant.break_code(code) != code


def test_random_mutants_can_be_compiled_and_drawn_again():
    """Oracle: Python's parser, on all of the package. Catches a place that is one letter off, and a
    draw that its seed does not determine."""
    drawn = random_mutants.draw(mutants.ROOT, 200, seed=1)
    assert drawn == random_mutants.draw(mutants.ROOT, 200, seed=1)
    for mutant in drawn:
        code = (mutants.ROOT / mutant.file).read_text()
        assert code[mutant.start : mutant.end] == mutant.old
        compile(mutant.break_code(code), mutant.file, "exec")


def test_the_committed_score_is_that_of_this_list():
    """Catches a score older than the last change of a mutation."""
    assert len(mutants.recorded()) == len(MUTATIONS)
    assert len(json.loads(mutants.SCORE.read_text())["mutants"]) == len(MUTATIONS)
