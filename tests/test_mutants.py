"""The list of mutations fits the code, and the script tells a killed mutant from a survivor."""

import json
from collections import Counter

import pytest

from tests import mutants
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


def test_a_harmless_change_survives_and_a_harmful_one_is_killed(tmp_path):
    """Oracle: two changes whose fate is known. Catches a script for which every mutant is killed."""
    folder = mutants.copy_repository(tmp_path)
    changed = ("lstm_attn/errors.py", "if value < lowest:")
    tests = "tests/training/test_config.py"
    harmless = Mutation("the same, said otherwise", *changed, "if not value >= lowest:", tests)
    harmful = Mutation("no lowest value", *changed, "if value < lowest - 1:", tests)
    assert mutants.try_mutation(folder, harmless) == ""
    assert mutants.try_mutation(folder, harmful).startswith("tests/training/test_config.py::")


def test_the_committed_score_is_that_of_this_list():
    """Catches a score from before a mutation was added or changed."""
    assert len(mutants.recorded()) == len(MUTATIONS)
    assert len(json.loads(mutants.SCORE.read_text())["mutants"]) == len(MUTATIONS)
