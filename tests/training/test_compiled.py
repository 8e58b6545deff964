"""A program compiled in advance, in another thread, gives what the program gives."""

from concurrent.futures import ThreadPoolExecutor

import chex
import jax
import numpy as np

from lstm_attn.training import make_program, run


def test_a_compiled_program_gives_the_same_bits(model, task, config):
    """Identity with the program that compiles at its first call. Catches another sharding, another
    option of the compiler, and a program that can't take the states that it gave."""
    program = make_program(model, task, config)
    with ThreadPoolExecutor(1) as other:
        compiled = other.submit(program.compiled).result()
    ends = []
    for one in (program, compiled):
        evaluations, states = zip(*run(one, task, config), strict=True)
        ends.append(([e.metrics for e in evaluations], jax.tree.map(np.asarray, states[-1])))
    chex.assert_trees_all_equal(*ends)
