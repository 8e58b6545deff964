"""Writes the generated sections of README and docs from results/; with --quick, keeps those runs
there first.

python -m tools.pages.readme --quick=runs/quick
"""

import json
import math
import re
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from absl import flags

from benchmarks.command import BENCHMARKS
from benchmarks.markdown import joined
from lstm_attn import report
from lstm_attn.errors import UsageError
from lstm_attn.report import tables
from lstm_attn.report.studies import STUDIES, drawn
from lstm_attn.runner import command_line
from lstm_attn.runs import CONFIG, ENVIRONMENT, FORMAT_FILE, METRICS, RESULTS, RunFolder
from tools.pages import ROOT, answer, gallery, speed, write_sections
from tools.pages.paragraphs import check_clean, check_commit, figure, made, table

README = ROOT / "README.md"
DOCS = ROOT / "docs"
KEPT_RUNS = ROOT / "results"
KEPT = KEPT_RUNS / "quick"
GRIDS = ("quick", "adding", "copy", "pooling")  # runs of `experiments.compare`
RECORDS = KEPT_RUNS / "benchmarks"
FILES = (FORMAT_FILE, CONFIG, ENVIRONMENT, METRICS, RESULTS)
# Study -> the figure that its page begins with, where it is not the first one.
SHOWN = {
    "length_generalisation": "length-generalisation-copy",
}
# Studies that have a page of their own: not those that are drawn with a grid.
STUDIES_SHOWN = tuple(name for name in STUDIES if name not in ("compare", "tuning"))
NOT_MEASURED = "Nothing is committed yet: the command above makes it."
# Page -> the sections that it shows.
PAGES = {
    README: ("question", "speed"),
    DOCS / "performance.md": (
        "training", "recurrent", "recurrences", "attention", "memory", "decoding", "whole_job",
        "trial_layouts",
    ),
    DOCS / "survives.md": ("resident_size",),
    DOCS / "house.md": ("mutants",),
    DOCS / "gallery.md": ("gallery",),
    **{DOCS / "results" / f"{name}.md": (name,) for name in (*GRIDS, *STUDIES_SHOWN)},
}  # fmt: skip


def grid_section(folder: RunFolder) -> str:
    """A run of `experiments.compare`: verdicts, every trial's share remembered, survival at the
    longest length, and its table with budget, seeds, rates and the cost of tuning."""
    if not folder.path.exists():
        return NOT_MEASURED
    check_clean(folder)
    records = report.in_grid_order(folder)
    config = report.harmless(folder.config)
    tuning = report.harmless(folder.study("tuning"))["cells"]
    name, names = folder.path.name, config["task"]["names"]
    longest = max(record["length"] for record in records)
    some = [
        n
        for n in names
        if any(r["remembers"] for r in records if (r["task"], r["length"]) == (n, longest))
    ]
    figures = " ".join(
        [
            *(figure(f"{name}/share-remembered-{n}", f"Share remembered: {n}", 49) for n in names),
            *(
                figure(
                    f"{name}/survival-{n}-{longest}", f"Steps to remember: {n}, T = {longest}", 49
                )
                for n in some  # where nobody remembers, there is no figure
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
        figures,
        verdicts,
        report.markdown_table(records),
        tables.as_markdown(
            f"{tables.RULE} Trials that remember, of {training['seeds']} seeds with a budget of "
            f"{training['steps']:,} steps, with the 95 % interval of the rate; trials that are "
            "exact; the share remembered, 1 - loss / baseline at the end, with the median and the "
            "range of trials; and the learning rate, tuned on other seeds."
        ),
        *_differences(folder),
        f"{minutes:.1f} minutes, of which tuning {spent:.1f}. {made(folder)}",
    )


def _differences(folder: RunFolder) -> list[str]:
    """Every two models on the same seeds: the section of the report."""
    study = report.harmless(folder.study("compare"))
    return [
        paragraph
        for section in (drawn("compare", study) if study else ())
        for paragraph in (
            f"## {section.title}",
            tables.as_markdown(section.text),
            *map(table, section.tables),
        )
    ]


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
    section, memory, *_ = drawn("language_model", study)
    best = min(study["models"], key=lambda model: model["bits_per_byte"]["mean"] or math.inf)
    sample = best["samples"][-1]
    written = f"{sample['prompt']['text']}▸{sample['text']}"
    tuning = sum(model["tuning"]["seconds"] for model in study["models"] if model["tuning"])
    trained = sum(model["seconds"] for model in study["models"])
    return joined(
        *_found_and_how_to_read(section.text, _verdicts(study)),
        *map(table, section.tables),
        " ".join(figure(f"language_model/{p.name}", p.alt, 49) for p in section.figures),
        f"Tuning took {tuning / 60:.1f} minutes, training all seeds {trained / 60:.1f}.",
        tables.as_markdown(memory.text),
        *map(table, memory.tables),
        f"{tables.as_markdown(best['model'])} wrote the text after ▸:",
        "\n".join(f"    {line}".rstrip() for line in written.split("\n")),
    )


def study_section(folder: RunFolder) -> str:
    """All that a study's sections of the report say: the picture to look at first, what was found,
    how to read it, the tables, then the other pictures."""
    study = _study(folder.path)
    if study is None:
        return NOT_MEASURED
    paragraphs, name = [], folder.path.name
    sections = drawn(name, study)
    for section in sections:
        figures = sorted(section.figures, key=lambda f: f.name != SHOWN.get(name))
        shown = [
            figure(f"{name}/{f.name}", f.alt, 49 if at else 70) for at, f in enumerate(figures)
        ]
        paragraphs += [
            f"## {tables.as_markdown(section.title)}" if len(sections) > 1 else "",
            *shown[:1],
            *_found_and_how_to_read(section.text, _verdicts(study)),
            *map(table, section.tables),
            " ".join(shown[1:]),
        ]
    return joined(*paragraphs, made(folder))


def _found_and_how_to_read(text: str, verdicts: Collection[str]) -> list[str]:
    """The verdicts that the text has, with what it says after a semicolon, as a list; then the text
    without them."""
    found = []
    for verdict in verdicts:
        said = re.search(rf"{re.escape(verdict)}(; .*?)?\.(?=\s|$)", text)
        if said:
            found.append(said[0])
            text = text.replace(said[0], "").replace("  ", " ")
    text = re.sub(r"(?<=\.) [^.]*:\s*$", "", text)  # what introduced them
    listed = "\n".join(f"- {tables.as_markdown(sentence)}" for sentence in found)
    return [listed, tables.as_markdown(text.strip())]


def _verdicts(value: Any) -> list[str]:
    """Every sentence that a study noted under "verdict", each once, in order."""
    if isinstance(value, list):
        parts: Iterable[Any] = value
        mine = []
    elif isinstance(value, dict):
        parts = value.values()
        mine = [value["verdict"]] if isinstance(value.get("verdict"), str) else []
    else:
        return []
    return list(dict.fromkeys([*mine, *(verdict for part in parts for verdict in _verdicts(part))]))


def _study(folder: Path) -> dict[str, Any] | None:
    """What the study in the folder measured; None if it is not there."""
    result = RunFolder(folder).study(folder.name)
    if result is not None:
        check_clean(RunFolder(folder))
    return report.harmless(result)


def sections() -> dict[str, str]:
    """Name -> section, of everything in results/ that the pages show."""
    language = _study(KEPT_RUNS / "language_model")
    return {
        "question": answer.section(RunFolder(KEPT)),
        "gallery": gallery.section(),
        "speed": speed.section(RECORDS),
        **{name: grid_section(RunFolder(KEPT_RUNS / name)) for name in GRIDS},
        **{name: study_section(RunFolder(KEPT_RUNS / name)) for name in STUDIES_SHOWN},
        **({"language_model": language_model_section(language)} if language else {}),
        "mutants": mutants_section(_json(KEPT_RUNS / "mutants.json")),
        **benchmark_sections(RECORDS),
    }


def benchmark_sections(folder: Path) -> dict[str, str]:
    """Name -> section, of each benchmark whose record is in the folder."""
    records = {
        name: _json(folder / f"{name}.json")
        for name in BENCHMARKS
        if (folder / f"{name}.json").exists()
    }
    for name, record in records.items():
        check_commit(record["commit"], folder / f"{name}.json")
    return {name: BENCHMARKS[name].section(record) for name, record in records.items()}


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def keep_runs(quick: Path) -> None:
    """Copies the quick run, and the other grids, studies and benchmarks in the folder that it is
    in, to results/."""
    if not (quick / RESULTS).exists() or quick.resolve() == KEPT:
        raise UsageError(f"--quick: expected a run folder outside {KEPT}, got {quick}")
    _keep(quick, KEPT, "compare")
    for name, study in (
        *((name, "compare") for name in GRIDS[1:]),
        *((name, name) for name in STUDIES),
    ):
        if (quick.parent / name / f"{study}.json").exists():
            _keep(quick.parent / name, KEPT_RUNS / name, study)
    keep_benchmarks(quick.parent / RECORDS.name)


def keep_benchmarks(folder: Path) -> None:
    """Copies the records of the folder and their figures to results/benchmarks."""
    for record in folder.glob("*.json"):
        check_commit(_json(record)["commit"], record)
        for path in (record, record.with_suffix(".png")):
            if path.exists():
                shutil.copy(path, RECORDS)


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
        answer.draw(RunFolder(KEPT))
    written = sections()
    for page, names in PAGES.items():
        shown = {name: written[name] for name in names if name in written}
        write_sections(page, shown)
    print(f"{README} and {DOCS} show what is in {KEPT_RUNS}")
    return 0


if __name__ == "__main__":
    QUICK = flags.DEFINE_string(
        "quick", None, "A run of configs/quick.py: keep it, and the studies next to it, first."
    )
    command_line.run(lambda: main(QUICK.value))
