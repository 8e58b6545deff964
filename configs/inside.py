"""What goes on inside the models, on adding and copy at T = 40, about 5,000 parameters each.

    python -m experiments.inside --config=configs/inside.py --workdir=runs/inside

Cost: 6 minutes on two busy cores (Intel Xeon, shared).

Seen 2026-11-23, six trials of each model, medians; from uncommitted code, hence on no page:
  adding: all 24 trials solve. The slowest unit of lstm goes from a time scale of 4.9 to 36.5 steps,
    of gru from 2.5 to 11.9, of lstm_attention from 4.9 to 4.0: it leaves memory to attention. Cut
    once at T / 2, its accuracy of .99 falls to .09 without attention and to .79 without recurrence.
  copy: transformer solves 6/6, lstm_attention 5/6 (.44 to .97), lstm and gru none, at accuracies of
    .20 and .36 (no memory .125). The hybrid needs both paths: .15 without recurrence, .13 without
    attention. One of its heads looks back exactly 50 steps, to the symbol that is due.
"""

from ml_collections import ConfigDict

from configs import quick


def get_config() -> ConfigDict:
    """The quick look at one length, with time for the LSTM to solve adding. The range of six trials
    is an interval of 97 % for their median."""
    config = quick.get_config()
    config.task.lengths = (40,)
    config.training.steps = 4000
    config.training.seeds = 6
    return config
