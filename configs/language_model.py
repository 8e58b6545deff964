"""Four models of about 340,000 parameters on the text that every Python has, by characters.

    python -m experiments.language_model --config=configs/language_model.py \\
        --workdir=runs/language_model

Cost: 6 minutes on two quiet cores (Intel Xeon), with an empty compilation cache.

Seen 2026-11-23, two trials of each model; files in results/language_model:
  bits a byte of the test split: lstm_attention 1.75, gru 1.78, lstm 1.81, transformer 1.85; trials
    differ by .01 to .03. Blocks of the text differ by more (intervals of .2), but block by block
    the hybrid is .054 (.040 to .067) below lstm, the transformer .046 (.032 to .060) above.
  context: from 16 to 64 tokens the loss falls by .03 to .07 bits a token, from 64 to 256 by at
    most .01. At 1,024, four times the segments of training, the transformer's rotary positions are
    new to it: 2.9 bits worse than at 16.
  a random passage of 16 tokens once more: lstm_attention alone makes use of it, .21 bits a token at
    a distance of 16, .08 at 64, .03 at 256; lstm and gru nothing, the transformer .05 at 64 alone.
"""

import dataclasses

from ml_collections import ConfigDict

from lstm_attn.studies.language_model import LanguageModelConfig


def get_config() -> ConfigDict:
    config = LanguageModelConfig()
    training = dataclasses.replace(config.training, evaluate_every=50)
    return ConfigDict(dataclasses.asdict(dataclasses.replace(config, training=training)))
