"""Checks the cost model on this machine and writes docs/scaling.md.

    python -m tools.scaling

With --page_only, the page alone, from the record of the last check.
"""

from absl import flags

from benchmarks import command
from lstm_attn.runner import command_line
from tools.pages import write_sections
from tools.scaling import check, page


def main() -> None:
    page_only = flags.DEFINE_bool("page_only", False, "Measure nothing.")

    def run() -> None:
        if not page_only.value:
            checked = command.Benchmark(lambda given: check.measure(), page.check_section)
            command.run_benchmark("scaling", checked, command.Settings(), page.RECORD.parent)
        write_sections(page.PAGE, page.sections())
        print(f"written: {page.PAGE}")

    command_line.run(run)


if __name__ == "__main__":
    main()
