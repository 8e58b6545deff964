"""What each choice does for an LSTM of 32 features on adding, T = 100: one key changed a column.

    python -m experiments.ablation --config=configs/ablation.py --workdir=runs/ablation

Cost: 8 minutes on two busy cores (Intel Xeon, shared).

Seen 2026-11-23, six trials a column, 3,000 steps; files in results/ablation. The reference,
forget bias 1 and learning rate .01, solves 1/6 (.03 to .56). Chrono over 2 to T and learning rate
.03 solve 6/6 (.61 to 1.00), differences of .83 (.28 to .97) over the same seeds, in 1,200 and 850
steps fewer. Layer normalisation solves 4/6, within noise as is every other change: 0 to 2 of 6.
"""

import dataclasses

from ml_collections import ConfigDict

from lstm_attn.studies.ablation import AblationConfig


def get_config() -> ConfigDict:
    return ConfigDict(dataclasses.asdict(AblationConfig()))
