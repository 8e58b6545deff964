"""Four models of about 340,000 parameters on the text that every Python has, by characters.

    python -m experiments.language_model --config=configs/language_model.py \\
        --workdir=runs/language_model

Rates .001 to .03 are tuned on seed 100, by the loss on the validation split after 700 steps of
2,048 tokens; the two worse of the four end at 175. Five test seeds at the best rate. The
Transformer has two blocks; its rotary positions and the bias of gates are given, not tuned.

Cost: about 15 minutes on two quiet cores (Intel Xeon), by measure of a few steps: 20, 27, 40 and 25
ms a step and trial of lstm, gru, transformer and lstm_attention. Tuning takes 4 minutes of it,
training 5, compiling 1 to 2, measuring 4. A rate beyond the four adds half a minute.

Seen 2026-11-30: nothing yet by the protocol (docs/protocol.md).
"""

import dataclasses

from ml_collections import ConfigDict

from lstm_attn.studies.language_model import LanguageModelConfig


def get_config() -> ConfigDict:
    config = LanguageModelConfig()
    training = dataclasses.replace(config.training, evaluate_every=50)
    return ConfigDict(dataclasses.asdict(dataclasses.replace(config, training=training)))
