"""The same models on text: bits a byte, how far back they make use of it, and what they write.

    python -m experiments.language_model --config=configs/language_model.py \
        --workdir=runs/language_model

The same command on an interrupted run folder goes on where it stopped. `experiments.generate` lets
what was trained write on.
"""

from lstm_attn.runner import command
from lstm_attn.studies.language_model import STUDY

if __name__ == "__main__":
    command.run(STUDY)
