"""A side as it is read from the real store: its own sources only, as known, with what was held back and when it came."""

from __future__ import annotations

import numpy as np
import pytest

from core.state import Quarantined
from core.subject import SubjectKind
from sources.migration.definition import FeedOf, MigratedTable
from sources.migration.sides import SideReader, SideRows
from tests.sources.bench import FIRST_ARRIVAL, GOOD, SCHEMA, Bench, text_of

TABLE = MigratedTable(
    table="si_person_month",
    subject=SubjectKind.RESIDENT,
    old=(FeedOf(source="city", adapter="city_si"),),
    new=(FeedOf(source="prov", adapter="prov_si"),),
)
MONTHS = ["2026-10"]


def read(bench: Bench, sources: set[str], months: list[str] = MONTHS) -> SideRows:
    reader = SideReader(bench.store, bench.state, "raw", sources, None, None, {"xz": "scheme"})
    return reader.read(TABLE, SCHEMA, frozenset({"scheme"}), months, bench.clock.now())


def test_a_side_is_what_its_own_sources_delivered_and_is_known(bench: Bench) -> None:
    first = bench.deliver(text_of(GOOD))
    changed = [row.replace("7000", "7001") for row in GOOD]
    bench.deliver(text_of(changed), revision=2)
    bench.deliver(text_of(GOOD).replace("202610", "202609").replace("2026-10", "2026-09"), period="2026-09")
    with bench.state.session() as session:
        held = {"reason": "unknown_code", "rows": 5, "released": 2, "shape": "999"}
        session.add(Quarantined(delivery_no=first.delivery_no, column="xz", **held))
        session.add(
            Quarantined(delivery_no=first.delivery_no, column="js", **(held | {"reason": "unreadable"}))
        )
    side = read(bench, {"city"})
    assert side.rows.num_rows == len(GOOD), "the second revision replaces the first"
    assert {str(v) for v in side.rows.column("base_amt").to_pylist()} >= {"7001.00"}
    assert set(side.rows.column("region").to_pylist()) == {"all"}
    assert side.first_months == {"all": "2026-09"}
    assert side.unmapped == {"scheme": 3}
    assert side.restated.sum() == 1 and len(side.restated) == len(GOOD)
    days = (FIRST_ARRIVAL - FIRST_ARRIVAL.replace(day=1, hour=0)).total_seconds() / 86400 + 8 / 24
    assert side.days_late == pytest.approx(np.full(len(GOOD), days))
    none = read(bench, {"prov"})
    assert (none.rows.num_rows, none.first_months, none.unmapped, len(none.days_late)) == (0, {}, {}, 0)


def test_a_table_that_nobody_delivered_is_an_empty_side(bench: Bench) -> None:
    side = read(bench, {"city"})
    assert side.rows.num_rows == 0 and side.rows.column_names[-2:] == ["period", "region"]
