"""T50 on adding, T from 4 to 240, models of about 4,000 parameters.

    python -m experiments.horizon --config=configs/horizon.py --workdir=runs/horizon

T50 is the length that half of the trials remember within 400 steps: a logistic fit over sixteen
seeds at each length, with a bootstrap over seeds. Lengths are a factor of two apart, of sqrt 2
near T50. Rates are tuned at the first length; the others try the best two of the next shorter one.
No rate ends at a quarter of the steps, which are those of the warm-up: in a first run, which was
not kept, that took the LSTM's rates of .03 and .1 away.
The rate is constant after its warm-up, so that a smaller budget, read off the same histories, is
what training under it would have given.

Cost: about 25 minutes on two cores.

Seen 2026-11-30: nothing yet by the protocol (docs/protocol.md).
"""

import dataclasses

from ml_collections import ConfigDict

from lstm_attn.studies.horizon import HorizonConfig


def get_config() -> ConfigDict:
    return ConfigDict(dataclasses.asdict(HorizonConfig()))
