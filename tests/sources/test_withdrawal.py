"""A withdrawn delivery counts until the moment it is withdrawn, and facts know of that moment."""

from __future__ import annotations

from datetime import datetime, timedelta

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from core.state import Delivery
from core.subject import SubjectKind
from core.subject_registry import SubjectRegistry
from sources.month_intake import accepted_rows, waiting_months
from sources.versions import KnownDelivery, Resolver, as_known
from tests.sources.bench import FIRST_ARRIVAL, GOOD, SCHEMA, Bench, text_of


def moment(day: int) -> datetime:
    return FIRST_ARRIVAL + timedelta(days=day)


delivered = st.tuples(
    st.integers(0, 5), st.booleans(), st.none() | st.integers(1, 6), st.sampled_from(["old", "new"])
)


@given(st.lists(delivered, min_size=1, max_size=6), st.integers(-1, 12))
def test_rows_known_at_a_moment_are_those_received_and_not_yet_withdrawn(told: list[tuple], day: int) -> None:
    deliveries = {
        n: KnownDelivery(
            n, source, "2026-10", n, full, moment(at), True, None if gone is None else moment(at + gone)
        )
        for n, (at, full, gone, source) in enumerate(told)
    }
    rows = pa.table(
        {
            "subject_no": pa.array(range(len(told)), pa.int32()), "scheme": ["unemp"] * len(told),
            "delivery_no": pa.array(range(len(told)), pa.int32()), "row_no": pa.array([1] * len(told), pa.int32()),
            "received_at": pa.array([entry.received_at for entry in deliveries.values()], pa.timestamp("us", tz="UTC")),
        }
    )  # fmt: skip
    found = as_known(rows, SCHEMA, moment(day), deliveries).column("delivery_no").to_pylist()
    now = moment(day)
    standing = {
        n: e
        for n, e in deliveries.items()
        if e.received_at <= now and (e.withdrawn_at is None or e.withdrawn_at > now)
    }
    wanted = [
        n for n, e in standing.items()
        if not any(o.full and o.source == e.source and o.revision > e.revision for o in standing.values())
    ]  # fmt: skip
    assert found == wanted
    resolve = Resolver(SCHEMA, deliveries)
    gone = {e.withdrawn_at for e in deliveries.values() if e.withdrawn_at is not None}
    assert gone <= set(resolve.replacements), "a fold looks again at every withdrawal"


def test_a_delivery_on_trial_fills_trial_and_nothing_live(bench: Bench) -> None:
    number = bench.receive(bench.lay(text_of(GOOD)))
    with bench.state.session() as session:
        session.get_one(Delivery, number).lane = "trial"
    assert waiting_months(bench.state) == {}
    assert list(waiting_months(bench.state, "trial")) == [(SubjectKind.RESIDENT, "si_person_month")]
    bench.registry = SubjectRegistry(bench.store, SubjectKind.RESIDENT, "trial")
    result = bench.take_in(number)
    assert result.raw_table == "trial/resident/si_person_month" and result.accepted == len(GOOD)
    assert bench.store.tables() == ["registry/trial_resident", "trial/resident/si_person_month"]
    assert accepted_rows(bench.state, SubjectKind.RESIDENT, "si_person_month") == {}
