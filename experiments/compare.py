"""How far back can each model remember, and at what cost? A grid of models x tasks x lengths.

    python -m experiments.compare --config=configs/quick.py --workdir=runs/quick

The same command on an interrupted run folder goes on where it stopped.
"""

from lstm_attn.runner import command
from lstm_attn.runner.configs import CompareConfig
from lstm_attn.studies import compare

if __name__ == "__main__":
    command.run(CompareConfig, compare.compare)
