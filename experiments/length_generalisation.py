"""Does a model hold at lengths that it was not trained on? Each is tested far beyond its own.

    python -m experiments.length_generalisation --config=configs/length_generalisation.py \\
        --workdir=runs/length_generalisation

The same command on an interrupted run folder goes on where it stopped.
"""

from lstm_attn.runner import command
from lstm_attn.studies.length_generalisation import STUDY

if __name__ == "__main__":
    command.run(STUDY)
