"""What goes on inside the models, on adding and copy at T = 40, about 5,000 parameters each.

    python -m experiments.inside --config=configs/inside.py --workdir=runs/inside

Cost: expected 4 to 8 minutes on two cores (Intel Xeon, shared), from those of configs/quick.py.

Seen 2026-11-23: not yet run.
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
