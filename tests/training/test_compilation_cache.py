"""Where compiled programs are cached; a cached program gives the bits of a fresh one."""

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from lstm_attn import training
from tests import PATIENCE
from tests.study_fixtures import TINY

SETTINGS = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
ONE_CELL = ("--config.models=('gru',)", *TINY[1:], "--config.training.steps=100")


@pytest.fixture(autouse=True)
def settings():
    """JAX's settings before the test, restored after it."""
    before = {name: getattr(jax.config, name) for name in SETTINGS}
    yield before
    for name, value in before.items():
        jax.config.update(name, value)


def test_the_flag_overrides_jaxs_settings(tmp_path, monkeypatch):
    """Catches a user's own folder that is ignored, and a cache that can't be turned off."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "theirs"))
    for flag, expected in (
        (None, str(tmp_path / "theirs")),
        (str(tmp_path / "given"), str(tmp_path / "given")),
        ("", None),
        (None, str(tmp_path / "xdg" / "lstm_attn" / "jax")),
    ):
        assert training.use_compilation_cache(flag) is None
        assert jax.config.jax_compilation_cache_dir == expected


def test_a_folder_that_cant_be_written_is_a_note(tmp_path):
    """Catches a run that ends, or a warning at each compilation, because the cache is missing."""
    (tmp_path / "file").touch()
    note = training.use_compilation_cache(str(tmp_path / "file" / "cache"))
    assert "no compilation cache" in note
    assert "file/cache can't be written: Not a directory" in note
    assert "\n" not in note
    assert jax.config.jax_compilation_cache_dir is None


@pytest.mark.full
def test_kept_programs_give_the_bits_of_fresh_ones(compare, tmp_path):
    """Identity of three runs: without a cache, with one that fills, and with the full one, one
    entry of which is torn. Catches stored code that differs from what ran, and a torn entry that
    ends a run or makes it show a warning."""
    folders = [tmp_path / name for name in ("none", "filling", "full")]
    cache = tmp_path / "cache"
    for folder, flags in zip(folders, (("--compilation_cache=",), (), ()), strict=True):
        kept = sorted(cache.glob("jit_*"))
        if folder.name == "full":
            assert any(entry.name.startswith("jit_advance-") for entry in kept)
            starts = [entry for entry in kept if entry.name.startswith("jit_start-")]
            starts[0].write_bytes(b"torn")
        variables = {"JAX_COMPILATION_CACHE_DIR": str(cache)}
        process = compare(folder, *ONE_CELL, *flags, variables=variables)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, err
        assert err == ""
        assert "note" not in out
        if folder.name == "full":
            assert sorted(cache.glob("jit_*")) == kept
    states = [load_file(folder / "checkpoints" / "adding-4-gru.safetensors") for folder in folders]
    for name, fresh in states[0].items():
        np.testing.assert_array_equal(states[1][name], fresh)
        np.testing.assert_array_equal(states[2][name], fresh)
