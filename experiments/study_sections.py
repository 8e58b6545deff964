"""The README's account of the studies, from what they left in results/."""

from collections.abc import Sequence
from pathlib import Path

from lstm_attn.report import gradient_reach, studies
from lstm_attn.report.memory_horizon import horizon_table
from lstm_attn.report.section import Section, Table
from lstm_attn.runs import RunFolder

# Study -> the pictures that stand in the README.
SHOWN = {
    "length_generalisation": ("length-generalisation-adding", "length-generalisation-copy"),
    "gradient_reach": ("gradient-h-starts-500",),
    "horizon": ("horizon-adding-steps",),
}


def studies_section(results: Path) -> str:
    """What each of SHOWN says in its report, its pictures, and a table where it is a short one."""
    parts = []
    for name, pictures in SHOWN.items():
        folder = RunFolder(results / name)
        found = folder.study(name)
        if found is None:
            continue
        for section in studies.STUDIES[name](found):
            parts += [f"**{section.title}.** {section.text}", _images(section, name, pictures)]
        if name == "horizon":
            parts.append(_markdown(horizon_table(found["searches"], with_task=True)))
        if name == "gradient_reach":
            table = gradient_reach.reach_table(found)
            longest = max(table.rows, key=lambda row: int(row[1].replace(",", "")))[1]
            parts.append(
                _markdown(Table(table.headings, [row for row in table.rows if row[1] == longest]))
            )
    return "\n\n".join(part for part in parts if part)


def _images(section: Section, name: str, shown: Sequence[str]) -> str:
    those = [picture for picture in section.pictures if picture.name in shown]
    width = 49 if len(shown) > 1 else 60
    return " ".join(
        f'<img src="results/{name}/{picture.name}.png" width="{width}%" alt="{picture.alt}">'
        for picture in those
    )


def _markdown(table: Table) -> str:
    rule = ["---", *("---:" for _ in table.headings[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (table.headings, rule, *table.rows))
