"""Adding at T = 100 and 1,000 by attention alone: the model of Raffel & Ellis 2015 at its size.

    python -m experiments.compare --config=configs/pooling.py --workdir=runs/pooling

attention_pooling takes the parameter budget of an LSTM of 50 features, which gives it the paper's
100 features and 10,602 parameters. Markers are those of `arjovsky2016`, not the paper's; batches of
32, not 100.

Cost: 11 minutes on two cores (Intel Xeon, shared, busy with other work). T = 10,000, the paper's
longest, has not been run: a step of two trials took 4 seconds on the busy cores.

Seen 2026-11-22; six trials, three seeds at each of two learning rates; files in results/pooling.
Solved, with the 95 % Wilson interval, and the median of steps to solve:
  T = 100: 6/6 (.61 to 1.00) 400; T = 1,000: 6/6 (.61 to 1.00) 800.
The paper has it solved within its first 1,000 updates at both lengths. At T = 1,000 the learning
rate .01 took 400 to 700 steps, .003 took 900 to 1,100.
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
