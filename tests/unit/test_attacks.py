"""The catalogue of attacks is whole, and every test that it names is there."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROWS = [
    line
    for line in (ROOT / "docs" / "attacks.md").read_text(encoding="utf-8").splitlines()
    if re.match(r"\| [A-Z]\d+ ", line)
]
LINES = {"H": 10, "A": 8, "T": 5, "B": 10, "W": 12, "P": 5, "R": 14}


@cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(each.name for each in tree.body if isinstance(each, ast.FunctionDef))


def test_the_catalogue_has_every_line_once():
    expected = [f"{letter}{number}" for letter, last in LINES.items() for number in range(1, last + 1)]
    assert expected == [row.split()[1] for row in ROWS]


def test_every_line_names_a_test_and_every_named_test_is_there():
    for row in ROWS:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row)
        assert named, row
        for path, name in named:
            assert name in names_in(path), f"{path}::{name}"
