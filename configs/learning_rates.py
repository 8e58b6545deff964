"""Seven learning rates from .0003 to .3 for four models of about 4,000 parameters: adding, T = 50.

    python -m experiments.learning_rates --config=configs/learning_rates.py \\
        --workdir=runs/learning_rates

Eight seeds at each rate, with 1,000 steps; nothing is tuned, for the rate is what is studied. The
window is how many factors of ten of the rate stay within a factor of two of the best.

Cost: 18 minutes on two cores (Intel Xeon) that the tests kept busy besides.

Seen 2026-11-30; files in results/learning_rates. Trials that remember, of eight (95 % intervals:
0/8 up to .37, 4/8 .16 to .84, 5/8 .24 to .91, 8/8 from .63):
  lstm 8/8 at .01 to .3, 0/8 below; window from .022 to .3 or more, 1.1 factors of ten or more.
  gru 8/8 at .003 to .3, 0/8 below; window of 0.5 or more, open at .3.
  transformer 8/8 at .001 to .03, 4/8 at .1, 0/8 at .3; window of 0.4, around .03.
  lstm_attention 8/8 at .003 to .03, 5/8 at .1, 0/8 at .3; window of 1.1.
"""

import dataclasses

from ml_collections import ConfigDict

from lstm_attn.studies.learning_rates import LearningRatesConfig


def get_config() -> ConfigDict:
    return ConfigDict(dataclasses.asdict(LearningRatesConfig()))
