"""What goes on inside: gates and their time scales, attention, and the path an answer comes by.

    python -m experiments.inside --config=configs/inside.py --workdir=runs/inside

It trains what the folder lacks, as `experiments.compare` does, whose finished runs it takes too
(the same config and folder), and looks at each model as initialised and as trained.
"""

from lstm_attn.runner import command
from lstm_attn.studies.inside import STUDY

if __name__ == "__main__":
    command.run(STUDY)
