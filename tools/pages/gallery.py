"""Writes docs/gallery.md: every kind of figure that the report makes, drawn from results/, and how
to read it.

    python -m tools.pages.gallery
"""

import io
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from benchmarks.markdown import joined
from lstm_attn import report
from lstm_attn.report import two_runs
from lstm_attn.runner import command_line
from lstm_attn.studies.compare_runs import compared
from tools.pages import ROOT, write_sections
from tools.pages.paragraphs import figure

RESULTS = ROOT / "results"
PAGE = ROOT / "docs" / "gallery.md"
NAME = "gallery"  # of the section, and of the folder of what no run folder holds
TWO_RUNS = ("horizon", "inside")  # which have cells in common


class Kind(NamedTuple):
    """A kind of figure.

    pattern: of the names of its figures. shown: the one on the page, FOLDER/NAME in results/.
    reading: one sentence, how to read it. command: what makes one.
    """

    title: str
    pattern: str
    shown: str
    reading: str
    command: str = ""


LANGUAGE = "make language-model"
# Heading -> the kinds below it, in the order of the page of a run.
KINDS: Mapping[str, tuple[Kind, ...]] = {
    "A grid of models, tasks and lengths": (
        Kind(
            "Share remembered", r"share-remembered-.+", "adding/share-remembered-adding",
            "Each dot is a trial: at 1 it has forgotten nothing, at 0 it does as well as the best "
            "predictor without memory, and above the dashed line it remembers.",
        ),
        Kind(
            "Trials that remember", r"remember-rate-.+", "copy/remember-rate-copy",
            "The rate of trials that remember, with its 95 % interval: a model remembers if the "
            "whole interval is above the dashed half, does not if it is below, and else is "
            "undecided.",
        ),
        Kind(
            "Steps to remember", r"survival-.+", "quick/survival-copy-8",
            "Each curve falls by one trial when it begins to remember, so lower is sooner, and a "
            "bar at the end counts the trials that never did within the budget.",
        ),
        Kind(
            "Learning curves", r"loss-.+", "quick/loss-adding-24",
            "Each line is a trial's loss on fresh data over the loss without memory: at the "
            "dashed line it has learnt nothing, below the dotted one it remembers.",
        ),
        Kind(
            "Accuracy by recalled position", r"recall-.+", "quick/recall-copy-24",
            "How often the first to the last symbol is recalled, as the median of trials and "
            "their range: a line that falls forgets what it has to give last.",
        ),
        Kind(
            "Where the time went", r"seconds-by-part", "quick/seconds-by-part",
            "Each bar is a cell, and each colour what its seconds were spent on: grey is not "
            "arithmetic.",
            "experiments.compare with --profile",
        ),
    ),
    "Learning rates": (
        Kind(
            "Tuning", r"tuning-.+", "adding/tuning-adding-100",
            "The median loss of the tuning seeds at each rate that was tried, whose lowest point "
            "is the rate that is tested; open points ended early.",
        ),
        Kind(
            "Every trial by learning rate", r"learning-rates", "learning_rates/learning-rates",
            "Each dot is a trial and the line joins the medians: the wider the valley, the less a "
            "model cares about its rate.",
        ),
    ),
    "How far": (
        Kind(
            "Memory horizon", r"horizon-(?!.*-budget$).+", "horizon/horizon-adding",
            "T50 is where a model's curve crosses one half: the length that half of its trials "
            "remember, with its interval in the bar below.",
        ),
        Kind(
            "T50 against the budget", r"horizon-.+-budget", "horizon/horizon-adding-budget",
            "How far the horizon moves with more steps: the steeper a line, the more training "
            "buys.",
        ),
        Kind(
            "Length generalisation", r"length-generalisation-(?!.*-positions$).+",
            "length_generalisation/length-generalisation-copy",
            "Each dot is a trial tested at that length: what falls to the right of the shaded "
            "lengths was learnt for the trained lengths alone.",
            "experiments.length_generalisation",
        ),
        Kind(
            "Schemes of positions", r"length-generalisation-.+-positions",
            "length_generalisation/length-generalisation-copy-positions",
            "The same with a colour for each scheme of positions of one model.",
            "experiments.length_generalisation",
        ),
    ),
    "Gradients": (
        Kind(
            "Gradient by lag", r"gradient-[hx]-.+", "gradient_reach/gradient-h-models",
            "How strongly the loss depends on what was that many steps before, dashed before "
            "training and solid after it: a line that stays up lets the model learn from there.",
        ),
        Kind(
            "Reach of every trial", r"reach-[hx]", "gradient_reach/reach-h",
            "Each dot is the first lag at which a trial's gradient is below 1 %, grey before "
            "training: farther to the right reaches farther back, and T is all the way.",
        ),
    ),
    "Inside a model": (
        Kind(
            "Change under cuts", r"cuts-.+", "inside/cuts-adding-30-share",
            "What a trial loses when one path through time is cut: at 0 the path was not needed, "
            "at -1 all that was remembered went through it.",
        ),
        Kind(
            "Recall under cuts", r"cut-recall-.+", "inside/cut-recall-copy-30-lstm_attention",
            "Accuracy by recalled position with a path cut once: the lower the line, the more "
            "that path carried.",
        ),
        Kind(
            "Distance of each head", r"distance-.+", "inside/distance-copy-30",
            "How many steps back a head looks on average, a dot a trial: at the dotted line it "
            "looks at the symbol that is due, at the dashed one at all steps alike.",
        ),
        Kind(
            "Time scales of units", r"time-scales-.+", "inside/time-scales-adding-30-gru-body",
            "How many steps the units of all trials keep what they hold, grey before training: "
            "what moved to the right has become slow.",
        ),
        Kind(
            "Gates over time", r"gates-.+", "inside/gates-copy-30-lstm_attention-lstm",
            "Each row is a unit on one sequence, bright where its gate is open: upright stripes "
            "are steps at which all units act together.",
        ),
        Kind(
            "Attention map", r"attention-.+",
            "inside/attention-copy-30-transformer-block_0-attention-2",
            "Each row is a step that looks, bright at the steps it looks at: a line beside the "
            "diagonal looks back by a fixed distance.",
        ),
    ),
    "One change at a time": (
        Kind(
            "Trials that remember, by change", r"ablation-remember", "ablation/ablation-remember",
            "Each row changes one setting: it is in colour where an exact test, adjusted for all "
            "rows, tells it from the reference.",
        ),
        Kind(
            "Steps, by change", r"ablation-steps", "ablation/ablation-steps",
            "The same for steps: left of the line the change learns sooner, right of it later.",
        ),
        Kind(
            "Two runs", r"comparison", f"{NAME}/comparison",
            "Each row is a cell that two runs have in common: it is in colour where an exact "
            "test, adjusted for all rows, tells the runs apart.",
        ),
    ),
    "Language models": (
        Kind(
            "Bits per byte", r"text-bits", "language_model/text-bits",
            "Fewer bits predict the test text better: dots are seeds, the point their mean with "
            "its interval.",
            LANGUAGE,
        ),
        Kind(
            "Differences of bits per byte", r"text-differences", "language_model/text-differences",
            "Each row is two models, in colour where the interval of their difference excludes 0.",
            LANGUAGE,
        ),
        Kind(
            "Training", r"text-training", "language_model/text-training",
            "Validation loss during training, as the median of seeds and their range.",
            LANGUAGE,
        ),
        Kind(
            "Loss by context", r"text-by-context", "language_model/text-by-context",
            "A line falls as long as a model makes use of more text before the token that it "
            "predicts.",
            LANGUAGE,
        ),
        Kind(
            "Memory on text", r"text-memory-.+", "language_model/text-memory-lstm",
            "Top to bottom: the loss by position, what more context is worth, and how far back a "
            "repetition is noticed.",
            LANGUAGE,
        ),
    ),
}  # fmt: skip


def kinds_of(name: str) -> list[Kind]:
    """The kinds whose pattern fits the name of a figure."""
    return [kind for of in KINDS.values() for kind in of if re.fullmatch(kind.pattern, name)]


def section() -> str:
    """Every kind with its picture and its sentence; of a kind without one, what makes it."""
    parts = [
        part
        for heading, kinds in KINDS.items()
        for part in (f"## {heading}", *map(_described, kinds))
    ]
    return joined(*parts)


def _described(kind: Kind) -> str:
    there = (RESULTS / f"{kind.shown}.png").exists()
    made_by = f"`{kind.command}` makes one; no run with one is committed yet."
    picture = figure(kind.shown, kind.title, 60) if there else made_by
    return joined(f"### {kind.title}", kind.reading, picture)


def draw(results: Path) -> None:
    """Draws the pictures of the page anew from the run folders in `results`, into them."""
    shown = [Path(kind.shown) for kinds in KINDS.values() for kind in kinds]
    for name in dict.fromkeys(path.parent.name for path in shown):
        if (results / name / "config.json").exists():
            with tempfile.TemporaryDirectory() as place:
                copy = Path(place) / name
                ignored = shutil.ignore_patterns("*.png")
                shutil.copytree(results / name, copy, ignore=ignored)
                report.write(copy)
                for path in shown:
                    if path.parent.name == name and (copy / f"{path.name}.png").exists():
                        shutil.copy(copy / f"{path.name}.png", results / name)
    _draw_two_runs(results)


def _draw_two_runs(results: Path) -> None:
    first, second = (report.read(results / name) for name in TWO_RUNS)
    found = report.harmless(compared(first, second, TWO_RUNS))
    (drawn,) = two_runs.section(found).figures
    picture = io.BytesIO()
    drawn.figure.savefig(picture, format="png")
    (results / NAME).mkdir(exist_ok=True)
    (results / NAME / f"{drawn.name}.png").write_bytes(picture.getvalue())


def main() -> int:
    draw(RESULTS)
    write_sections(PAGE, {NAME: section()})
    print(f"{PAGE} shows {sum(map(len, KINDS.values()))} kinds of figures")
    return 0


if __name__ == "__main__":
    command_line.run(main)
