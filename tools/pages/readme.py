"""Writes the README's generated sections from results/; with --quick, keeps those runs there first.

python -m tools.pages.readme --quick=runs/quick
"""

import json
import math
import shutil
from pathlib import Path
from typing import Any

from absl import flags

from benchmarks.command import BENCHMARKS
from benchmarks.markdown import joined
from lstm_attn import report
from lstm_attn.errors import UsageError
from lstm_attn.report import language_model, tables
from lstm_attn.report.horizon import horizon_table
from lstm_attn.report.section import Table
from lstm_attn.report.studies import STUDIES
from lstm_attn.runner import command_line
from lstm_attn.runs import CONFIG, ENVIRONMENT, FORMAT_FILE, METRICS, RESULTS, RunFolder
from tools.pages import write_sections

ROOT = Path(__file__).parent.parent.parent
README = ROOT / "README.md"
KEPT_RUNS = ROOT / "results"
KEPT = KEPT_RUNS / "quick"
GRIDS = ("quick", "adding", "copy")  # runs of `experiments.compare`
RECORDS = KEPT_RUNS / "benchmarks"
FILES = (FORMAT_FILE, CONFIG, ENVIRONMENT, METRICS, RESULTS)
# Study -> the figure of it that the README shows, and how many of the tables in its section.
SHOWN = {
    "learning_rates": ("learning-rates", 1),
    "length_generalisation": ("length-generalisation-copy", 1),
    "gradient_reach": ("gradient-h-starts", 0),
}


def grid_section(folder: RunFolder) -> str:
    """A run of `experiments.compare`: verdicts, every trial's share remembered, survival at the
    longest length, and its table with budget, seeds, rates and the cost of tuning."""
    check_clean(folder)
    records = report.in_grid_order(folder)
    config, environment = map(report.harmless, (folder.config, folder.environment))
    tuning = report.harmless(folder.study("tuning"))["cells"]
    name, names = folder.path.name, config["task"]["names"]
    longest = max(record["length"] for record in records)
    figures = " ".join(
        [
            *(_figure(f"{name}/share-remembered-{n}", f"Share remembered: {n}", 49) for n in names),
            *(
                _figure(
                    f"{name}/survival-{n}-{longest}", f"Steps to remember: {n}, T = {longest}", 49
                )
                for n in names
            ),
        ]
    )
    verdicts = "\n\n".join(
        f"**{tables.as_markdown(task)}**: {tables.as_markdown(report.verdict(records, task))}"
        for task in tables.names(records, "task")
    )
    training = config["training"]
    minutes = sum(record["seconds"] for record in (*records, *tuning)) / 60
    spent = sum(record["seconds"] for record in tuning) / 60
    return joined(
        verdicts,
        figures,
        report.markdown_table(records),
        tables.as_markdown(
            f"{tables.RULE} Trials that remember, of {training['seeds']} seeds with a budget of "
            f"{training['steps']:,} steps, with the 95 % interval of the rate; trials that are "
            "exact; the share remembered, 1 - loss / baseline at the end, with the median and the "
            "range of trials; and the learning rate, tuned on other seeds."
        ),
        tables.as_markdown(
            f"{environment['started'][:10]}, {minutes:.1f} minutes on "
            f"{environment['device']['cores']} cores ({environment['device']['kind']}, vectors of "
            f"{environment['device']['vector_bits']} bits), of which tuning {spent:.1f}; jax "
            f"{environment['versions']['jax']}, commit {environment['commit']}."
        ),
    )


def mutants_section(record: dict[str, Any]) -> str:
    """How many mutants the tests kill, which survive, and how many wait for a verdict."""
    tried = [mutant for mutant in record["mutants"] if mutant["killed_by"] is not None]
    survived = [mutant["what"] for mutant in tried if not mutant["killed_by"]]
    waiting = len(record["mutants"]) - len(tried)
    chance = record.get("random")
    return " ".join(
        [
            f"Killed: {len(tried) - len(survived)} of {len(tried)} written mutants.",
            *([f"Survived: {'; '.join(survived)}."] if survived else []),
            *([f"Not tried yet: {waiting}."] if waiting else []),
            *([f"Killed: {chance['killed']} of {chance['count']} random ones."] if chance else []),
        ]
    )


def language_model_section(study: dict[str, Any]) -> str:
    """Tables and figures of all models, their cost, and a text by the one with the fewest bits."""
    section, memory, *_ = language_model.sections(study)
    best = min(study["models"], key=lambda model: model["bits_per_byte"]["mean"] or math.inf)
    sample = best["samples"][-1]
    written = f"{sample['prompt']['text']}▸{sample['text']}"
    tuning = sum(model["tuning"]["seconds"] for model in study["models"] if model["tuning"])
    trained = sum(model["seconds"] for model in study["models"])
    return joined(
        tables.as_markdown(section.text),
        *map(_markdown, section.tables),
        " ".join(_figure(f"language_model/{p.name}", p.alt, 49) for p in section.figures),
        f"Tuning took {tuning / 60:.1f} minutes, training all seeds {trained / 60:.1f}.",
        tables.as_markdown(memory.text),
        *map(_markdown, memory.tables),
        f"{tables.as_markdown(best['model'])} wrote the text after ▸:",
        "\n".join(f"    {line}".rstrip() for line in written.split("\n")),
    )


def studies_section(results: Path) -> str:
    """The figures of SHOWN with their captions and tables; then the table of horizons."""
    paragraphs = []
    for name, (shown, count) in SHOWN.items():
        study = _study(results / name)
        for section in STUDIES[name](study) if study else ():
            for figure in section.figures:
                if figure.name == shown:
                    paragraphs.append(_figure(f"{name}/{shown}", figure.alt, 60))
                    paragraphs.append(tables.as_markdown(section.text))
                    paragraphs += map(_markdown, section.tables[:count])
    if study := _study(results / "horizon"):
        paragraphs += [
            f"T50, the length that half of {study['seeds']} seeds remember within "
            f"{study['budget']:,} steps, with its 95 % interval:",
            _markdown(horizon_table(study["searches"], with_task=True)),
        ]
    return joined(*paragraphs)


def _study(folder: Path) -> dict[str, Any] | None:
    """What the study in the folder measured; None if it is not there."""
    result = RunFolder(folder).study(folder.name)
    if result is not None:
        check_clean(RunFolder(folder))
    return report.harmless(result)


def check_clean(folder: RunFolder) -> None:
    """Raises UsageError for a run of changed files, which nobody can make again."""
    commit = folder.environment["commit"]
    if commit is None or commit.endswith("-dirty"):
        raise UsageError(f"{folder.path}: expected a run of a commit, got one of {commit}")


def _figure(path: str, alt: str, percent: int) -> str:
    source, alt = map(tables.as_markdown, (f"results/{path}.png", alt))
    return f'<img src="{source}" width="{percent}%" alt="{alt}">'


def _markdown(table: Table) -> str:
    rows = [[tables.as_markdown(cell).replace("\n", "<br>") for cell in row] for row in table.rows]
    return tables.markdown(list(map(tables.as_markdown, table.headings)), rows)


def sections() -> dict[str, str]:
    """Name -> section, of everything in results/ that the README shows."""
    written = {
        **{
            name: grid_section(RunFolder(KEPT_RUNS / name)) if (KEPT_RUNS / name).exists() else ""
            for name in GRIDS
        },
        "layouts": BENCHMARKS["trial_layouts"].section(_json(KEPT_RUNS / "trial_layouts.json")),
        "mutants": mutants_section(_json(KEPT_RUNS / "mutants.json")),
        "studies": studies_section(KEPT_RUNS),
        **benchmark_sections(RECORDS),
    }
    study = _study(KEPT_RUNS / "language_model")
    return written | {"language_model": language_model_section(study) if study else ""}


def benchmark_sections(folder: Path) -> dict[str, str]:
    """Name -> section, of each benchmark whose record is in the folder."""
    return {
        name: benchmark.section(_json(folder / f"{name}.json"))
        for name, benchmark in BENCHMARKS.items()
        if (folder / f"{name}.json").exists()
    }


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def keep_runs(quick: Path) -> None:
    """Copies the quick run, and the other grids and studies in the folder that it is in, to
    results/."""
    if not (quick / RESULTS).exists() or quick.resolve() == KEPT:
        raise UsageError(f"--quick: expected a run folder outside {KEPT}, got {quick}")
    _keep(quick, KEPT, "compare")
    for name, study in (
        *((name, "compare") for name in GRIDS[1:]),
        *((name, name) for name in STUDIES),
    ):
        if (quick.parent / name / f"{study}.json").exists():
            _keep(quick.parent / name, KEPT_RUNS / name, study)


def _keep(run: Path, place: Path, study: str) -> None:
    """Replaces the place by the run's FILES and figures, and what its study and tuning noted."""
    check_clean(RunFolder(run))
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    names = (*FILES, f"{study}.json", "tuning.json", "trials.csv")
    for path in (*(run / name for name in names if (run / name).exists()), *run.glob("*.png")):
        shutil.copy(path, place)


def main(quick: str | None) -> int:
    if quick:
        keep_runs(Path(quick))
    write_sections(README, sections())
    print(f"{README} shows what is in {KEPT_RUNS}")
    return 0


if __name__ == "__main__":
    QUICK = flags.DEFINE_string(
        "quick", None, "A run of configs/quick.py: keep it, and the studies next to it, first."
    )
    command_line.run(lambda: main(QUICK.value))
