"""What each choice does for an LSTM of 32 features on adding, T = 100: one key changed a column.

    python -m experiments.ablation --config=configs/ablation.py --workdir=runs/ablation

Twelve seeds a column, with 2,000 steps; each column is tested against the reference on the same
seeds, and p is adjusted by Holm over all columns. The reference has forget bias 1 and learning rate
.03, which is inside the LSTM's window at T = 50 (configs/learning_rates.py).

Cost: 11 minutes on two cores (Intel Xeon) that other runs kept busy besides; half of it alone.

Seen 2026-11-30; files in results/ablation. The reference remembers 12/12 (.74 to 1), after 600
steps in the mean, and so does every column but forget bias 0 (11/12, .62 to 1).
  Fewer steps (p = .01 after Holm): chrono over 2 to T (217 in the mean), layer normalisation (308).
    More steps (p = .01): learning rate .01 (917).
  No difference that allows a sentence: forget bias 0 or 3, Glorot's recurrent kernel, 16 or 64
    features, learning rate .1, clipping at 100.
"""

import dataclasses

from ml_collections import ConfigDict

from lstm_attn.studies.ablation import AblationConfig


def get_config() -> ConfigDict:
    return ConfigDict(dataclasses.asdict(AblationConfig()))
