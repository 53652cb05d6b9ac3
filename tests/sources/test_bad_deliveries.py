"""More than 540 bad deliveries of more than 40 kinds are refused with the right reason; nothing that was there changes."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from itertools import groupby
from pathlib import Path

import pytest
from sqlalchemy import func, select

import tests.sources.bad_files
import tests.sources.bad_workbooks  # noqa: F401 - both add their kinds
from core.audit import verify
from core.errors import Refusal
from core.state import Delivery, DeliveryReceipt
from tests.sources.bad_deliveries import IDENTITY, KINDS, PERIOD
from tests.sources.bench import GOOD, Bench, text_of
from tests.sources.written_feed import FORMS, feed_in

FORM_OF = {form: [name for name, kind in KINDS.items() if kind.form == form] for form in FORMS}


def test_there_are_enough_kinds_and_cases() -> None:
    cases = Counter({name: kind.times for name, kind in KINDS.items()})
    assert len(cases) >= 40 and cases.total() >= 540
    flips = sum(n for name, n in cases.items() if name.startswith("a flipped bit"))
    cuts = sum(n for name, n in cases.items() if name.startswith("cut off"))
    assert flips >= 200 and cuts >= 100
    assert cases.total() - flips - cuts >= 540 and sum(map(len, FORM_OF.values())) == len(KINDS)


@pytest.mark.parametrize("form", FORMS)
def test_bad_deliveries_are_refused_with_the_right_reason(bench: Bench, form: str) -> None:
    bench.deliver(text_of(GOOD), period=PERIOD, revision=1, sequence=1)
    feed_in(bench, form)
    before = standing(bench)
    revision, wrong = 1, []
    # Signed kinds register a key, after which everything must be signed: they come last.
    for name in sorted(FORM_OF[form], key=lambda name: name.startswith("signature")):
        for number in range(KINDS[name].times):
            revision += 1
            rng = random.Random(f"{name} {number}")
            code, told = outcome(bench, KINDS[name].make(bench, rng, revision))
            if code != KINDS[name].code:
                wrong.append((name, number, code, told))
            elif standing(bench) != before or IDENTITY[:10] in told:
                wrong.append((name, number, "left a trace", told))
    assert not wrong, "\n".join(f"{name} {number}: {code}" for name, number, code, _ in wrong)
    with bench.state.session() as session:
        verify(session)
        refused = session.scalar(select(func.count()).where(Delivery.state == "REFUSED"))
        assert refused == session.scalar(select(func.count()).select_from(DeliveryReceipt)) - 1
    assert cells_told(bench.root / "out" / "receipts") == []


def outcome(bench: Bench, folder: Path) -> tuple[str, str]:
    """The reason code, and all that was said."""
    try:
        bench.take_in(bench.receive(folder))
    except Refusal as refusal:
        with bench.state.session() as session:
            last = session.scalars(select(Delivery).order_by(Delivery.delivery_no.desc())).first()
            assert last is not None and (last.state, last.reason) == ("REFUSED", refusal.code)
            assert last.remedy and refusal.remedy
        return refusal.code, f"{refusal} {last.remedy} {last.place}"
    return "ACCEPTED", ""


def standing(bench: Bench) -> tuple[object, ...]:
    """The accepted delivery's entry, the table's bytes, the numbering of subjects."""
    with bench.state.session() as session:
        entry = session.get_one(Delivery, 1)
        told = (entry.state, entry.rows_accepted, entry.receipt_sha256, entry.received_at)
    version = bench.store.version("raw/resident/si_person_month")
    return (
        told,
        version,
        bench.store.content_hash("raw/resident/si_person_month", PERIOD),
        bench.registry.size,
    )


def cells_told(folder: Path) -> list[str]:
    """Where a receipt holds a pseudonym or an id number in what it says was wrong."""
    found = []
    for file in sorted(folder.rglob("*.json")):
        told = json.loads(file.read_text(encoding="utf-8"))
        text = " ".join(str(told[key]) for key in ("place", "reason", "remedy"))
        if re.search(r"k1:[0-9a-f]{8}|\d{16}", re.sub("9+", "", text)):
            found.append(text)
    return found


def test_every_reason_code_of_a_file_is_met() -> None:
    met = {code for code, _ in groupby(sorted(kind.code for kind in KINDS.values()))}
    assert met == {
        f"REFUSED/{code}"
        for code in (
            "MANIFEST", "CONFLICT", "CHECKSUM", "SIGNATURE", "SEQUENCE", "ENCODING", "SCHEMA", "STRUCTURE", "IDENTITY",
            "ROWCOUNT", "CONTROL_SUM", "CODE", "TYPE", "RANGE", "PERIOD", "KEY",
        )
    }  # fmt: skip
