"""Our language models, trained by `lstm_attn.training` as the studies train them."""

import time

import jax
import numpy as np

from benchmarks import jitted, language
from benchmarks.contenders import Ready
from benchmarks.workloads import LanguageModel
from lstm_attn import training


def training_program(case: LanguageModel, steps: int) -> Ready:
    """One trial on all devices; a run is a chunk of the loop, the host's reading in it."""
    program, task = language.program(case, steps)
    began = time.perf_counter()
    program = program.compiled()
    seconds = time.perf_counter() - began
    assert isinstance(program.advance, jax.stages.Compiled)
    chunks = training.run(program, task, language.training_config(case, steps))
    evaluation, states = next(chunks)
    values = {"loss": evaluation.metrics["train_loss"]}
    if case.model == "lstm":
        # A copy: the next chunk takes the states' buffers.
        values["h"] = np.array(states.carried.h[0])
    shapes = jax.tree.leaves(program.shapes.params)
    return Ready(
        lambda: next(chunks),
        values,
        steps,
        seconds,
        jitted.temporary_bytes(program.advance),
        work=language.work(case, task),
        parameters=sum(leaf.size for leaf in shapes),
    )
