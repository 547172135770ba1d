"""What CONTRIBUTING says of the size of files, functions and classes holds everywhere, and of tests beside code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE, FUNCTION, CLASS = 400, 60, 20
"""Lines, lines, and methods: properties and `__special__` ones tell what is there and do not count."""
TESTS = 0.8
"""Lines of code of the tests for one of the program."""
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_FACTS = ("property", "cached_property", "setter")


def oversized(text: str) -> Iterator[str]:
    """What in a file's text is larger than it may be, in words."""
    if (lines := len(text.splitlines())) > FILE:
        yield f"{lines} lines"
    for node in ast.walk(parsed(text)):
        if isinstance(node, _FUNCTIONS) and node.end_lineno and (long := node.end_lineno - node.lineno + 1) > FUNCTION:
            yield f"{node.name}: {long} lines"
        elif isinstance(node, ast.ClassDef):
            methods = [each for each in node.body if isinstance(each, _FUNCTIONS) and not _tells(each)]
            if len(methods) > CLASS:
                yield f"{node.name}: {len(methods)} methods"


def _tells(method: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    special = method.name.startswith("__") and method.name.endswith("__")
    return special or any(ast.unparse(one).rpartition(".")[2] in _FACTS for one in method.decorator_list)


@pytest.mark.parametrize("part", ["tui_tuner", "tests", "benchmarks", "docs"])
def test_what_is_large_has_a_second_room(part: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}: {what}"
        for path in sorted((ROOT / part).rglob("*.py"))
        for what in oversized(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_sizes_are_counted() -> None:
    methods = "".join(f"    def m{n}(self): ...\n" for n in range(CLASS))
    facts = "    @property\n    def p(self): ...\n    @p.setter\n    def p(self, v): ...\n    def __init__(self): ...\n"
    assert list(oversized(f"class A:\n{methods}{facts}")) == []
    assert list(oversized(f"class A:\n{methods}{facts}    async def more(self): ...\n")) == ["A: 21 methods"]
    body = "    pass\n" * (FUNCTION - 1)
    assert list(oversized(f"def f():\n{body}")) == []
    assert list(oversized(f"def f():\n{body}    pass\n")) == ["f: 61 lines"]
    assert list(oversized("x = 1\n" * FILE)) == []
    assert list(oversized("x = 1\n" * (FILE + 1))) == ["401 lines"]


@cache
def parsed(text: str) -> ast.Module:
    return ast.parse(text)


def code_lines(text: str) -> int:
    """Lines with code on them: none that is blank, and no remark or docstring."""
    told: set[int] = set()
    for node in ast.walk(parsed(text)):
        if (
            isinstance(node, (ast.Module, ast.ClassDef, *_FUNCTIONS))
            and ast.get_docstring(node, clean=False) is not None
        ):
            told.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    lines = (line.strip() for line in text.splitlines())
    return sum(1 for number, line in enumerate(lines, 1) if line and not line.startswith("#") and number not in told)


def test_there_is_enough_that_is_tested() -> None:
    tests, code = (
        sum(code_lines(path.read_text(encoding="utf-8")) for path in (ROOT / part).rglob("*.py"))
        for part in ("tests", "tui_tuner")
    )
    assert tests >= TESTS * code, f"{tests} lines of tests for {code} of code: write the tests of what came last"


def test_lines_of_code_are_counted() -> None:
    text = '"""Told.\n\nAt length."""\n\n# why\nx = 1  # how\n\n\ndef f():\n    """Does."""\n    return """a\nb"""\n'
    assert code_lines(text) == 4, "x, def, and two lines of a text that is none about the code"
    assert code_lines("class A:\n    y = (\n        # none\n        1,\n    )\n") == 4
    assert code_lines("") == 0
