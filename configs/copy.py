"""Copy over delays of 50, 100, 200 and 500, models of about 20,000 parameters: the full study.

    python -m experiments.compare --config=configs/copy.py --workdir=runs/copy

Cost: on two cores (Intel Xeon, shared) at most an evening of 5 hours, counted from measured
milliseconds a step and trial (two trials at a time; lstm, gru, transformer, lstm_attention):
delay 50 3, 3, 8, 6; 200 10, 11, 51, 34; 500 26, 29, 255, 159. Cells whose trials have all solved
end early, as those of the attention models did. On a GPU: not measured.

Seen 2026-11-22, `--config.task.lengths=50,` alone, 6 minutes on two busy cores; six trials, three
seeds at each of two learning rates; from uncommitted code, hence on no page.
Solved, with the 95 % Wilson
interval, and the median of steps to solve:
  lstm 0/6 (.00 to .39); gru 0/6 (.00 to .39); transformer 6/6 (.61 to 1.00) 300;
  lstm_attention 6/6 (.61 to 1.00) 800.
Delays of 100, 200 and 500 have not been run.
"""

from ml_collections import ConfigDict

from configs import adding


def get_config() -> ConfigDict:
    """The study of adding on the other task; nothing else differs, so the two can be compared."""
    config = adding.get_config()
    config.task.names = ("copy",)
    config.task.lengths = (50, 100, 200, 500)
    return config
