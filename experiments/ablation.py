"""What does each choice do? One model on one task, with one key changed a column.

    python -m experiments.ablation --config=configs/ablation.py --workdir=runs/ablation

Every column has the seeds of the reference, so each difference is one over pairs. The same command
on an interrupted run folder goes on where it stopped.
"""

from lstm_attn.runner import command
from lstm_attn.studies.ablation import STUDY

if __name__ == "__main__":
    command.run(STUDY)
