"""Four models of about 340,000 parameters on the text that every Python has, by characters.

    python -m experiments.language_model --config=configs/language_model.py \\
        --workdir=runs/language_model

Rates .001 to .03 are tuned on seed 100, by the loss on the validation split after 700 steps of
2,048 tokens; the two worse of the four end at 200, twice the warm-up. Five test seeds at the best
rate. The Transformer has two blocks; its rotary positions and the bias of gates are given, not
tuned.

Cost: 19 minutes on two cores (Intel Xeon, vectors of 512 bits) that other programs shared: tuning
4, training 9, and the rest measuring.

Seen 2026-11-30, five seeds; files in results/language_model:
  bits a byte of the test split, mean and range over seeds: lstm_attention 1.79 (1.78 to 1.81), gru
    1.84 (1.83 to 1.85), lstm 1.85 (1.84 to 1.86), transformer 1.96 (1.94 to 1.98), each at a rate
    of .01.
  lstm_attention needs fewer than each other model, lstm and gru fewer than the transformer: the
    intervals of the differences, over seeds and blocks, leave 0 out. That of lstm and gru holds it.
"""

import dataclasses

from ml_collections import ConfigDict

from lstm_attn.studies.language_model import LanguageModelConfig


def get_config() -> ConfigDict:
    config = LanguageModelConfig()
    training = dataclasses.replace(config.training, evaluate_every=50)
    return ConfigDict(dataclasses.asdict(dataclasses.replace(config, training=training)))
