"""Deliveries that bring erased subjects: in any spelling, as the subject or as somebody's employer."""

from __future__ import annotations

import gzip
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from core.errors import Refusal
from core.state import Erasure, Redaction
from core.subject import SubjectKind
from core.table_schema import Column, ColumnType, TableSchema
from sources.erased import (
    Erased,
    last_erasure,
    require_finished,
    require_no_erasure_since,
    stand_in,
    tombstone,
)
from sources.redaction import redacted_path
from tests.sources.bench import ADAPTER, GOOD, HEADER, SCHEMA, Bench, text_of, token

#: The same feed with the employer's pseudonym.
WITH_EMPLOYER = TableSchema(
    SCHEMA.table,
    (*SCHEMA.columns, Column("employer_subject_id", ColumnType.SUBJECT, data_class="pseudonym")),
    SCHEMA.business_key,
)
EMPLOYED = {
    "columns": ADAPTER["columns"]
    | {"employer_subject_id": {"from": "dw", "normalise": ["nfkc", "strip", "lower"]}}
}


def erase(bench: Bench, letter: str, kind: SubjectKind = SubjectKind.RESIDENT) -> str:
    """A tombstone, as an erasure leaves it when it is done."""
    hash_ = tombstone(bench.root / "keys", kind, token(letter))
    now = bench.clock.now()
    with bench.state.session() as session:
        session.add(
            Erasure(
                subject=str(kind), tombstone=hash_, numbers={}, request_ref="R-1", reason="subject_request", step="done",
                told={}, opened_at=now, done_at=now, retrain_by=now + timedelta(days=90),
            )
        )  # fmt: skip
    return hash_


def named(bench: Bench, letter: str) -> list[str]:
    """Archived files that hold the pseudonym in any of its spellings."""
    found = []
    for path in bench.archive.iterdir():
        content = path.read_bytes()
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        if token(letter).encode() in content.lower() or token(letter).upper().encode() in content:
            found.append(path.name)
    return found


@pytest.mark.parametrize("spelled", [str, str.upper, lambda t: f" {t} ", lambda t: t.replace("k1", "ｋ１")])
def test_an_erased_subject_is_left_out_in_any_spelling(bench: Bench, spelled) -> None:  # type: ignore[no-untyped-def]
    erase(bench, "a")
    rows = [line.replace(token("a"), spelled(token("a"))) for line in GOOD]
    result = bench.deliver(text_of(rows))
    assert (result.delivered, result.accepted, result.left_out) == (3, 1, {"erased": 2})
    assert bench.rows().column("row_no").to_pylist() == [1] and bench.registry.size == 1
    assert named(bench, "a") == []


def test_rows_after_a_gap_keep_their_numbers(bench: Bench) -> None:
    erase(bench, "b")
    result = bench.deliver(text_of(GOOD))
    assert result.left_out == {"erased": 1}
    assert sorted(bench.rows().column("row_no").to_pylist()) == [2, 3]


def test_an_erased_row_counts_under_one_reason(bench: Bench) -> None:
    erase(bench, "a")
    tests = [
        f"{token('a')},202610,110,1,2026-10-12,12,是,,1",
        f"{token('c')},202610,110,1,2026-10-12,12,是,,1",
    ]
    result = bench.deliver(text_of([*GOOD, *tests]))
    assert (result.delivered, result.accepted, result.left_out) == (5, 1, {"erased": 3, "test_row": 1})


def test_a_refused_delivery_keeps_nothing_of_an_erased_subject(bench: Bench) -> None:
    erase(bench, "a")
    bad = GOOD[0].replace("8000.50", "a lot")
    with pytest.raises(Refusal, match="REFUSED/TYPE"):
        bench.deliver(text_of([bad, *GOOD[1:]]))
    assert named(bench, "a") == [] and named(bench, "b")


def test_an_accepted_delivery_comes_again_as_a_no_op(bench: Bench) -> None:
    erase(bench, "a")
    folder = bench.lay(text_of(GOOD))
    number = bench.receive(folder)
    first = bench.take_in(number)
    assert bench.receive(folder) == number and bench.take_in(number).accepted == first.accepted
    assert named(bench, "a") == []
    # Without its data file the delivery is still known by its manifest.
    (folder / "data.csv").unlink()
    assert bench.receive(folder) == number


def test_a_redacted_archive_that_was_changed_is_not_read(bench: Bench) -> None:
    erase(bench, "a")
    number = bench.receive(bench.lay(text_of(GOOD)))
    bench.take_in(number)
    with bench.state.session() as session:
        entry = bench.entry(number)
        path = redacted_path(bench.archive, entry.archive)
        session.get_one(type(entry), number).state = "RECEIVED"
        assert session.get_one(Redaction, entry.archive).rows_removed == 2
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(Exception, match="redacted bytes"):
        bench.take_in(number)


@pytest.mark.parametrize("kind", list(SubjectKind))
def test_an_erased_employer_is_replaced_and_stays_somebody(bench: Bench, kind: SubjectKind) -> None:
    bench.schema = WITH_EMPLOYER
    bench.adapt(**EMPLOYED)
    hash_ = erase(bench, "e", kind)
    rows = [
        f"{line},{token(who).upper() if who == 'e' else token(who)}"
        for line, who in zip(GOOD, "efe", strict=True)
    ]
    result = bench.deliver(text_of(rows, HEADER + ",dw"))
    assert (result.accepted, result.left_out) == (3, {})
    found = dict(
        zip(
            bench.rows().column("row_no").to_pylist(),
            bench.rows().column("employer_subject_id").to_pylist(),
            strict=True,
        )
    )
    assert found == {1: stand_in(hash_), 2: token("f"), 3: stand_in(hash_)}
    assert named(bench, "e") == [] and named(bench, "f")


def test_stand_ins_of_different_subjects_differ_and_are_no_pseudonym(bench: Bench) -> None:
    hashes = [erase(bench, "a"), erase(bench, "b"), erase(bench, "a", SubjectKind.ENTERPRISE)]
    assert len({stand_in(hash_) for hash_ in hashes}) == 3
    erased = Erased.load(bench.state, bench.root / "keys")
    among = erased.among(SubjectKind.RESIDENT, pa.array([token("a"), token("c"), None, stand_in(hashes[0])]))
    assert among.tolist() == [True, False, False, False]


def test_another_installation_cannot_tell_whom_a_tombstone_stands_for(bench: Bench, tmp_path: Path) -> None:
    ours = tombstone(bench.root / "keys", SubjectKind.RESIDENT, token("a"))
    assert ours != tombstone(tmp_path / "other", SubjectKind.RESIDENT, token("a"))
    assert ours == tombstone(bench.root / "keys", SubjectKind.RESIDENT, token("a"))


def test_long_reads_notice_an_erasure(bench: Bench) -> None:
    before = last_erasure(bench.state)
    require_no_erasure_since(bench.state, before, "a model")
    require_finished(bench.state)
    erase(bench, "a")
    with pytest.raises(Exception, match="erased while a model was being made"):
        require_no_erasure_since(bench.state, before, "a model")
