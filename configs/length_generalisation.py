"""Trained at T = 20 or on 5 to 20, tested at T = 10 to 320: models of about 5,000 parameters.

    python -m experiments.length_generalisation --config=configs/length_generalisation.py \\
        --workdir=runs/length_generalisation

Lengths of copy are delays. The Transformer is there with each scheme of positions. A learned table
is as long as the training and is continued, for the test, with rows as at initialisation: those
that a longer table would have kept, as no loss reached them. Every trial takes all its steps,
whether or not it has solved, so that no model is measured at an earlier point of its schedule.

Cost: 12 minutes on two busy cores (Intel Xeon, shared).

Seen 2026-11-23, four trials a row; mean accuracies, files in results/length_generalisation:
  Trained at T = 20 alone, every model that solves its task there is lost at T = 10 and at T = 40.
  adding, trained on 5 to 20: all solve at 10 and 20; at T = 40 transformer without positions .89,
    alibi .86, lstm_attention .84, gru .80, lstm and rotary .60, learned .29, sinusoidal .00; at 320
    the best is alibi with .22 (.00 to .59).
  copy, trained on 5 to 20: lstm_attention is right at every length to T = 320 (1.00, .99 to 1); no
    Transformer copies over the range, whatever its positions, which sinusoidal and learned did at
    T = 20 alone; lstm and gru do not copy at all in 2,000 steps.
"""

import dataclasses

from ml_collections import ConfigDict

from lstm_attn.studies.length_generalisation import LengthConfig


def get_config() -> ConfigDict:
    config = LengthConfig()
    training = dataclasses.replace(config.training, evaluate_every=200)
    return ConfigDict(dataclasses.asdict(dataclasses.replace(config, training=training)))
