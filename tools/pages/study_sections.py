"""The README's account of the studies and of the language models, from results/."""

import math
from pathlib import Path
from typing import Any

from lstm_attn.report import harmless, language_model, studies, tables
from lstm_attn.report.horizon import budget_in_words, horizon_table
from lstm_attn.report.section import Table
from lstm_attn.runs import RunFolder

# Study -> the picture of it that stands in the README.
SHOWN = {
    "length_generalisation": "length-generalisation-copy",
    "gradient_reach": "gradient-h-starts-500",
}


def language_model_section(found: dict[str, Any]) -> str:
    """Its tables and the pictures of all models, and what the best of them wrote."""
    section, memory, *_ = language_model.sections(found)
    best = min(found["models"], key=lambda model: model["bits_per_byte"]["mean"] or math.inf)
    sample = best["samples"][-1]
    written = f"{sample['prompt']['text']}▸{sample['text']}"
    pictures = " ".join(
        f'<img src="results/language_model/{picture.name}.png" width="49%" '
        f'alt="{tables.as_markdown(picture.alt)}">'
        for picture in section.pictures
    )
    return "\n\n".join(
        [
            tables.as_markdown(section.text),
            *map(_markdown, section.tables),
            pictures,
            tables.as_markdown(memory.text),
            *map(_markdown, memory.tables),
            f"{tables.as_markdown(best['model'])} wrote what stands after ▸:",
            "\n".join(f"    {line}".rstrip() for line in written.split("\n")),
        ]
    )


def _markdown(table: Table) -> str:
    rows = [[tables.as_markdown(cell).replace("\n", "<br>") for cell in row] for row in table.rows]
    return tables.markdown(list(map(tables.as_markdown, table.headings)), rows)


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
        parts += [
            f"The memory horizon within {budget}, {found['trials']} trials a length "
            f"({found['lengths'][0]} to {found['lengths'][-1]}):",
            _markdown(horizon_table(found["searches"], with_task=True)),
        ]
    return "\n\n".join(parts)
