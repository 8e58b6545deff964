"""Trained at T = 20 or on 5 to 20, tested at T = 10 to 320: models of about 5,000 parameters.

    python -m experiments.length_generalisation --config=configs/length_generalisation.py \\
        --workdir=runs/length_generalisation

Lengths of copy are delays. The Transformer has two blocks and is there with each scheme of
positions: none, sinusoidal, rotary and alibi. The rate of each row is tuned; sixteen seeds are
tested. Every trial takes all its 1,000 steps, whether or not it remembers, so that no model is
measured at an earlier point of its schedule.

Cost: about 20 minutes on two cores.

Seen 2026-11-30: nothing yet by the protocol (docs/protocol.md).
"""

import dataclasses

from ml_collections import ConfigDict

from lstm_attn.studies.length_generalisation import LengthConfig


def get_config() -> ConfigDict:
    config = LengthConfig()
    training = dataclasses.replace(config.training, evaluate_every=200)
    return ConfigDict(dataclasses.asdict(dataclasses.replace(config, training=training)))
