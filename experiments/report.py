"""One page of one run folder or of several, and where these differ beyond noise.

    python -m experiments.report RUN [RUN ...] [--page=PAGE.html]

Of one run, the page is RUN/report.html, its pictures beside it. Of several, it is report.html where
the command is given, and begins with each further run compared with the first; no folder is
written to, and neither is it with --page.
"""

from lstm_attn.runner import command_line
from lstm_attn.studies import report

if __name__ == "__main__":
    command_line.run_on_arguments(report.main)
