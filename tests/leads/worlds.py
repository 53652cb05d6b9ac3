"""Small made-up populations for the tests of leads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
from hypothesis import strategies as st

from core.table_schema import TableSchema
from features.consent_registers import Consents, consents_of, suppressions_of
from leads.candidates import assemble
from leads.keyed_hash import LeadKey
from leads.lead_list import LeadList, build_list
from leads.policy import LeadPolicy, load_policy
from sources.versions import KnownDelivery, as_known

ON = date(2026, 11, 6)
CUTOFF = datetime(2026, 11, 5, 15, 59, 59, 999999, tzinfo=UTC)
KEY = LeadKey(b"k" * 32)
AT = datetime(2026, 11, 6, 1, 30, tzinfo=UTC)
CAMPAIGN = "autumn"

_RECEIVED = pa.timestamp("us", tz="UTC")


def policy(**changes: Any) -> LeadPolicy:
    """The consumer-loan policy with some entries changed."""
    return LeadPolicy.model_validate(load_policy("resident_consumer_loan").model_dump() | changes)


def register(rows: Sequence[dict[str, Any]], dates: Sequence[str], texts: Sequence[str]) -> pa.Table:
    """Raw canonical rows of a register; the envelope is filled in where a row doesn't give it."""
    schema = pa.schema(
        [("subject_no", pa.int32())]
        + [(name, pa.string()) for name in texts]
        + [(name, pa.date32()) for name in dates]
        + [
            ("received_at", _RECEIVED),
            ("delivery_no", pa.int32()),
            ("revision", pa.int32()),
            ("row_no", pa.int32()),
        ]
    )
    defaults = {
        "received_at": datetime(2026, 10, 1, tzinfo=UTC),
        "delivery_no": 1,
        "revision": 1,
    }
    full = [dict.fromkeys(schema.names) | defaults | {"row_no": no} | row for no, row in enumerate(rows)]
    return pa.Table.from_pylist(full, schema=schema)


def consents(*rows: dict[str, Any]) -> pa.Table:
    """A consent register: by default separate marketing consent from 2026-01-01 to 2027-01-01."""
    base = {
        "purpose": "marketing",
        "kind": "separate",
        "granted_at": date(2026, 1, 1),
        "valid_to": date(2027, 1, 1),
    }
    named = [base | {"consent_id": f"C{row['subject_no']}"} | row for row in rows]
    return register(
        named,
        ["granted_at", "valid_to", "withdrawn_at"],
        ["consent_id", "purpose", "kind"],
    )


def suppressions(*rows: dict[str, Any]) -> pa.Table:
    """A suppression register: by default everything, from 2026-01-01 on."""
    base = {"scope": "all", "reason": "complaint", "from_date": date(2026, 1, 1)}
    return register([base | row for row in rows], ["from_date", "to_date"], ["scope", "reason"])


def known_consents(*rows: dict[str, Any], cutoff: datetime = CUTOFF) -> Consents:
    """`consents` as known at the cutoff, by the rule for every table; each moment of receipt is a delivery of its own."""
    return consents_of(_as_known(consents(*rows), ("consent_id",), cutoff))


def known_suppressions(*rows: dict[str, Any], cutoff: datetime = CUTOFF) -> pd.DataFrame:
    """`suppressions` as known at the cutoff."""
    return suppressions_of(_as_known(suppressions(*rows), ("subject_id", "scope", "from_date"), cutoff))


def _as_known(rows: pa.Table, key: tuple[str, ...], cutoff: datetime) -> pa.Table:
    sent = {(row["received_at"], row["revision"]) for row in rows.to_pylist()}
    number = {delivery: no for no, delivery in enumerate(sorted(sent))}
    numbered = [
        row | {"delivery_no": number[row["received_at"], row["revision"]]} for row in rows.to_pylist()
    ]
    known = {
        no: KnownDelivery(no, "bank", "2026-10", revision, False, at) for (at, revision), no in number.items()
    }
    return as_known(
        pa.Table.from_pylist(numbered, schema=rows.schema), TableSchema("register", (), key), cutoff, known
    )


def subject_id(no: int) -> str:
    """A pseudonym that shows up in a byte search."""
    return f"1:{no:040x}"


#: Why somebody may have to be left out. Propensity 0.001 is worth less than the contact costs.
FLAWS: list[dict[str, Any]] = [
    {"branch_id": None},
    {"consented": False},
    {"risk_consent": False},
    {"suppressed": True},
    {"refuses": True},
    {"holds": True},
    {"live": True},
    {"last_contact": date(2026, 11, 1)},
    {"last_contact": date(2026, 8, 9)},
    {"propensity": None},
    {"propensity": 0.001},
    {"pd": None},
    {"grade": None},
    {"grade": 7},
    {"grade": 10},
]

#: Somebody wanted. Values are few, so that equals occur.
WANTED = st.fixed_dictionaries(
    {
        "branch_id": st.sampled_from(["B1", "B2", "B3"]),
        "consented": st.just(True),
        "risk_consent": st.just(True),
        "suppressed": st.just(False),
        "refuses": st.sampled_from([False, False, False, True]),
        "holds": st.just(False),
        "live": st.just(False),
        "last_contact": st.sampled_from([None, date(2026, 8, 8), date(2020, 1, 1)]),
        "propensity": st.sampled_from([0.02, 0.03, 0.03, 0.2]),
        "pd": st.sampled_from([0.001, 0.02]),
        "grade": st.sampled_from([1, 5, 6]),
    }
)


def _with_flaws(person: dict[str, Any], flaws: list[dict[str, Any]]) -> dict[str, Any]:
    for flaw in flaws:
        person = person | flaw
    return person


#: Two of three are wanted: independent random answers to ten questions would leave nearly every list empty.
PERSON = st.one_of(
    WANTED,
    WANTED,
    st.builds(_with_flaws, WANTED, st.lists(st.sampled_from(FLAWS), min_size=1, max_size=3)),
)

#: A handful, or enough to fill branches; Hypothesis alone would make a handful nearly always.
POPULATION = st.one_of(st.lists(PERSON, min_size=1, max_size=4), st.lists(PERSON, min_size=15, max_size=40))


def candidates_of(
    people: Sequence[dict[str, Any]],
    rules_of: LeadPolicy,
    pseudonym: Callable[[int], str] = subject_id,
) -> pd.DataFrame:
    """The candidates that these people make."""
    frame = pd.DataFrame(list(people), columns=list(PERSON_COLUMNS)).assign(subject_no=range(len(people)))
    frame["subject_id"] = [pseudonym(no) for no in frame["subject_no"]]
    scored = frame.dropna(subset=["propensity"])
    graded = frame.dropna(subset=["grade"])
    return assemble(
        frame,
        rules_of,
        campaign_id=CAMPAIGN,
        on=ON,
        key=KEY,
        acquisition=scored,
        marketing_consent=frame[frame["consented"]].assign(
            consent_id=lambda c: [f"C{no}" for no in c["subject_no"]]
        ),
        suppressions=frame[frame["suppressed"]],
        branches=frame.dropna(subset=["branch_id"]),
        risk=graded,
        risk_consent=frame[frame["risk_consent"]],
        holders=frame.loc[frame["holds"], "subject_no"],
        contacts=frame.dropna(subset=["last_contact"]),
        live_leads=frame.loc[frame["live"], "subject_no"],
        refusing=frame.loc[frame["refuses"], "subject_no"],
    )


PERSON_COLUMNS = (
    "branch_id",
    "consented",
    "risk_consent",
    "suppressed",
    "refuses",
    "holds",
    "live",
    "last_contact",
    "propensity",
    "pd",
    "grade",
)


def wanted_person(**changes: Any) -> dict[str, Any]:
    """Somebody whom no rule leaves out, holdouts aside."""
    return {
        "branch_id": "B1",
        "consented": True,
        "risk_consent": True,
        "suppressed": False,
        "refuses": False,
        "holds": False,
        "live": False,
        "last_contact": None,
        "propensity": 0.03,
        "pd": 0.01,
        "grade": 3,
    } | changes


def list_of(people: Sequence[dict[str, Any]], rules_of: LeadPolicy, **changes: Any) -> LeadList:
    """The list that these people make."""
    given: dict[str, Any] = {
        "campaign_id": CAMPAIGN,
        "list_version": "autumn-2026-10-r1",
        "on": ON,
        "key": KEY,
        "model_version": "acquisition-1",
        "generated_at": AT,
    }
    return build_list(candidates_of(people, rules_of), rules_of, **(given | changes))


def numbers(leads: pd.DataFrame) -> list[int]:
    """Subject numbers behind rows of a list, which only their consent ids give away here."""
    return [int(text[1:]) for text in leads["consent_id"]]
