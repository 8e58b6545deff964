"""docs/tasks.md says what the tasks say of themselves."""

from lstm_attn import tasks
from tools.pages import tasks as page


def test_the_table_is_that_of_the_tasks():
    """Oracle: the tasks. Catches a variant that the page lacks, and a number of before."""
    text = page.PAGE.read_text()
    assert page.written(text) == text


def test_every_task_has_its_source():
    """Catches a task without a line in the table of sources."""
    sources = page.PAGE.read_text().split(page.END)[1]
    for name in tasks.TASKS:
        assert f"`{name}`" in sources.split("## Length")[0]
