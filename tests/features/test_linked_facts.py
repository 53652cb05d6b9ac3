"""Facts of the employer in the months of its staff: against plain Python over rows, under restatements of either side, and what a
wrong definition is refused for."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import Refusal
from core.months import knowledge_cutoff
from core.purpose import Purpose
from expectations.contract import load_contracts
from features.fact_definition import FactDefinition, load_all_facts
from features.linked_facts import Carried, LinkedFacts, Through, load_linked
from features.linked_fold import NOBODY, Numbering, fold_linked
from tests.features import slow_reference as slow
from tests.features.bits import same_bits
from tests.features.random_worlds import (
    FIRST,
    MONEY,
    SUBJECTS,
    Delivered,
    World,
    arranged,
    folded,
    known,
    row_strategy,
    told,
)
from tests.features.test_slow_reference import MEASURES, facts

#: The others 0 to 4; residents' rows name the first two, one that is numbered under another key, and strangers.
NAMES = pa.array(
    [f"k{key}:{digits:012x}{'0' * 28}" for key, digits in ((1, 0xA), (1, 0xB), (3, 1), (1, 0xFF), (1, 0xFFF))]
)  # fmt: skip
LINK = facts("named", {"payer": MEASURES["payer"]})
CARRIED = {
    "n": Carried(measure="n"),
    "amt": Carried(measure="amt"),
    "grown": Carried(measure="people", against=2),
    "largest": Carried(measure="largest"),
}


def linked(absent: str) -> LinkedFacts:
    other = facts(
        "theirs", {name: MEASURES[name] for name in ("n", "amt", "people", "largest")}, absent=absent
    )
    return LinkedFacts(
        facts="of_theirs", subject="resident", table=other.table, title=other.title, derive=other.derive,
        measures={name: other.measures[carried.measure] for name, carried in CARRIED.items()},
        through=Through(facts="named", measure="payer", subject="enterprise"), carry=CARRIED, link=LINK, other=other,
    )  # fmt: skip


UNKNOWN, ZERO = linked("unknown"), linked("zero")

#: The month that is joined, and the one that measures are held against; worlds are of these alone, so that both sides meet.
MONTH, THEN = 3, 1
worlds = st.lists(
    st.builds(
        Delivered,
        st.sampled_from([MONTH, MONTH, THEN]),
        st.sampled_from(["supplement", "full"]),
        st.integers(1, 120),
        st.lists(row_strategy, min_size=1, max_size=5).map(tuple),
        st.sampled_from([None, None, None, None, 1, 40]),
    ),
    min_size=1,
    max_size=5,
).map(arranged)
#: Days after the first month's cutoff: from before the joined month's first delivery until after its last.
days_later = st.integers(80, 210)


def joined(
    residents: World, others: World, definition: LinkedFacts, month: int, cut: datetime | None = None
) -> pa.Table:
    """Linked facts of a month from the deliveries of both sides that had come by `cut`."""
    mine = [item for item in residents if cut is None or item.at <= cut]
    theirs = [item for item in others if cut is None or item.at <= cut]
    there = {item.month for item in theirs if item.rows}
    ages = [age for age in range(3) if month - age in there]
    other = {age: folded(theirs, definition.other, month - age) for age in ages}
    return fold_linked(folded(mine, LINK, month), other, Numbering.of(NAMES), definition)


def as_told(table: pa.Table, at: datetime) -> dict[int, dict[str, float]]:
    """The facts as known at a moment: of each subject the last row."""
    rows = [row for row in table.to_pylist() if row["known_at"] <= at]
    return {
        row["subject_no"]: {name: row[name] for name in CARRIED}
        for row in sorted(rows, key=lambda r: r["known_at"])
    }


def expected(
    residents: World, others: World, definition: LinkedFacts, month: int, at: datetime
) -> dict[int, dict[str, float]]:
    """The same from rows, one subject after the other."""
    numbers = {text[:15]: number for number, text in enumerate(NAMES.to_pylist())}
    found = {}
    for subject, rows in slow.by_subject(known(residents, month, at) or []).items():
        named = slow.month_measure(LINK.measures["payer"], rows, LINK, MONEY)
        if np.isnan(named):
            continue
        who = next((n for text, n in numbers.items() if slow_identity(text) == named), None)
        found[subject] = {
            name: _carried(definition, who, carried, others, month, at) for name, carried in CARRIED.items()
        }
    return found


def slow_identity(text: str) -> float:
    key, _, digits = text.partition(":")
    return float(int(key[1:]) * 2**48 + int(digits, 16))


def _carried(
    definition: LinkedFacts, who: int | None, carried: Carried, others: World, month: int, at: datetime
) -> float:
    now = _theirs(definition.other, who, carried.measure, others, month, at)
    if not carried.against:
        return now
    then = _theirs(definition.other, who, carried.measure, others, month - carried.against, at)
    return now / then if then > 0 else slow.NAN


def _theirs(
    other: FactDefinition, who: int | None, measure: str, others: World, month: int, at: datetime
) -> float:
    came = any(item.month == month and item.rows and item.at <= at for item in others)
    nothing = 0.0 if other.absent == "zero" and came else slow.NAN
    rows = slow.by_subject(known(others, month, at) or []).get(who, []) if who is not None else []
    if not rows:
        return nothing
    value = slow.month_measure(other.measures[measure], rows, other, MONEY)
    return nothing if np.isnan(value) else value


@settings(max_examples=200)
@given(worlds, worlds, days_later, st.sampled_from([UNKNOWN, ZERO]))
def test_facts_are_what_plain_python_says(
    residents: World, others: World, days: int, definition: LinkedFacts
) -> None:
    at = knowledge_cutoff(FIRST) + timedelta(days=days)
    found = as_told(joined(residents, others, definition, MONTH), at)
    wanted = expected(residents, others, definition, MONTH, at)
    assert set(wanted) <= set(found)
    for subject, values in found.items():
        for name, value in values.items():
            told_then = wanted.get(subject, {}).get(name, slow.NAN)
            assert value == told_then or np.isnan([value, told_then]).all(), (subject, name)


@settings(max_examples=200)
@given(worlds, worlds, days_later, st.sampled_from([UNKNOWN, ZERO]))
def test_what_comes_later_on_either_side_changes_nothing_told_before(
    residents: World, others: World, days: int, definition: LinkedFacts
) -> None:
    cut = knowledge_cutoff(FIRST) + timedelta(days=days)
    gone = [item for item in (*residents, *others) if item.gone_at is not None and item.gone_at > cut]
    whole, before = (
        joined(residents, others, definition, MONTH),
        joined(residents, others, definition, MONTH, cut),
    )
    early = pa.compute.less_equal(whole.column("known_at"), pa.scalar(cut, pa.timestamp("us", tz="UTC")))
    earlier = pa.compute.less_equal(before.column("known_at"), pa.scalar(cut, pa.timestamp("us", tz="UTC")))
    assert gone or earlier.to_pylist() == [True] * before.num_rows
    assert same_bits(whole.filter(early), before.filter(earlier))


@settings(max_examples=100)
@given(worlds, worlds)
def test_only_who_names_somebody_has_rows_and_each_row_says_something_new(
    residents: World, others: World
) -> None:
    table = joined(residents, others, UNKNOWN, MONTH)
    everyone = told(residents, MONTH, datetime.max.replace(tzinfo=knowledge_cutoff(FIRST).tzinfo))
    assert set(table.column("subject_no").to_pylist()) <= everyone <= set(range(SUBJECTS))
    last: dict[int, str] = {}
    for row in sorted(table.to_pylist(), key=lambda each: (each["subject_no"], each["known_at"])):
        values = repr([row[name] for name in CARRIED])
        assert last.get(row["subject_no"]) != values
        last[row["subject_no"]] = values


def test_identities_that_two_share_and_erased_ones_lead_to_nobody() -> None:
    names = pa.array(
        ["k1:00000000000a" + "0" * 28, None, "k1:00000000000b" + "1" * 28, "k1:00000000000b" + "2" * 28]
    )
    asked = np.array([2**48 + 0xA, 2**48 + 0xB, np.nan, 0.0])
    assert Numbering.of(names).look_up(asked).tolist() == [0, NOBODY, NOBODY, NOBODY]
    assert Numbering.of(pa.array([], pa.string())).look_up(asked).tolist() == [NOBODY] * 4


# -- definitions -------------------------------------------------------------------------------------------------------

SCHEMAS = {name: contract.schema() for name, contract in load_contracts().items()}
SHIPPED = load_all_facts(SCHEMAS)
FILE = """facts: employer
subject: resident
title: {zh: 单位, en: employer}
through: {facts: si_person_month, measure: employer, subject: enterprise}
of: tax_arrears
carry:
  items: {measure: items}
"""


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        (("facts: si_person_month,", "facts: si_person,"), 4, "no facts si_person for resident"),
        (("measure: employer,", "measure: paid,"), 4, "isn't an identity"),
        (("of: tax_arrears", "of: tax_arrear"), 5, "no facts tax_arrear for enterprise"),
        (("{measure: items}", "{measure: item}"), 7, "no measure item"),
        (("{measure: items}", "{measure: items, against: 12}"), 7, "grows old"),
        (("{measure: items}", "{measure: items, against: 25}"), 7, "less than or equal to 24"),
    ],
)
def test_a_wrong_definition_is_refused_with_its_line(
    tmp_path: Path, change: tuple[str, str], line: int, says: str
) -> None:
    path = tmp_path / "employer.yaml"
    path.write_text(FILE.replace(*change), encoding="utf-8")
    with pytest.raises(Refusal, match=says) as refused:
        load_linked(path, SHIPPED)
    assert refused.value.line == line


def test_purposes_are_those_that_both_tables_allow(tmp_path: Path) -> None:
    path = tmp_path / "employer.yaml"
    path.write_text(
        FILE.replace("tax_arrears", "si_employer_month").replace("measure: items", "measure: insured"),
        "utf-8",
    )
    facts_of: Any = load_linked(path, SHIPPED)
    assert Purpose.MARKETING in facts_of.other.purposes_of("insured", SCHEMAS)
    assert facts_of.purposes_of("items", SCHEMAS) == {Purpose.RISK}
    assert [table for _, table in facts_of.tables] == ["si_person_month", "si_employer_month"]
