"""What a checkpoint survives: a cut, a flipped bit, another config, a later format, a full disk."""

import os
import pickle
import stat
from pathlib import Path

import chex
import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from lstm_attn.errors import UsageError
from lstm_attn.training import checkpoints, make_program
from lstm_attn.training.checkpoints import Damaged

CONFIG = {"model": "gru", "training_config": {"batch_size": 8, "learning_rates": (1e-3, 1e-2)}}


@pytest.fixture(scope="module")
def program(model, task, config):
    return make_program(model, task, config)


@pytest.fixture(scope="module")
def states(program):
    """A function of the step, which differs in every array from step to step."""
    first = jax.tree.map(np.asarray, program.start())

    def at(step):
        moved = jax.tree.map(lambda leaf: leaf + np.asarray(step, leaf.dtype), first.params)
        return first._replace(params=moved, step=np.full_like(first.step, step))

    return at


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cell.safetensors"


@pytest.fixture
def always_kept(monkeypatch):
    monkeypatch.setattr(checkpoints, "KEEP_SECONDS", 0.0)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def is_one_line(error):
    return "\n" not in str(error.value)


def write_small(path):
    arrays = {"params.kernel": np.arange(6, dtype=np.float32), "step": np.array([7], np.int32)}
    os.replace(checkpoints.write_beside(path, arrays, 7, CONFIG), path)
    return path.read_bytes()


def test_every_flipped_bit_is_found(path):
    """Oracle: by hand, any bit of the file, header and numbers alike. Catches bytes that the
    checksum leaves out, and a flip in the format number taken for a newer format."""
    content = write_small(path)
    checkpoints.read(path)
    for bit in range(0, 8 * len(content), 11):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(Damaged) as caught:
            checkpoints.read(path)
        assert is_one_line(caught)


def test_a_file_cut_anywhere_is_found(path):
    """Oracle: by hand. Catches a missing end, and bytes after the end."""
    content = write_small(path)
    for end in (*range(0, len(content), 29), len(content) - 1):
        path.write_bytes(content[:end])
        with pytest.raises(Damaged):
            checkpoints.read(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(Damaged):
        checkpoints.read(path)


def test_equal_states_make_equal_files(path, tmp_path, states):
    """Identity. Catches a time, or the order of a hash table, in the file."""
    other = tmp_path / "other.safetensors"
    checkpoints.save(path, states(5), CONFIG)
    checkpoints.save(other, states(5), CONFIG)
    assert path.read_bytes() == other.read_bytes()


def test_the_newest_intact_checkpoint_is_taken_up(path, program, states, always_kept):
    """Identity with what was saved at step 10. Catches a damaged file that is read, that is not
    reported, or that stays where the next save writes over the intact one."""
    for step in (5, 10, 15):
        checkpoints.save(path, states(step), CONFIG)
    broken = path.read_bytes()[:-1]
    path.write_bytes(broken)
    resumed, notes = checkpoints.resume(path, program, CONFIG)
    chex.assert_trees_all_equal(jax.tree.map(np.asarray, resumed), states(10))
    (note,) = notes
    assert f"checkpoint {path} is damaged: " in note
    assert "it is now cell.damaged-1.safetensors, and training goes on from step 10" in note
    aside = path.with_name("cell.damaged-1.safetensors")
    assert aside.read_bytes() == broken

    checkpoints.save(path, states(15), CONFIG)
    assert int(checkpoints.restore(checkpoints.previous(path), program).step[0]) == 10
    resumed, notes = checkpoints.resume(path, program, CONFIG)
    chex.assert_trees_all_equal(jax.tree.map(np.asarray, resumed), states(15))
    assert notes == []
    path.write_bytes(broken[:-1])  # a second time
    checkpoints.resume(path, program, CONFIG)
    assert aside.read_bytes() == broken
    assert path.with_name("cell.damaged-2.safetensors").read_bytes() == broken[:-1]


def test_a_stop_between_two_renames_leaves_the_one_before(path, program, states, always_kept):
    """Catches a run that starts again although the previous checkpoint is there."""
    for step in (5, 10):
        checkpoints.save(path, states(step), CONFIG)
    path.unlink()
    resumed, notes = checkpoints.resume(path, program, CONFIG)
    assert int(resumed.step[0]) == 5
    assert notes == []


def test_no_checkpoint_is_a_start(path, program):
    """Catches an error for a cell that has not begun."""
    assert checkpoints.resume(path, program, CONFIG) == (None, [])


def test_no_intact_checkpoint_is_one_line_and_moves_nothing(path, program, states, always_kept):
    """Catches a run that silently starts again over a file that could still be repaired."""
    for step in (5, 10):
        checkpoints.save(path, states(step), CONFIG)
    for place in (path, checkpoints.previous(path)):
        place.write_bytes(place.read_bytes()[:40])
    before = contents(path.parent)
    with pytest.raises(
        UsageError, match=r"cell\.safetensors is damaged.*previous.* no intact"
    ) as e:
        checkpoints.resume(path, program, CONFIG)
    assert is_one_line(e)
    assert contents(path.parent) == before


def test_a_newer_format_is_refused_and_left_alone(path, program, states, always_kept, monkeypatch):
    """Oracle: a file of the next format, sealed as this one. Catches it being read, set aside or
    passed over for an older file."""
    checkpoints.save(path, states(5), CONFIG)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "FORMAT", checkpoints.FORMAT + 1)
        checkpoints.save(path, states(10), CONFIG)
    before = contents(path.parent)
    for load in (checkpoints.load_params, lambda path: checkpoints.resume(path, program)):
        with pytest.raises(UsageError, match="written by a newer lstm_attn, in format 3") as caught:
            load(path)
        assert is_one_line(caught)
        assert not isinstance(caught.value, Damaged)
    assert contents(path.parent) == before


def test_another_config_of_the_same_shapes_is_refused(path, program, states):
    """Catches a cell that goes on from another batch size; the key is named."""
    checkpoints.save(path, states(5), CONFIG)
    other = {**CONFIG, "training_config": {**CONFIG["training_config"], "batch_size": 16}}
    for load in (
        lambda: checkpoints.resume(path, program, other),
        lambda: checkpoints.load_params(path, other),
    ):
        with pytest.raises(UsageError, match=r"training_config.batch_size is 8 there and 16 here"):
            load()
    assert checkpoints.resume(path, program, CONFIG).states is not None


def test_a_checkpoint_of_the_first_format_is_taken_up(path, program, states):
    """Oracle: safetensors itself, as the first format was written. Catches old runs being lost."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(states(5))
    name = lambda place: jax.tree_util.keystr(place, simple=True, separator=".")  # noqa: E731
    save_file({name(place): np.array(leaf) for place, leaf in leaves}, path)
    resumed, notes = checkpoints.resume(path, program, CONFIG)
    chex.assert_trees_all_equal(jax.tree.map(np.asarray, resumed), states(5))
    assert notes == []
    chex.assert_trees_all_equal(checkpoints.load_params(path, CONFIG), states(5).params)


def test_a_checkpoint_is_kept_once_in_a_while_and_only_on_disk(path, states, monkeypatch):
    """Oracle: by hand, with a clock of ours. Catches a previous checkpoint that is replaced at each
    save, one that is not forced to disk, and one that is ahead of the metrics on disk."""
    forced, now = [], [1000.0]
    monkeypatch.setattr(checkpoints.time, "time", lambda: now[0])
    monkeypatch.setattr(checkpoints, "force", lambda *paths: forced.extend(paths))
    log = path.parent / "metrics.jsonl"

    def save(step):
        checkpoints.save(path, states(step), CONFIG, log)
        os.utime(path, (now[0], now[0]))
        now[0] += 4.0

    def kept():
        file = checkpoints.previous(path)
        return int(checkpoints.read(file).arrays["step"][0]) if file.exists() else None

    steps = []
    for step in (5, 10, 15, 20, 25, 30):  # saved at 0, 4, 8, 12, 16, 20 seconds
        save(step)
        steps.append(kept())
    # Those of seconds 0, 8 and 16: kept as soon as the one kept before is ten seconds old.
    assert steps == [None, 5, 5, 15, 15, 25]
    assert forced == 3 * [log, path, path.parent]


def test_a_full_disk_is_one_line_and_what_was_there_stays(path, program, states):
    """Oracle: the system's own error, of /dev/full. Catches a traceback, and a save that takes the
    last intact file with it. The next save goes on."""
    checkpoints.save(path, states(5), CONFIG)
    partial = path.with_name(path.name + ".partial")
    partial.symlink_to("/dev/full")
    with pytest.raises(UsageError, match=rf"{path} can't be written: No space left") as caught:
        checkpoints.save(path, states(10), CONFIG)
    assert is_one_line(caught)
    assert int(checkpoints.restore(path, program).step[0]) == 5
    assert not partial.is_symlink()
    checkpoints.save(path, states(10), CONFIG)
    assert int(checkpoints.restore(path, program).step[0]) == 10


def test_a_checkpoint_is_read_by_whom_the_folder_allows(path, states):
    """Oracle: a file made by open(). Catches one that its owner alone may read."""
    checkpoints.save(path, states(5))
    plain = path.with_name("plain")
    plain.touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


class Bomb:
    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return (os.mkdir, (str(self.marker),))


def test_a_pickle_is_not_a_checkpoint(path, program):
    """Oracle: a pickle that makes a folder when it is read. Catches a reader that runs it."""
    marker = path.with_name("ran")
    path.write_bytes(pickle.dumps(Bomb(marker)))
    with pytest.raises(UsageError, match="is damaged"):
        checkpoints.resume(path, program)
    assert not marker.exists()


def test_a_name_may_have_any_letters(path, states):
    """Oracle: the tree that is saved. Catches a name with a dot, which comes back as two, and two
    leaves of one name."""
    one = np.float32([1])
    params = {"block.1": {"w": one, "%2E": 2 * one}, "block": {"1.w": 3 * one, "1": {"w": 4 * one}}}
    checkpoints.save(path, states(5)._replace(params=params))
    chex.assert_trees_all_equal(checkpoints.load_params(path), params)
