"""Trained at T = 20 or on 5 to 20, tested at T = 10 to 320: models of about 5,000 parameters.

    python -m experiments.length_generalisation --config=configs/length_generalisation.py \\
        --workdir=runs/length_generalisation

Lengths of copy are delays. The Transformer has two blocks and is there with each scheme of
positions: none, sinusoidal, rotary and alibi. The rate of each row is tuned; sixteen seeds are
tested. Every trial takes all its 1,000 steps, whether or not it remembers, so that no model is
measured at an earlier point of its schedule.

Cost: 94 minutes on two cores (Intel Xeon, vectors of 512 bits) that other programs shared; about 20
on quiet ones, by the seconds of a few steps.

Seen 2026-11-30, sixteen trials a row; files in results/length_generalisation:
  adding: trained on T = 5 to 20, gru and lstm_attention remember up to T = 80, the transformer
    without positions too, lstm up to 40; trained on T = 20 alone, lstm and gru up to 40, the others
    up to 20. gru trained on the range remembers on more seeds (12 to 0 of 16, p = .016 after Holm);
    no other such difference allows a sentence.
  copy: trained on T = 20, the transformer with sinusoidal or rotary positions and lstm_attention
    remember up to T = 20. In no other row does the interval at a trained length lie above one half.
"""

import dataclasses

from ml_collections import ConfigDict

from lstm_attn.studies.length_generalisation import LengthConfig


def get_config() -> ConfigDict:
    config = LengthConfig()
    training = dataclasses.replace(config.training, evaluate_every=200)
    return ConfigDict(dataclasses.asdict(dataclasses.replace(config, training=training)))
