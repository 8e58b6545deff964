"""Copy over delays of 10 to 500, models of about 5,000 parameters: the full study.

    python -m experiments.compare --config=configs/copy.py --workdir=runs/copy

Everything but the task is that of configs/adding.py, so the two can be compared.

Cost: 11 minutes for delays of 10 and 50 on two cores (Intel Xeon), half of them tuning. A cell's 16
test trials took 17 and 29 s (lstm), 25 and 50 s (gru), 30 and 84 s (transformer), 18 and 74 s
(lstm_attention). The longer delays are to be added by the same command; T costs a recurrent model a
factor of T and attention one of T squared.

Seen 2026-11-30, of delays of 10 and 50; files in results/copy:
  transformer remembers 14/16 (.64 to .97) and 16/16 (.81 to 1), lstm_attention 15/16 (.72 to .99)
    and 9/16 (.33 to .77), all of them exactly; lstm and gru 0/16 (0 to .19) at both. Share
    remembered, the median: lstm .38 and .10, gru .56 and .38.
  Both models with attention remember on more seeds than lstm and gru at either delay (p < .05
    after Holm).
  Chosen: rates of .03, at 50 .1 for lstm and gru and .01 for the others; chrono for lstm and gru,
    bias 1 for lstm_attention, sinusoidal positions.
"""

from ml_collections import ConfigDict

from configs import adding


def get_config() -> ConfigDict:
    config = adding.get_config()
    config.task.names = ("copy",)
    config.task.lengths = (10, 50, 100, 200, 500)
    return config
