"""The README's account of the studies, from what they left in results/."""

from pathlib import Path

from lstm_attn.report import harmless, studies, tables
from lstm_attn.report.memory_horizon import budget_in_words, horizon_table
from lstm_attn.runs import RunFolder

# Study -> the picture of it that stands in the README.
SHOWN = {
    "length_generalisation": "length-generalisation-copy",
    "gradient_reach": "gradient-h-starts-500",
}


def studies_section(results: Path) -> str:
    """What each of SHOWN says of its picture; then the horizons, as a table."""
    parts = []
    for name, shown in SHOWN.items():
        found = harmless(RunFolder(results / name).study(name))
        for section in studies.STUDIES[name](found) if found else ():
            for picture in section.pictures:
                if picture.name == shown:
                    image = f'<img src="results/{name}/{shown}.png" width="60%" '
                    alt, text = map(tables.as_markdown, (picture.alt, section.text))
                    parts += [f'{image}alt="{alt}">', text]
    if found := harmless(RunFolder(results / "horizon").study("horizon")):
        budget = budget_in_words(found)
        headings, rows = horizon_table(found["searches"], with_task=True)
        parts += [
            f"The memory horizon within {budget}, {found['trials']} trials a length "
            f"({found['lengths'][0]} to {found['lengths'][-1]}):",
            tables.markdown(headings, [[tables.as_markdown(cell) for cell in row] for row in rows]),
        ]
    return "\n\n".join(parts)
