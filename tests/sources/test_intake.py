"""A delivery comes in whole or not at all; what was there stays, and the month can be delivered again."""

from __future__ import annotations

import json
import os
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow.compute as pc
import pytest
from sqlalchemy import select

from core.audit import verify
from core.errors import GsceneError, Refusal
from core.state import AuditEvent, Delivery
from sources.arrivals import Arrival, observed, read_schedule, write_schedule
from sources.file_format import Limits
from tests.sources.bench import FIRST_ARRIVAL, GOOD, HEADER, Bench, text_of, token

IDENTITY = "11010519491231002X"
FULL_WIDTH = "１１０１０５１９４９１２３１００２ｘ"
ROW = f"{token('c')},202610,110,8000.50,2026-10-12,12,是,备注,0"


def with_cell(place: int, cell: str) -> str:
    """A file whose third line has another cell at `place`."""
    cells = ROW.split(",")
    cells[place] = cell
    return text_of([GOOD[0], ",".join(cells)])


BAD = {
    "missing column": (text_of([r.rpartition(",")[0] for r in GOOD], HEADER[:-4]), "SCHEMA", 1),
    "unknown column": (text_of([r + ",1" for r in GOOD], HEADER + ",xin"), "SCHEMA", 1),
    "repeated column": (text_of([r + ",1" for r in GOOD], HEADER + ",bz"), "SCHEMA", 1),
    "no header": (text_of(GOOD[1:], GOOD[0]), "SCHEMA", 1),
    "wrong encoding": (text_of(GOOD).encode("gb18030"), "ENCODING", 2),
    "byte-order mark": (b"\xef\xbb\xbf" + text_of(GOOD).encode(), "ENCODING", 1),
    "ragged row": (text_of([GOOD[0], GOOD[1] + ",1"]), "STRUCTURE", 3),
    "short row": (text_of([GOOD[0], GOOD[1][:-2]]), "STRUCTURE", 3),
    "blank line": (text_of([GOOD[0], "", GOOD[1]]), "STRUCTURE", 3),
    "unclosed quote": (with_cell(7, '"open'), "STRUCTURE", 3),
    "quote inside a cell": (with_cell(7, 'a"b"'), "STRUCTURE", 3),
    "text after a quote": (with_cell(7, '"a"b'), "STRUCTURE", 3),
    "NUL": (with_cell(7, "a\x00b"), "STRUCTURE", 3),
    "escape character": (with_cell(7, "a\x1bb"), "STRUCTURE", 3),
    "lone carriage return": (with_cell(7, "a\rb"), "STRUCTURE", 3),
    "long cell": (with_cell(7, "a" * 10_001), "STRUCTURE", 3),
    "undeclared code": (with_cell(2, "123"), "CODE", 3),
    "undeclared truth": (with_cell(6, "也许"), "CODE", 3),
    "no number": (with_cell(3, "8,000"[:1] + "x"), "TYPE", 3),
    "a third of a fen": (with_cell(3, "0.333"), "TYPE", 3),
    "float notation": (with_cell(3, "1e3"), "TYPE", 3),
    "amount beyond 18 digits": (with_cell(3, "12345678901234567.00"), "TYPE", 3),
    "no such day": (with_cell(4, "2026-02-30"), "TYPE", 3),
    "day of another form": (with_cell(4, "12/10/2026"), "TYPE", 3),
    "half a month": (with_cell(5, "12.5"), "TYPE", 3),
    "number beyond int32": (with_cell(5, "2147483648"), "TYPE", 3),
    "no pseudonym": (with_cell(0, "zhangsan"), "TYPE", 3),
    "no subject": (with_cell(0, ""), "TYPE", 3),
    "below the range": (with_cell(5, "-1"), "RANGE", 3),
    "above the range": (with_cell(5, "241"), "RANGE", 3),
    "a key twice": (text_of([GOOD[0], ROW, ROW.replace("8000.50", "8000.60")]), "KEY", 4),
    "another month": (with_cell(1, "202609"), "PERIOD", 3),
    "identity in a note": (with_cell(7, f"见{IDENTITY}号"), "IDENTITY", 3),
    "identity in the key": (with_cell(0, IDENTITY), "IDENTITY", 3),
    "identity in an amount": (with_cell(3, IDENTITY), "IDENTITY", 3),
    "identity full width": (with_cell(7, FULL_WIDTH), "IDENTITY", 3),
    "identity with hyphens": (with_cell(7, "110105-19491231-002x"), "IDENTITY", 3),
    "identity with blanks": (with_cell(8, "110105 19491231 002X"), "IDENTITY", 3),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_refused_whole_and_the_month_can_come_again(bench: Bench, kind: str) -> None:
    text, code, line = BAD[kind]
    bench.deliver(text_of(GOOD), period="2026-10", revision=1)
    before = bench.store.content_hash("raw/resident/si_person_month", "2026-10")

    with pytest.raises(Refusal) as caught:
        bench.deliver(text, revision=2)

    refusal = caught.value
    assert refusal.code == f"REFUSED/{code}"
    assert (refusal.file, refusal.line) == ("data.csv", line)
    assert refusal.remedy
    entry = bench.entry(2)
    assert (entry.state, entry.reason) == ("REFUSED", refusal.code)
    assert entry.place == refusal.place and entry.remedy
    assert bench.store.content_hash("raw/resident/si_person_month", "2026-10") == before
    assert bench.rows().num_rows == 3

    again = bench.deliver(text_of([ROW]), revision=2)
    assert (again.accepted, bench.entry(3).state) == (1, "ACCEPTED")


@pytest.mark.parametrize("kind", BAD)
def test_no_trace_of_a_refusal_holds_what_a_cell_said(bench: Bench, kind: str) -> None:
    with pytest.raises(Refusal) as caught:
        bench.deliver(BAD[kind][0])
    with bench.state.session() as session:
        events = [
            json.dumps(event.details, ensure_ascii=False) for event in session.scalars(select(AuditEvent))
        ]
        assert verify(session) == len(events)
    told = " ".join([str(caught.value), bench.entry(1).remedy or "", *events])
    secrets = (
        IDENTITY[:10],
        FULL_WIDTH[:10],
        "zhangsan",
        "也许",
        "0.333",
        "2026-02-30",
        "8000.50",
        token("b")[3:],
        token("c"),
    )
    assert [secret for secret in secrets if secret in told] == []


def test_a_schema_refusal_names_every_column_that_differs(bench: Bench) -> None:
    header = HEADER.replace("js", "jishu") + ",bz"
    with pytest.raises(Refusal, match="missing `js`; unknown `jishu`; repeated `bz`"):
        bench.deliver(text_of([row + "," for row in GOOD], header))


def test_a_truncated_file_is_refused(bench: Bench) -> None:
    whole = text_of(GOOD)
    cut = bench.lay(whole)
    (cut / "data.csv").write_text(whole[:-40], encoding="utf-8")
    with pytest.raises(Refusal, match="REFUSED/CHECKSUM"):
        bench.take_in(bench.receive(cut))
    with pytest.raises(Refusal, match="REFUSED/ROWCOUNT") as caught:
        bench.deliver(text_of(GOOD[:2]), rows=3)
    assert caught.value.line == 3
    assert not bench.store.exists("raw/resident/si_person_month")


@pytest.mark.parametrize("bit", [0, 100, 1000])
def test_a_flipped_bit_is_refused(bench: Bench, bit: int) -> None:
    folder = bench.lay(text_of(GOOD))
    body = bytearray((folder / "data.csv").read_bytes())
    body[bit // 8] ^= 1 << bit % 8
    (folder / "data.csv").write_bytes(body)
    with pytest.raises(Refusal, match="REFUSED/CHECKSUM"):
        bench.take_in(bench.receive(folder))


def test_gzip_cut_off_damaged_or_a_bomb_is_refused(bench: Bench) -> None:
    import gzip

    bench.adapt(file={"encoding": "utf-8", "delimiter": ",", "compression": "gzip"})
    packed = gzip.compress(text_of(GOOD).encode())
    for revision, body in enumerate([packed[:-9], packed + b"more", b"no gzip at all"], start=1):
        with pytest.raises(Refusal, match="REFUSED/STRUCTURE"):
            bench.deliver(body, revision=revision, rows=3)
    bomb = gzip.compress(text_of(GOOD * 40_000).encode())
    with pytest.raises(Refusal, match="unfolds to more than"):
        bench.deliver(bomb, revision=9, rows=120_000, limits=Limits(max_ratio=20))


def test_what_comes_in_is_exact(bench: Bench) -> None:
    result = bench.deliver(text_of([*GOOD, GOOD[0], ROW[:-1] + "1"]))
    assert (result.delivered, result.accepted) == (5, 3)
    assert result.left_out == {"exact_duplicate": 1, "test_row": 1}
    rows = bench.rows().drop_columns(["received_at", "period"]).to_pylist()
    subjects = dict(
        zip(
            bench.registry.table()["subject_no"].to_pylist(),
            bench.registry.table()["subject_id"].to_pylist(),
            strict=True,
        )
    )
    first = {"delivery_no": 1, "revision": 1}
    assert [(subjects[row.pop("subject_no")], row) for row in rows] == [
        (
            token("a"),
            {
                "scheme": "pension_emp",
                "base_amt": Decimal("7000.00"),
                "paid_date": date(2026, 10, 13),
                "months": None,
                "received": False,
                **first,
                "row_no": 2,
            },
        ),
        (
            token("a"),
            {
                "scheme": "unemp",
                "base_amt": None,
                "paid_date": None,
                "months": None,
                "received": None,
                **first,
                "row_no": 3,
            },
        ),
        (
            token("b"),
            {
                "scheme": "pension_emp",
                "base_amt": Decimal("8000.50"),
                "paid_date": date(2026, 10, 12),
                "months": 12,
                "received": True,
                **first,
                "row_no": 1,
            },
        ),
    ]
    assert pc.unique(bench.rows()["received_at"]).to_pylist() == [FIRST_ARRIVAL]
    entry = bench.entry(1)
    assert (entry.rows_delivered, entry.rows_accepted) == (5, 3)
    assert {left.reason: left.rows for left in entry.left_out} == result.left_out


def test_the_same_bytes_again_are_a_no_op(bench: Bench) -> None:
    folder = bench.lay(text_of(GOOD))
    first = bench.receive(folder)
    bench.take_in(first)
    version = bench.store.version("raw/resident/si_person_month")
    assert [bench.receive(folder) for _ in range(3)] == [first] * 3
    again = bench.take_in(first)
    assert (again.repeated, again.accepted) == (True, 3)
    assert bench.store.version("raw/resident/si_person_month") == version
    with bench.state.session() as session:
        assert len(session.scalars(select(Delivery)).all()) == 1


def test_other_bytes_under_an_accepted_revision_are_a_conflict(bench: Bench) -> None:
    bench.deliver(text_of(GOOD))
    before = bench.store.content_hash("raw/resident/si_person_month", "2026-10")
    folder = bench.lay(text_of(GOOD[:2]))
    at = FIRST_ARRIVAL + timedelta(days=9)
    for _ in range(2):
        with pytest.raises(Refusal, match="REFUSED/CONFLICT"):
            bench.receive(folder, at)
    assert (bench.entry(2).state, bench.entry(2).reason) == ("REFUSED", "REFUSED/CONFLICT")
    with pytest.raises(Refusal, match="REFUSED/CONFLICT"):
        bench.take_in(2)
    with bench.state.session() as session:
        assert len(session.scalars(select(Delivery)).all()) == 2
    assert bench.entry(1).state == "ACCEPTED"
    assert bench.store.content_hash("raw/resident/si_person_month", "2026-10") == before


def test_a_refusal_is_final_and_reading_the_inbox_again_adds_nothing(bench: Bench) -> None:
    folder = bench.lay(with_cell(2, "123"))
    number = bench.receive(folder, FIRST_ARRIVAL)
    for _ in range(2):
        with pytest.raises(Refusal, match="REFUSED/CODE"):
            bench.take_in(number)
    assert bench.receive(folder, FIRST_ARRIVAL) == number
    # The code is declared since, and the same bytes come again: a new arrival, known from then on.
    codes = {"123": "unemp", "110": "pension_emp"}
    columns = bench.adapter.model_dump(mode="json", by_alias=True, exclude_unset=True)["columns"]
    columns["scheme"]["codes"] = codes
    bench.adapt(columns=columns)
    later = bench.receive(folder, FIRST_ARRIVAL + timedelta(days=3))
    assert later != number
    assert bench.take_in(later).accepted == 2


def test_a_run_that_died_between_table_and_ledger_ends_right(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = bench.receive(bench.lay(text_of(GOOD)))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("sources.intake._accept", die)
        with pytest.raises(KeyboardInterrupt):
            bench.take_in(number)
    assert (bench.entry(number).state, bench.rows().num_rows) == ("RECEIVED", 3)
    assert bench.take_in(number).accepted == 3
    assert (bench.entry(number).state, bench.rows().num_rows) == ("ACCEPTED", 3)


def test_deliveries_of_a_month_may_be_taken_in_in_any_order(bench: Bench) -> None:
    first = bench.receive(bench.lay(text_of(GOOD[:1]), revision=1))
    second = bench.receive(bench.lay(text_of(GOOD[1:]), revision=2, mode="supplement"))
    bench.take_in(second)
    bench.take_in(first)
    assert bench.rows().num_rows == 3


def test_a_delivery_without_any_row_left_is_accepted(bench: Bench) -> None:
    result = bench.deliver(text_of([ROW[:-1] + "1"]))
    assert (result.accepted, result.left_out, bench.entry(1).state) == (0, {"test_row": 1}, "ACCEPTED")


@pytest.mark.parametrize(("stated", "fits"), [("15000.50", True), ("15000.5", True), ("15000.51", False)])
def test_control_sums_are_exact(bench: Bench, stated: str, fits: bool) -> None:
    folder = bench.lay(text_of(GOOD), control_sums={"js": stated})
    number = bench.receive(folder)
    if fits:
        assert bench.take_in(number).accepted == 3
    else:
        with pytest.raises(Refusal, match="REFUSED/CONTROL_SUM"):
            bench.take_in(number)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "gscene-delivery/9"},
        {"period": "2026-13"},
        {"revision": 0},
        {"received_at": "2020-01-01"},
        {"files": []},
        {"files": [{"name": "../../etc/passwd", "bytes": 1, "sha256": "0" * 64, "rows": 1}]},
        {"control_sums": {"js": "lots"}},
    ],
)
def test_a_bad_manifest_is_refused_and_told_in_the_ledger(bench: Bench, change: dict[str, object]) -> None:
    folder = bench.lay(text_of(GOOD))
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    (folder / "manifest.json").write_text(json.dumps(manifest | change), encoding="utf-8")
    for _ in range(2):
        with pytest.raises(Refusal, match="REFUSED/MANIFEST"):
            bench.receive(folder, FIRST_ARRIVAL)
    entry = bench.entry(1)
    assert (entry.state, entry.source, entry.table, entry.period) == (
        "REFUSED",
        "city",
        "si_person_month",
        "2026-10",
    )
    with bench.state.session() as session:
        assert len(session.scalars(select(Delivery)).all()) == 1


def test_broken_json_tells_its_line(bench: Bench) -> None:
    folder = bench.lay(text_of(GOOD))
    (folder / "manifest.json").write_text('{"format": "gscene-delivery/2",\n oops', encoding="utf-8")
    with pytest.raises(Refusal) as caught:
        bench.receive(folder)
    assert caught.value.place == "manifest.json:2"


def test_a_link_is_no_data_file(bench: Bench, tmp_path: Path) -> None:
    folder = bench.lay(text_of(GOOD))
    outside = tmp_path / "outside.csv"
    outside.write_bytes((folder / "data.csv").read_bytes())
    (folder / "data.csv").unlink()
    os.symlink(outside, folder / "data.csv")
    with pytest.raises(Refusal, match="REFUSED/MANIFEST"):
        bench.receive(folder)


def test_a_feed_of_another_adapter_is_refused(bench: Bench) -> None:
    with pytest.raises(Refusal, match="source of the manifest isn't that of the adapter city_si"):
        bench.deliver(text_of(GOOD), source="village")


def test_archived_bytes_that_changed_are_not_taken_in(bench: Bench) -> None:
    number = bench.receive(bench.lay(text_of(GOOD)))
    file = bench.archive / bench.entry(number).archive
    file.write_bytes(file.read_bytes()[:-1] + b"1")
    with pytest.raises(GsceneError, match="no longer holds"):
        bench.take_in(number)
    assert bench.entry(number).state == "RECEIVED"


def test_codes_of_a_source_become_keyed_pseudonyms(bench: Bench) -> None:
    bench.adapt(key={"from": "grbh", "normalise": ["nfkc", "strip", "upper"], "pseudonymise": True})
    bench.deliver(
        text_of(
            [
                row.replace(row.split(",")[0], code)
                for row, code in zip(GOOD, ["s02", " S01", "Ｓ０２"], strict=True)
            ]
        )
    )
    known = bench.registry.table().to_pydict()
    assert known["provider_code"] == ["S01", "S02"]
    assert all(len(pseudonym) == 43 and pseudonym.startswith("k1:") for pseudonym in known["subject_id"])
    key = bench.root / "keys" / "pseudonym.key"
    assert key.stat().st_mode & 0o777 == 0o600
    key.chmod(0o644)
    with pytest.raises(GsceneError, match="can be read by others"):
        bench.deliver(text_of([GOOD[0].replace(token("b"), "S03")]), revision=2)


def test_schedules_and_observed_inboxes(bench: Bench) -> None:
    inbox = bench.root / "inbox"
    folders = [bench.lay(text_of(GOOD), revision=revision) for revision in (2, 1)]
    arrivals = [
        Arrival(folder, FIRST_ARRIVAL - timedelta(days=day), "replayed") for day, folder in enumerate(folders)
    ]
    write_schedule(inbox / "arrivals.json", arrivals)
    assert read_schedule(inbox / "arrivals.json") == sorted(arrivals, key=lambda arrival: arrival.at)
    assert [arrival.folder for arrival in observed(inbox, bench.clock)] == sorted(folders)
    (inbox / "arrivals.json").write_text(
        '{"format": "gscene-arrivals/1", "arrivals": [{"folder": "a", "at": "2026-01-01T00:00:00"}]}'
    )
    with pytest.raises(GsceneError, match="timezone"):
        read_schedule(inbox / "arrivals.json")
