"""How far back do gradients travel, before training and after it, and why does chrono work?

    python -m experiments.gradient_reach --config=configs/gradient_reach.py \\
        --workdir=runs/gradient_reach

The same command on an interrupted run folder goes on where it stopped. For parameters in memory or
of another run folder, see `lstm_attn.analysis.norms_of_trials` and `lstm_attn.trained.load`.
"""

from lstm_attn.runner import command
from lstm_attn.studies.gradient_reach import STUDY

if __name__ == "__main__":
    command.run(STUDY)
