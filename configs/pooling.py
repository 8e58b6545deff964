"""Adding at T = 100 and 1,000 by attention alone: the model of Raffel & Ellis 2015 at its size.

    python -m experiments.compare --config=configs/pooling.py --workdir=runs/pooling

attention_pooling takes the parameter budget of an LSTM of 50 features, which gives it the paper's
100 features and 10,602 parameters. Markers are those of `arjovsky2016`, not the paper's; batches of
32, not 100. Rates, seeds and steps are those of configs/adding.py.

Cost: not measured; `--dry_run` estimates it.

Seen 2026-11-30: nothing yet by the protocol (docs/protocol.md).
"""

import dataclasses

from ml_collections import ConfigDict

from configs import adding
from lstm_attn.models import ModelConfig


def get_config() -> ConfigDict:
    """The study of adding with one model, at the paper's size."""
    config = adding.get_config()
    config.models = ("attention_pooling",)
    config.task.lengths = (100, 1000)
    config.model = dataclasses.asdict(ModelConfig(features=50))
    return config
