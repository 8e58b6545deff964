"""T50 on adding, T from 4 to 240, models of about 4,000 parameters.

    python -m experiments.horizon --config=configs/horizon.py --workdir=runs/horizon

T50 is the length that half of the trials remember within 400 steps: a logistic fit over sixteen
seeds at each length, with a bootstrap over seeds. Lengths are a factor of two apart, of sqrt 2
near T50. Rates are tuned at the first length; the others try the best two of the next shorter one.
All rates run to the end: a first run, which was not kept, ended half of them within the warm-up,
and so took the LSTM's rates of .03 and .1 away.
The rate is constant after its warm-up, so that a smaller budget, read off the same histories, is
what training under it would have given.

Cost: 27 minutes on two cores (Intel Xeon) that the tests kept busy besides; 16 of testing, 9 of
tuning.

Seen 2026-11-30; files in results/horizon. T50 with its 95 % interval, open above where no length
that was tried bounds it: lstm 93 (78 to), transformer 107 (79 to); gru and lstm_attention more than
240, at which they remember 16/16 (.81 to 1) and 9/16 (.33 to .77).
"""

import dataclasses

from ml_collections import ConfigDict

from lstm_attn.studies.horizon import HorizonConfig


def get_config() -> ConfigDict:
    return ConfigDict(dataclasses.asdict(HorizonConfig()))
