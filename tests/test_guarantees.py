"""Every promise has tests, and they exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROMISES = 12


def sections() -> dict[int, str]:
    text = (ROOT / "GUARANTEES.md").read_text(encoding="utf-8")
    parts = re.split(r"^## (\d+)\. .*$", text, flags=re.MULTILINE)[1:]
    return {int(number): body for number, body in zip(parts[::2], parts[1::2], strict=True)}


def named_tests(number: int) -> list[str]:
    return re.findall(r"^- `([^`]+)`$", sections()[number], flags=re.MULTILINE)


def functions_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_all_promises_are_there_in_their_order() -> None:
    assert list(sections()) == list(range(1, PROMISES + 1))


@pytest.mark.parametrize("number", range(1, PROMISES + 1))
def test_a_promise_has_tests_and_they_exist(number: int) -> None:
    names = named_tests(number)
    assert len(names) >= 2
    for name in names:
        file, _, function = name.partition("::")
        assert (ROOT / file).is_file(), name
        assert not function or function in functions_in(ROOT / file), name
