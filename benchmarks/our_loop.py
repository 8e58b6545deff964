"""The whole job by lstm_attn.training: all trials in one program, on a device a core."""

from benchmarks.job import Evaluated, Job, Report
from lstm_attn import models, training


def run(job: Job, report: Report) -> None:
    """Trains all trials."""
    training.use_host_cores()
    task, config = job.task(), job.training()
    program = training.make_program(models.build("lstm", task, job.model()), task, config)
    ended: set[int] = set()
    for evaluation, _ in training.run(program, task, config):
        for trial, solved in enumerate(evaluation.solved):
            if trial in ended:
                continue
            accuracy = float(evaluation.metrics["accuracy"][trial])
            report(Evaluated(trial, evaluation.step, accuracy, bool(solved)))
            if solved or evaluation.diverged[trial]:
                ended.add(trial)
