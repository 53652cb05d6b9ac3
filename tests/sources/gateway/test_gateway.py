"""The gateway: one id one token however it is written, another purpose another token, and nothing readable goes out."""

from __future__ import annotations

import csv
import hashlib
import hmac
import json
import os
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.errors import GsceneError, Refusal
from core.purpose import Purpose
from core.subject import SubjectKind
from sources.convert import DeliveredRows
from sources.gateway import pseudonymise as gateway
from sources.gateway.crosswalk import make_crosswalk
from sources.gateway.plan import Plan, load_plan
from sources.gateway.pseudonymise import pseudonymise
from sources.gateway.token_keys import KeyFolder, TokenKey, key_from_descriptor
from sources.identity.resident_id import check_digit
from sources.unkeyed_hash import CanaryIds, refuse_unkeyed

MASTER = bytes(range(32))
RESIDENT, ENTERPRISE = SubjectKind.RESIDENT, SubjectKind.ENTERPRISE


def an_id(number: int) -> str:
    body = f"410502{1940 + number % 60}{1 + number % 12:02d}{1 + number % 28:02d}{number % 1000:03d}"
    return body + check_digit(body)


def plan(**more: object) -> Plan:
    return Plan.model_validate(
        {
            "plan": "si", "source": "anyang_si", "purpose": "risk", "key_id": "k1",
            "ids": {"sfzh": {"kind": "resident", "to": "grbh"}}, "drop": ["xm"],
        }
        | more
    )  # fmt: skip


def write(path: Path, rows: list[list[str]], encoding: str = "utf-8", delimiter: str = ",") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return path


HEADER = ["sfzh", "xm", "je", "bz"]
ROWS = [[an_id(n), f"名{n}", f"{n}.00", "正常"] for n in range(5)]


@pytest.mark.parametrize("algorithm", ["sha256", "sm3"])
def test_a_token_is_what_hkdf_and_hmac_say(algorithm: str) -> None:
    key = TokenKey("k1", MASTER, algorithm)  # type: ignore[arg-type]
    info = f"gscene/{algorithm}/risk/anyang_si/resident".encode()
    subkey = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(MASTER)
    expected = hmac.new(subkey, b"risk|anyang_si|resident|" + an_id(7).encode(), algorithm).hexdigest()[:40]
    assert key.tokeniser(Purpose.RISK, "anyang_si", RESIDENT).token(an_id(7)) == f"k1:{expected}"


def test_purposes_sources_kinds_and_keys_share_no_token() -> None:
    ids = [an_id(n) for n in range(200)]
    makers = [
        TokenKey(key_id, MASTER).tokeniser(purpose, source, kind)
        for key_id in ("k1", "k2")
        for purpose in (Purpose.RISK, Purpose.MARKETING)
        for source in ("a", "b")
        for kind in (RESIDENT, ENTERPRISE)
    ]
    tokens = [{maker.token(each).partition(":")[2] for each in ids} for maker in makers]
    # The key id says which key it was; the same master under two ids gives the same digits.
    half = len(tokens) // 2
    assert tokens[:half] == tokens[half:]
    assert len(set.union(*tokens[:half])) == 200 * half


@pytest.mark.parametrize(
    ("form", "encoding", "delimiter"),
    [
        ("csv", "utf-8", ","),
        ("csv", "utf-8-sig", ";"),
        ("csv", "gb18030", "|"),
        ("jsonl", "utf-8", ","),
        ("parquet", "utf-8", ","),
    ],
)  # fmt: skip
def test_every_format_comes_out_with_tokens_and_without_names(
    tmp_path: Path, form: str, encoding: str, delimiter: str
) -> None:
    source, target = tmp_path / f"raw.{form}", tmp_path / f"out.{form}"
    table = pa.table({name: [row[place] for row in ROWS] for place, name in enumerate(HEADER)})
    if form == "csv":
        write(source, [HEADER, *ROWS], encoding, delimiter)
    elif form == "jsonl":
        source.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in table.to_pylist()))
    else:
        pq.write_table(table, source)
    told = plan(file={"format": form, "encoding": encoding, "delimiter": delimiter})
    report = pseudonymise(source, target, told, TokenKey("k1", MASTER))
    assert (report.read, report.written, report.rejected) == (5, 5, {"sfzh": 0})
    if form == "csv":
        with target.open(encoding=encoding, newline="") as file:
            header, *rows = csv.reader(file, delimiter=delimiter)
    elif form == "jsonl":
        lines = [json.loads(line) for line in target.read_text().splitlines()]
        header, rows = list(lines[0]), [list(line.values()) for line in lines]
    else:
        made = pq.read_table(target)
        header, rows = made.column_names, [list(row.values()) for row in made.to_pylist()]
    assert header == ["grbh", "je", "bz"]
    maker = TokenKey("k1", MASTER).tokeniser(Purpose.RISK, "anyang_si", RESIDENT)
    assert rows == [[maker.token(row[0]), row[2], row[3]] for row in ROWS]


def test_all_written_forms_of_one_id_and_its_old_form_give_one_token(tmp_path: Path) -> None:
    new = "11010519491231002X"
    forms = [
        new,
        new.lower(),
        f" {new}",
        "110105-19491231-002X",
        "１１０１０５１９４９１２３１００２Ｘ",
        "110105491231002",
    ]
    source = write(tmp_path / "raw.csv", [HEADER, *[[form, "x", "1", ""] for form in forms]])
    report = pseudonymise(source, tmp_path / "out.csv", plan(), TokenKey("k1", MASTER))
    with (tmp_path / "out.csv").open() as file:
        assert len({row[0] for row in list(csv.reader(file))[1:]}) == 1
    assert report.kinds == {"sfzh": {"resident_18": 5, "resident_15": 1}}


BAD = [[an_id(1), "a", "1", ""], ["110105194912310021", "b", "2", ""], ["", "c", "3", ""]]


def test_invalid_ids_are_rejected_and_counted(tmp_path: Path) -> None:
    source = write(tmp_path / "raw.csv", [HEADER, *BAD])
    report = pseudonymise(source, tmp_path / "out.csv", plan(), TokenKey("k1", MASTER))
    assert (report.read, report.written, report.rejected) == (3, 1, {"sfzh": 2})


def test_invalid_ids_are_flagged_where_the_plan_says_so(tmp_path: Path) -> None:
    flagging = plan(ids={"sfzh": {"kind": "resident", "to": "grbh", "on_invalid": "flag"}})
    source = write(tmp_path / "raw.csv", [HEADER, *BAD])
    pseudonymise(source, tmp_path / "out.csv", flagging, TokenKey("k1", MASTER))
    with (tmp_path / "out.csv").open() as file:
        assert [row[1] for row in csv.reader(file)] == ["grbh_kind", "resident_18", "unknown", "missing"]


def test_invalid_ids_stop_the_file_by_line_where_the_plan_says_so(tmp_path: Path) -> None:
    stopping = plan(ids={"sfzh": {"kind": "resident", "to": "grbh", "on_invalid": "stop"}})
    with pytest.raises(Refusal) as told:
        pseudonymise(
            write(tmp_path / "raw.csv", [HEADER, *BAD]),
            tmp_path / "out.csv",
            stopping,
            TokenKey("k1", MASTER),
        )
    assert (told.value.line, told.value.column) == (3, "sfzh") and BAD[1][0] not in str(told.value)
    assert os.listdir(tmp_path) == ["raw.csv"]


def test_an_identifier_in_another_column_stops_the_file_and_leaves_nothing(tmp_path: Path) -> None:
    rows = [*ROWS, [an_id(9), "x", "1", f"补录 {an_id(10)}"]]
    with pytest.raises(Refusal) as told:
        pseudonymise(
            write(tmp_path / "raw.csv", [HEADER, *rows]), tmp_path / "out.csv", plan(), TokenKey("k1", MASTER)
        )
    assert told.value.code == "REFUSED/IDENTITY" and told.value.column == "bz"
    assert os.listdir(tmp_path) == ["raw.csv"]


def test_chunks_give_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "raw.csv", [HEADER, *ROWS])
    pseudonymise(source, tmp_path / "whole.csv", plan(), TokenKey("k1", MASTER))
    monkeypatch.setattr(gateway, "CHUNK_ROWS", 2)
    report = pseudonymise(source, tmp_path / "chunks.csv", plan(), TokenKey("k1", MASTER))
    assert report.written == 5
    assert (tmp_path / "whole.csv").read_bytes() == (tmp_path / "chunks.csv").read_bytes()


def test_a_target_is_never_overwritten_and_another_key_never_used(tmp_path: Path) -> None:
    source = write(tmp_path / "raw.csv", [HEADER, *ROWS])
    (tmp_path / "out.csv").write_text("here")
    with pytest.raises(GsceneError, match="there already"):
        pseudonymise(source, tmp_path / "out.csv", plan(), TokenKey("k1", MASTER))
    with pytest.raises(GsceneError, match="wants the key k1"):
        pseudonymise(source, tmp_path / "other.csv", plan(), TokenKey("k2", MASTER))


def test_keys_are_numbered_retired_and_kept_from_others(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "keys")
    assert [folder.new(), folder.new()] == ["k1", "k2"] == folder.ids()
    folder.retire("k1")
    with pytest.raises(GsceneError, match="retired"):
        folder.load("k1")
    assert folder.load("k1", retired=True).key_id == "k1"
    (tmp_path / "keys" / "k2.key").chmod(0o644)
    with pytest.raises(GsceneError, match="read by others"):
        folder.load("k2")
    with pytest.raises(GsceneError, match="no key k3"):
        folder.load("k3")
    assert MASTER.hex() not in repr(TokenKey("k1", MASTER)) and str(MASTER) not in repr(
        TokenKey("k1", MASTER)
    )


@pytest.mark.parametrize("handed", [MASTER, MASTER.hex().encode() + b"\n"])
def test_a_key_can_be_handed_over_on_a_descriptor(handed: bytes) -> None:
    reading, writing = os.pipe()
    os.write(writing, handed)
    os.close(writing)
    assert key_from_descriptor("k1", reading).master == MASTER
    os.close(reading)


def test_a_crosswalk_links_each_different_id_once_and_only_for_its_owner(tmp_path: Path) -> None:
    old = TokenKey("k1", MASTER).tokeniser(Purpose.RISK, "a", RESIDENT)
    new = TokenKey("k2", MASTER[::-1]).tokeniser(Purpose.RISK, "a", RESIDENT)
    ids = [an_id(n) for n in range(50)]
    made = make_crosswalk(
        [*ids, ids[0], "none"], RESIDENT, old, new, date(2026, 1, 1), tmp_path / "x" / "walk.parquet"
    )
    rows = pq.read_table(made.file).to_pylist()
    assert (made.rows, made.left_out, len(rows)) == (50, 1, 50)
    assert {row["old_subject_id"]: row["new_subject_id"] for row in rows} == {
        old.token(i): new.token(i) for i in ids
    }
    assert made.file.stat().st_mode & 0o077 == 0
    manifest = json.loads((tmp_path / "x" / "walk.parquet.manifest.json").read_text())
    assert manifest["sha256"] == hashlib.sha256(made.file.read_bytes()).hexdigest()


def test_a_mistake_in_a_plan_is_told_by_its_line(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(
        "plan: p\nsource: s\npurpose: risk\nkey_id: k1\nids:\n  a: {kind: resident, to: b}\ndrop: [a]\n"
    )
    with pytest.raises(Refusal, match="both an id and dropped"):
        load_plan(file)
    file.write_text("plan: p\nsource: s\npurpose: gossip\nkey_id: k1\nids:\n  a: {kind: resident, to: b}\n")
    with pytest.raises(Refusal) as told:
        load_plan(file)
    assert told.value.line == 3


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "sm3"])
@pytest.mark.parametrize("form", [str, str.lower])
@pytest.mark.parametrize("written", ["{}", "k1:{:.40}"])
def test_plain_hashes_of_known_ids_are_refused_and_keyed_tokens_are_not(
    algorithm: str, form, written: str
) -> None:  # type: ignore[no-untyped-def]
    maker = TokenKey("k1", MASTER).tokeniser(Purpose.RISK, "a", RESIDENT)
    ids = [an_id(n) for n in range(30)]
    canaries = CanaryIds(ids[:3])
    tokens = [maker.token(each) for each in ids]
    refuse_unkeyed(DeliveredRows(pa.table({"id": tokens}), "f.csv"), "id", canaries)
    plain = hashlib.new(algorithm, form(ids[1]).encode()).hexdigest()
    with pytest.raises(Refusal) as told:
        refuse_unkeyed(
            DeliveredRows(pa.table({"id": [*tokens, written.format(plain)]}), "f.csv"), "id", canaries
        )
    assert (told.value.code, told.value.line) == ("REFUSED/UNKEYED", 32)


@pytest.mark.parametrize("token", ["a" * 32, "b" * 40, "c" * 64, "sha-plain:" + "d" * 40, "md5:" + "e" * 32])
def test_tokens_without_a_key_are_refused_by_their_form(token: str) -> None:
    with pytest.raises(Refusal, match="UNKEYED"):
        refuse_unkeyed(DeliveredRows(pa.table({"id": [token]}), "f.csv"), "id")
