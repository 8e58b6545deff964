"""How far back can each model remember, and at what cost? A grid of models x tasks x lengths.

    python -m experiments.compare --config=configs/quick.py --workdir=runs/quick

The same command resumes an interrupted run. With more models, tasks, lengths or seeds it trains
what the folder lacks.
"""

from absl import flags

from lstm_attn.runner import command
from lstm_attn.studies.compare import STUDY

PROFILE = flags.DEFINE_bool(
    "profile",
    False,
    "Print where the time of each cell went, and write traces to WORKDIR/profile. The results are "
    "those without it; it takes some ten seconds a cell.",
)

if __name__ == "__main__":
    command.run(STUDY, PROFILE)
