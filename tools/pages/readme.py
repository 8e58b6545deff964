"""Puts a run's table and pictures, and what was measured, into the README; keeps the run beside it.

python -m tools.pages.readme --quick=runs/quick
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from lstm_attn import report
from lstm_attn.errors import UsageError
from lstm_attn.report import tables
from lstm_attn.report.studies import STUDIES
from lstm_attn.runner import command_line
from lstm_attn.runs import CONFIG, ENVIRONMENT, FORMAT_FILE, METRICS, RESULTS, RunFolder
from tools.pages.benchmark_sections import SECTIONS
from tools.pages.markers import replaced
from tools.pages.study_sections import language_model_section, studies_section

ROOT = Path(__file__).parent.parent.parent
README = ROOT / "README.md"
KEPT_RUNS = ROOT / "results"
KEPT = KEPT_RUNS / "quick"
LAYOUTS = KEPT_RUNS / "trial_layouts.json"
MUTANTS = KEPT_RUNS / "mutants.json"
BENCHMARKS = KEPT_RUNS / "benchmarks"
FILES = (FORMAT_FILE, CONFIG, ENVIRONMENT, METRICS, RESULTS)

QUICK = flags.DEFINE_string(
    "quick", "runs/quick", "The run of configs/quick.py to show; studies are those beside it."
)


def quick_section(folder: RunFolder) -> str:
    """The README's account of the quick run."""
    records = report.in_grid_order(folder)
    config, environment = map(report.harmless, (folder.config, folder.environment))
    longest = max(config["task"]["lengths"])
    pictures = " ".join(
        f'<img src="results/quick/loss-{task}-{longest}.png" width="49%" '
        f'alt="Learning curves: {task}, T = {longest}">'
        for task in map(tables.as_markdown, config["task"]["names"])
    )
    verdicts = " ".join(
        tables.as_markdown(report.verdict(records, task)) for task in tables.names(records, "task")
    )
    minutes = sum(record["seconds"] for record in records) / 60
    return (
        f"{verdicts}\n\n{pictures}\n\n{report.markdown_table(records)}\n\n"
        "Trials that solve the task, with the 95 % Wilson interval of the rate; the horizon is "
        "the longest length that at least half of the trials solve. "
        + tables.as_markdown(
            f"{environment['started'][:10]}, "
            f"{minutes:.1f} minutes on {environment['device']['cores']} cores "
            f"({environment['device']['kind']}), jax {environment['versions']['jax']}."
        )
    )


def layouts_section(record: dict[str, Any]) -> str:
    """The README's table of trial layouts."""
    names = list(record["rows"][0]["milliseconds"])
    how = {"map": "one after another", "vmap": "one batched program"}
    rows = [
        [
            str(row["devices"]),
            how[row["placed"]],
            *(f"{row['milliseconds'][name]:.2f}" for name in names),
        ]
        for row in record["rows"]
    ]
    headings = ["host devices", "trials of a device", *names]
    return report.tables.markdown(headings, rows, left=(1,))


def mutants_section(found: dict[str, Any]) -> str:
    """The README's score of the tests against broken code."""
    mutants = found["mutants"]
    survived = [mutant["what"] for mutant in mutants if not mutant["killed_by"]]
    return f"Killed: {len(mutants) - len(survived)} of {len(mutants)}." + (
        f" Survived: {'; '.join(survived)}." if survived else ""
    )


def benchmark_sections(folder: Path) -> dict[str, str]:
    """Name -> section, of each benchmark whose record is in the folder."""
    paths = {name: folder / f"{name}.json" for name in SECTIONS}
    return {
        name: SECTIONS[name](json.loads(path.read_text()))
        for name, path in paths.items()
        if path.exists()
    }


def keep(run: Path, place: Path, names: Sequence[str]) -> None:
    """Copies files of those names and all pictures of a run, in the place of what was there; a run
    of format 1 has no file that says so."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    wanted = [run / name for name in names if name != FORMAT_FILE or (run / name).exists()]
    for path in (*wanted, *run.glob("*.png")):
        shutil.copy(path, place)


def main() -> int:
    run = Path(QUICK.value)
    if not (run / RESULTS).exists() or run.resolve() == KEPT:
        raise UsageError(f"--quick: expected a run folder outside {KEPT}, got {run}")
    sections = {
        "quick": quick_section(RunFolder(run)),
        "layouts": layouts_section(json.loads(LAYOUTS.read_text())),
        "mutants": mutants_section(json.loads(MUTANTS.read_text())),
        **benchmark_sections(BENCHMARKS),
    }
    keep(run, KEPT, FILES)
    for name in STUDIES:
        if (run.parent / name / f"{name}.json").exists():
            keep(run.parent / name, KEPT_RUNS / name, (*FILES, f"{name}.json"))
    sections["studies"] = studies_section(KEPT_RUNS)
    if found := RunFolder(KEPT_RUNS / "language_model").study("language_model"):
        sections["language_model"] = language_model_section(report.harmless(found))
    text = README.read_text()
    for name, section in sections.items():
        text = replaced(text, name, section, README.name)
    README.write_text(text)
    print(f"{README} shows {run} and the studies beside it; their files are kept in {KEPT_RUNS}")
    return 0


if __name__ == "__main__":
    command_line.run(main)
