"""Random mutants: an operator, a number or a function in the syntax tree is exchanged."""

import ast
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# For each folder, the tests that its files are run against, after the test file of the same name.
ROOMS = {
    "lstm_attn/ops": "tests/ops tests/test_numerics.py",
    "lstm_attn/modules": "tests/modules tests/test_conformance.py",
    "lstm_attn/tasks": "tests/tasks",
    "lstm_attn/training": "tests/training",
    "lstm_attn/analysis": "tests/analysis",
}
OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
FUNCTIONS = {
    one: other
    for pair in (("min", "max"), ("minimum", "maximum"), ("sum", "mean"))
    for one, other in (pair, pair[::-1])
}


class RandomMutant(NamedTuple):
    """The code of `file` between two places becomes `new`; `old` is what it was, in line `line`."""

    file: str
    line: int
    start: int
    end: int
    old: str
    new: str
    tests: str

    def break_code(self, code: str) -> str:
        return code[: self.start] + self.new + code[self.end :]


def draw(root: Path, count: int, seed: int) -> list[RandomMutant]:
    """This many mutants of all folders, all equally likely."""
    candidates = [
        mutant
        for room, tests in ROOMS.items()
        for path in sorted((root / room).glob("*.py"))
        for mutant in mutants_of(root, path, tests)
    ]
    return random.Random(seed).sample(candidates, count)


def mutants_of(root: Path, path: Path, tests: str) -> list[RandomMutant]:
    """Every mutant of a file, in order of place."""
    code = path.read_text()
    own = Path("tests") / path.parent.name / f"test_{path.stem}.py"
    if (root / own).exists():
        tests = f"{own} {tests}"
    lines = [0]
    for line in code.encode().splitlines(keepends=True):
        lines.append(lines[-1] + len(line.decode()))
    found = []
    for node, changed in exchanged(ast.parse(code)):
        # Columns count bytes; none of these files has a character of several bytes before its code.
        start = lines[node.lineno - 1] + node.col_offset
        end = lines[node.end_lineno - 1] + node.end_col_offset
        # In brackets, so that it may go over lines and binds as the old one did.
        found.append(
            RandomMutant(
                str(path.relative_to(root)), node.lineno, start, end, code[start:end],
                f"({ast.unparse(changed)})", tests,
            )
        )  # fmt: skip
    return sorted(found, key=lambda mutant: (mutant.start, mutant.end, mutant.new))


def exchanged(tree: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Each expression that can be broken, and what it becomes."""
    for node in expressions(tree):
        match node:
            case ast.BinOp(left, operator, right) if type(operator) in OPERATORS:
                if not is_text(left) and not is_text(right):
                    yield node, ast.BinOp(left, OPERATORS[type(operator)](), right)
            case ast.Compare(left, [operator], right) if type(operator) in OPERATORS:
                yield node, ast.Compare(left, [OPERATORS[type(operator)]()], right)
            case ast.BoolOp(operator, values):
                yield node, ast.BoolOp(OPERATORS[type(operator)](), values)
            case ast.UnaryOp(ast.Not(), operand):
                yield node, operand
            case ast.Constant(value) if type(value) is int:
                yield node, ast.Constant({0: 1, 1: 0}.get(value, value + 1))
            case ast.Call(ast.Attribute(owner, name), arguments, keywords) if name in FUNCTIONS:
                yield node, ast.Call(ast.Attribute(owner, FUNCTIONS[name]), arguments, keywords)
            case ast.Call(ast.Name("min" | "max" as name), arguments, keywords):
                yield node, ast.Call(ast.Name(FUNCTIONS[name]), arguments, keywords)


def expressions(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those of annotations and formatted strings, where nothing is computed."""
    yield tree
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns") or isinstance(tree, ast.JoinedStr):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from expressions(child)


def is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
