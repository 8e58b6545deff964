"""Paragraphs that the generated sections share: figures, tables, and where a run was made."""

from pathlib import Path

from lstm_attn import report
from lstm_attn.errors import UsageError
from lstm_attn.report import tables
from lstm_attn.report.section import Table
from lstm_attn.runs import RunFolder


def check_clean(folder: RunFolder) -> None:
    """Raises UsageError for a run of changed files, which nobody can make again."""
    check_commit(folder.environment["commit"], folder.path)


def check_commit(commit: str | None, where: Path) -> None:
    """Raises UsageError for a run or a benchmark of no commit, or of changed files."""
    if commit is None or commit.endswith("-dirty"):
        raise UsageError(f"{where}: expected a run of a commit, got {commit}")


def figure(path: str, alt: str, percent: int) -> str:
    """The picture results/PATH.png, so wide; `tools.pages.write_sections` makes its address that
    from the page."""
    source, alt = map(tables.as_markdown, (f"results/{path}.png", alt))
    return f'<img src="{source}" width="{percent}%" alt="{alt}">'


def table(shown: Table) -> str:
    """A table of a report in Markdown."""
    rows = [[tables.as_markdown(cell).replace("\n", "<br>") for cell in row] for row in shown.rows]
    return tables.markdown(list(map(tables.as_markdown, shown.headings)), rows)


def made(folder: RunFolder) -> str:
    """When, on which machine and from which commit a run was made."""
    environment = report.harmless(folder.environment)
    device = environment["device"]
    return tables.as_markdown(
        f"{environment['started'][:10]}, {device['cores']} cores ({device['kind']}, vectors of "
        f"{device['vector_bits']} bits); jax {environment['versions']['jax']}, commit "
        f"{environment['commit']}."
    )
