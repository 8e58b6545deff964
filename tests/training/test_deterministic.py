"""`deterministic`: the options given to the compiler, as there is no GPU here."""

import dataclasses

import jax
import pytest

from lstm_attn.training import make_program

FLAG = "xla_gpu_deterministic_ops"


@pytest.mark.parametrize(
    ("backend", "deterministic", "asked"),
    [("gpu", True, {FLAG: True}), ("gpu", False, {}), ("cpu", True, {})],
)
def test_a_gpu_is_asked_for_deterministic_operations(
    model, task, config, monkeypatch, backend, deterministic, asked
):
    """Oracle: the flag by name. Catches a key that reaches some of the three programs or none, and a
    GPU's flag on a CPU, where it would change the key of the compilation cache."""
    given = []
    jit = jax.jit

    def seen(*arguments, **options):
        given.append(options.get("compiler_options", {}))
        return jit(*arguments, **options)

    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    monkeypatch.setattr(jax, "jit", seen)
    make_program(model, task, dataclasses.replace(config, deterministic=deterministic))
    # The start of a trial, a chunk of all, and their confirmation.
    with_flag = [options for options in given if options and FLAG in options]
    assert with_flag == [asked] * 3 * bool(asked)


def test_the_flag_is_one_that_xla_knows():
    """Oracle: XLA, which refuses a name that it does not know. Catches a flag that was renamed."""

    def compiled(name):
        return jax.jit(lambda x: x + 1, compiler_options={name: True}).lower(1.0).compile()

    compiled(FLAG)
    with pytest.raises(Exception, match="No such compile option"):
        compiled(FLAG + "s")
