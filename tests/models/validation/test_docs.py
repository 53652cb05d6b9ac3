"""docs/validation.md says of every statistic what the code does, and names a test that is there."""

import ast
from pathlib import Path

import pytest

from models.validation.declared import Statistic, declared

CHECKOUT = Path(__file__).parents[3]
PAGE = (CHECKOUT / "docs" / "validation.md").read_text(encoding="utf-8")


def rows() -> dict[str, list[str]]:
    """Cells of the table by the name of the statistic; a bar inside a formula is written with a backslash."""
    told = {}
    for line in PAGE.splitlines():
        if line.startswith("| `") and "." in line.split("`")[1]:
            cells = [cell.strip() for cell in line.replace("\\|", "\0").strip("|").split("|")]
            told[cells[0].strip("`")] = [cell.replace("\0", "|") for cell in cells[1:]]
    return told


def test_every_statistic_stands_in_the_page_in_order() -> None:
    assert list(rows()) == [each.name for each in declared().statistics]


@pytest.mark.parametrize("statistic", declared().statistics, ids=lambda each: each.name)
def test_formula_limits_and_source_are_those_of_the_code(statistic: Statistic) -> None:
    formula, limits, source, test = rows()[statistic.name]
    assert (formula, source) == (statistic.formula, statistic.source)
    assert limits == (statistic.threshold().en or "told only")
    file, _, name = test.strip("`").partition("::")
    tree = ast.parse((Path(__file__).parent / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_other_tests_that_the_page_names_are_there() -> None:
    there = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    for word in PAGE.replace("`", " ").replace("(", " ").replace(")", " ").replace(",", " ").split():
        if word.startswith("test_") and "::" not in word and not word.endswith(".py"):
            assert f"def {word}(" in there, word
