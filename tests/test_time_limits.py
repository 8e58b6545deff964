"""No test decides by a clock: a limit only ends a process that hangs."""

import ast
from pathlib import Path

from tests import PATIENCE

ROOT = Path(__file__).parent.parent
WAITING = ("wait", "communicate", "join", "alarm", "poll")


def limits(tree):
    """Expressions of a number of seconds after which something is given up."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            yield from (word.value for word in node.keywords if word.arg == "timeout")
            if name in WAITING:
                yield from (
                    one for one in node.args if isinstance(getattr(one, "value", None), int | float)
                )


def test_every_limit_is_the_one_that_no_busy_machine_reaches():
    """Oracle: the syntax trees. Catches a limit of some seconds, after which a busy machine's right
    answer counts as wrong."""
    assert PATIENCE >= 1200
    found = [
        (path.relative_to(ROOT).as_posix(), ast.unparse(limit))
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for limit in limits(ast.parse(path.read_text()))
    ]
    assert len(found) > 20
    assert [one for one in found if one[1] != "PATIENCE"] == []


def test_a_limit_is_found():
    """By hand. Catches a search that finds nothing."""
    code = "a.communicate(timeout=9)\nb.wait(3)\nc.wait()\n', '.join(d)\nrun(e, timeout=PATIENCE)"
    assert [ast.unparse(one) for one in limits(ast.parse(code))] == ["9", "3", "PATIENCE"]
