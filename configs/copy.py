"""Copy over delays of 10 to 500, models of about 5,000 parameters: the full study.

    python -m experiments.compare --config=configs/copy.py --workdir=runs/copy

Everything but the task is that of configs/adding.py, so the two can be compared.

Cost: 15 to 20 minutes for the first two lengths on two cores; the longer ones are not measured.

Seen 2026-11-30: nothing yet by the protocol (docs/protocol.md).
"""

from ml_collections import ConfigDict

from configs import adding


def get_config() -> ConfigDict:
    config = adding.get_config()
    config.task.names = ("copy",)
    config.task.lengths = (10, 50, 100, 200, 500)
    return config
