"""2N steps equal N steps, a checkpoint, and N more, bit for bit."""

import dataclasses

import chex
import jax
import numpy as np
import pytest

from lstm_attn import models
from lstm_attn.training import checkpoints, make_program, run


def steps_of(model, task, config, **resume):
    program = make_program(model, task, config)
    yield from run(program, task, config, **resume)


def test_resuming_equals_not_stopping_bit_for_bit(model, task, config, tmp_path):
    """Identity. Catches a state, a key or a schedule that restarts."""
    path = tmp_path / "cell.safetensors"
    program = make_program(model, task, config)
    whole = []
    for number, (evaluation, states) in enumerate(run(program, task, config)):
        whole.append(evaluation)
        if number == 1:
            checkpoints.save(path, states)
    expected = jax.tree.map(np.asarray, states)

    again = make_program(model, task, config)
    restored = checkpoints.restore(path, again)
    resumed = list(run(again, task, config, states=restored, earlier=whole[:2]))
    assert [e.step for e, _ in resumed] == [15, 20]
    for (evaluation, _), reference in zip(resumed, whole[2:], strict=True):
        for name, values in evaluation.metrics.items():
            np.testing.assert_array_equal(values, reference.metrics[name])
    chex.assert_trees_all_equal(jax.tree.map(np.asarray, resumed[-1][1]), expected)


def test_states_know_their_own_step(model, task, config):
    """Catches a step counted from the evaluations passed in, which would train past the end."""
    program = make_program(model, task, config)
    _, states = next(run(program, task, config))
    assert [e.step for e, _ in run(program, task, config, states=states)] == [10, 15, 20]


def test_a_resumed_cell_remembers_what_was_solved(model, task, config):
    """Identity: every trial passed before the stop, so nothing is left to do. Catches a resumed
    run that goes on where an uninterrupted one would have ended."""
    stopping = dataclasses.replace(config, stop_when_solved=True)
    program = make_program(model, task, stopping)
    evaluation, states = next(run(program, task, stopping))
    passed = np.ones(4, bool)
    earlier = [dataclasses.replace(evaluation, remembers=passed, solved=passed)]
    assert list(run(program, task, stopping, states=states, earlier=earlier)) == []


def test_a_checkpoint_of_another_model_is_refused(model, task, config, tmp_path):
    """Catches parameters of another shape that are silently loaded."""
    path = tmp_path / "cell.safetensors"
    program = make_program(model, task, config)
    checkpoints.save(path, program.start())
    wider = models.build("gru", task, models.ModelConfig(features=12, num_heads=2))
    with pytest.raises(ValueError, match=r"params\.body\.\w+ expected float32") as caught:
        checkpoints.restore(path, make_program(wider, task, config))
    assert "\n" not in str(caught.value)


def test_a_broken_checkpoint_is_one_line(model, task, config, tmp_path):
    """Catches a traceback of the file format."""
    path = tmp_path / "cell.safetensors"
    path.write_bytes(b"torn")
    with pytest.raises(ValueError, match="cell.safetensors is damaged"):
        checkpoints.restore(path, make_program(model, task, config))


def test_stop_when_solved_ends_at_the_evaluation_that_solves(model, task, config):
    """Oracle: criteria made true at step 10. Catches a loop that never ends, or ends late."""

    class SolvedAfterTen(type(task)):
        seen = 0

        def is_solved(self, metrics):
            type(self).seen += 1
            return type(self).seen > config.trials

        def remembers(self, metrics):
            return True

    easy = SolvedAfterTen(task.length)
    stopping = dataclasses.replace(config, stop_when_solved=True, confirmation_sequences=0)
    evaluations = [e for e, _ in steps_of(model, easy, stopping)]
    assert [e.step for e in evaluations] == [5, 10]
