"""One page of one run folder or of several, and the differences that exact tests allow.

    python -m experiments.report RUN [RUN ...] [--page=PAGE.html]

Of one run, the page is RUN/report.html, with its figures next to it. Of several, it is report.html
in the current folder, and begins with each further run compared with the first; no run folder is
written to, nor is it with --page.
"""

from collections.abc import Sequence

from absl import flags

from lstm_attn.runner import command_line
from lstm_attn.runner.terminal import Terminal
from lstm_attn.studies import compare_runs

PAGE = flags.DEFINE_string(
    "page", None, "The page: RUN/report.html of one run by default, report.html here of several."
)


def main(runs: Sequence[str]) -> int:
    console = Terminal()
    with console.status(f"drawing {', '.join(runs)}"):
        page = compare_runs(*runs, page=PAGE.value)
    console.print(f"report: {page}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    command_line.run_on_arguments(main)
