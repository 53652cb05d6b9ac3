"""Figures by month: the one that holds and was public then, also when it is corrected later; mistakes by their line."""

from __future__ import annotations

import dataclasses
from datetime import date
from pathlib import Path

import numpy as np
import pytest

import features.catalogue as catalogue
from core.errors import Refusal
from core.months import Month
from features.as_of import feature_table, features_at
from features.parameters import Parameter, load_parameters
from tests.features.random_worlds import FIRST, Delivered, Row, arranged
from tests.features.test_metamorphic import PLAIN, store_of

FILE = """parameters:
  wage:
    unit: CNY
    zh: 工资
    en: wage
    values:
      - {from: 2024-01, published: 2024-06-20, value: 6000}
      - {from: 2025-01, published: 2025-06-20, value: 7000}
      - {from: 2025-01, published: 2025-09-01, value: 7100}
"""


def wage(tmp_path: Path, text: str = FILE) -> Parameter:
    path = tmp_path / "parameters.yaml"
    path.write_text(text, encoding="utf-8")
    return load_parameters(path)["wage"]


@pytest.mark.parametrize(
    ("as_of", "known", "value"),
    [
        (Month(2024, 5), date(2024, 6, 5), None),
        (Month(2024, 6), date(2024, 7, 5), 6_000),
        # It holds from January, and the bank didn't know it before June.
        (Month(2025, 3), date(2025, 4, 5), 6_000),
        (Month(2025, 3), date(2025, 6, 20), 7_000),
        (Month(2025, 6), date(2025, 7, 5), 7_000),
        (Month(2025, 8), date(2025, 9, 5), 7_100),
        (Month(2024, 12), date(2026, 1, 1), 6_000),
        (Month(2023, 12), date(2026, 1, 1), None),
    ],
)
def test_the_figure_is_the_one_in_force_that_was_public_then(
    tmp_path: Path, as_of: Month, known: date, value: float | None
) -> None:
    assert wage(tmp_path).value_at(as_of, known) == value


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        (("value: 6000", "value: 0"), 7, "greater than 0"),
        (("from: 2025-01, published: 2025-06-20", "from: 2025-13, published: 2025-06-20"), 8, "not a month"),
        (("published: 2025-06-20", "published: june"), 8, "date"),
        (("from: 2024-01", "since: 2024-01"), 7, "from"),
        (("from: 2024-01", "from: 2025-02"), 8, "order of `from`"),
        (("published: 2025-09-01", "published: 2025-06-20"), 9, "each once"),
    ],
)
def test_a_mistake_is_told_by_its_line(tmp_path: Path, change: tuple[str, str], line: int, says: str) -> None:
    with pytest.raises(Refusal, match=says) as refused:
        wage(tmp_path, FILE.replace(*change))
    assert refused.value.line == line


def test_features_use_the_figure_of_their_month_whenever_they_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A figure published for months that lie behind changes the months made known after it, and no other."""
    first, later = FIRST, FIRST.plus(1)
    text = FILE.split("      - ")[0] + "".join(
        f"      - {{from: {since}, published: {day}, value: {value}}}\n"
        for since, day, value in (("2024-01", "2024-01-01", 2), (str(first), "2025-03-01", 4))
    )
    figure = wage(tmp_path, text)
    monkeypatch.setattr(catalogue, "load_parameters", lambda: {"wage": figure})
    plain = next(each for each in PLAIN.features if (each.measure, each.formula) == ("amt", "sum"))
    held = dataclasses.replace(plain, name="held", per="wage")
    both = dataclasses.replace(PLAIN, features=(plain, held))
    world = arranged([Delivered(0, "full", 3, (Row(0, 0, 0),)), Delivered(1, "full", 3, (Row(1, 0, 0),))])
    store = store_of(world, both)

    def ratio(month: Month) -> float:
        table = feature_table(store, both, month)
        return float(table.column(plain.name)[0].as_py() / table.column("held")[0].as_py())

    # Known on 5 February, and on 5 March.
    assert (ratio(first), ratio(later)) == (2.0, 4.0)
    panel = dict(features_at(store, both, [first, later]))
    assert np.isclose(panel[first].column("held")[0].as_py() * 2, panel[first].column(plain.name)[0].as_py())
    assert both.sha256 != dataclasses.replace(both, features=(plain, plain)).sha256
