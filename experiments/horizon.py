"""The memory horizon: the longest T that at least half of the trials solve within a budget.

    python -m experiments.horizon --config=configs/horizon.py --workdir=runs/horizon

For each task and model a search over T (`lstm_attn.analysis.horizon`); each length that it tries is
a cell of the run folder, which ends as soon as its trials settle it. The same command on an
interrupted run folder goes on where it stopped.
"""

from lstm_attn.runner import command
from lstm_attn.studies.horizon import STUDY

if __name__ == "__main__":
    command.run(STUDY)
