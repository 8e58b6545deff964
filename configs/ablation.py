"""What each choice does for an LSTM of 32 features on adding, T = 100: one key changed a column.

    python -m experiments.ablation --config=configs/ablation.py --workdir=runs/ablation

Twelve seeds a column, with 2,000 steps; each column is tested against the reference on the same
seeds, and p is adjusted by Holm over all columns. The reference has forget bias 1 and learning rate
.03, which is inside the LSTM's window at T = 50 (configs/learning_rates.py).

Cost: about 7 minutes on two cores.

Seen 2026-11-30: nothing yet by the protocol (docs/protocol.md).
"""

import dataclasses

from ml_collections import ConfigDict

from lstm_attn.studies.ablation import AblationConfig


def get_config() -> ConfigDict:
    return ConfigDict(dataclasses.asdict(AblationConfig()))
