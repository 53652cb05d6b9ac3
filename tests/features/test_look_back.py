"""Measures that compare a month with the months before it, worked by hand; and what their definitions refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from core.errors import Refusal
from features.fact_definition import load_facts
from tests.features.random_worlds import SCHEMA, Delivered, Row, folded
from tests.features.test_slow_reference import PARTIES, facts

#: Cells of a valid row of 100 yuan with X, Y or Z.
X, Y, Z = 0, 12, 24
BACK = facts("parties", PARTIES)

#: One subject: X and Y in January, Y in February, Y and Z in March.
WORLD = [
    Delivered(0, "full", 3, (Row(0, 0, X), Row(1, 0, Y))),
    Delivered(1, "full", 3, (Row(1, 0, Y),)),
    Delivered(2, "full", 3, (Row(1, 0, Y), Row(2, 0, Z))),
]


def latest(world: list[Delivered], month: int) -> dict[str, float]:
    """The last block's measures of subject 0."""
    return {
        name: value for name, value in folded(world, BACK, month).to_pylist()[-1].items() if name in PARTIES
    }


def test_who_is_new_who_came_back_and_who_has_gone() -> None:
    # Z is new, Y came back with 100 yuan, X was last seen two months ago.
    assert latest(WORLD, 2) == {"new": 1, "kept": 1, "kept_amt": 100_00, "lost": 1}


def test_a_month_whose_look_back_was_not_delivered_tells_nothing() -> None:
    told = latest(WORLD, 1)
    assert all(value != value for name, value in told.items() if name != "kept_amt")
    assert told["kept_amt"] == 100_00, "which looks back one month only"


def test_a_restated_month_is_a_newer_block_of_the_months_after_it() -> None:
    """In May it turns out that January had Z as well: Z came back in March, from May on."""
    restated = [*WORLD, Delivered(0, "supplement", 120, (Row(3, 0, Z),), None, 2)]
    before, after = folded(restated, BACK, 2).to_pylist()
    assert (before["new"], before["kept"]) == (1, 1) and (after["new"], after["kept"]) == (0, 2)
    assert before["known_at"] < after["known_at"]
    assert folded(restated, BACK, 2).slice(0, 1).drop_columns(["known_at"]) == folded(
        WORLD, BACK, 2
    ).drop_columns(["known_at"])


def test_a_delivery_without_rows_delivers_nothing_then_or_later() -> None:
    """February's first delivery was empty. That rows of it came in June must not show in what March told before."""
    empty = [WORLD[0], Delivered(1, "supplement", 3, ()), WORLD[2]]
    later = [*empty, Delivered(1, "supplement", 120, (Row(1, 0, Y),), None, 2)]
    assert latest(empty, 2)["kept_amt"] != latest(empty, 2)["kept_amt"], "missing"
    before, after = folded(later, BACK, 2).to_pylist()
    assert all(before[name] != before[name] for name in PARTIES)
    assert (after["new"], after["kept_amt"]) == (1, 100_00)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "beside others": ({"n": {"agg": "count"}, "new": PARTIES["new"]}, "in facts of their own"),
    "without a look-back": ({"new": {"agg": "first_seen", "column": "other"}}, "need `back`"),
    "a count that looks back": ({"n": {"agg": "count", "back": 3}}, "need `back`"),
    "a count with a minus": ({"n": {"agg": "count", "minus": {"status": "void"}}}, "only a sum takes"),
    "a sum of nothing": ({"n": {"agg": "returning_sum", "column": "other", "back": 3}}, "needs `by`"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_definitions_are_refused(case: str, tmp_path: Path) -> None:
    measures, message = WRONG[case]
    body = {
        "facts": "parties",
        "subject": "enterprise",
        "table": "invoice",
        "title": {"zh": "发票", "en": "invoices"},
    }
    path = tmp_path / "parties.yaml"
    path.write_text(yaml.safe_dump({**body, "measures": measures}, allow_unicode=True), encoding="utf-8")
    with pytest.raises(Refusal, match=message):
        load_facts(path, SCHEMA)
