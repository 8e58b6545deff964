"""Seven learning rates from .0003 to .3 for four models of about 4,000 parameters: adding, T = 50.

    python -m experiments.learning_rates --config=configs/learning_rates.py \\
        --workdir=runs/learning_rates

Eight seeds at each rate, with 1,000 steps; nothing is tuned, for the rate is what is studied. The
window is how many factors of ten of the rate stay within a factor of two of the best.

Cost: about 9 minutes on two cores.

Seen 2026-11-30: nothing yet by the protocol (docs/protocol.md).
"""

import dataclasses

from ml_collections import ConfigDict

from lstm_attn.studies.learning_rates import LearningRatesConfig


def get_config() -> ConfigDict:
    return ConfigDict(dataclasses.asdict(LearningRatesConfig()))
