"""How much does success hang on the learning rate? Solve rate against it, a line a model.

    python -m experiments.learning_rates --config=configs/learning_rates.py \
        --workdir=runs/learning_rates

All rates and seeds of a model are one program. The same command on an interrupted run folder goes
on where it stopped.
"""

from lstm_attn.runner import command
from lstm_attn.studies.learning_rates import STUDY

if __name__ == "__main__":
    command.run(STUDY)
