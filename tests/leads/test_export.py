"""Files that leave the system: whole, guarded, never overwritten."""

import csv
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import audit, state
from core.clock import FixedClock
from core.errors import GsceneError
from core.months import Month
from core.state import StateDatabase
from leads.export import export_list, guard_formula, verify_export
from leads.lead_list import FIELDS
from leads.publication import publish
from tests.leads.worlds import list_of, policy, subject_id, wanted_person


@pytest.fixture(scope="module")
def leads():
    return list_of(
        [wanted_person(branch_id="B1" if no % 3 else "B2") for no in range(60)],
        policy(),
    )


@pytest.mark.parametrize(
    "sign",
    [
        "=",
        "+",
        "-",
        "@",
        "\t",
        "\r",
        "\n",
        "\0",
        "＝",
        "＋",
        "－",
        "＠",
        "﹦",
        "﹢",
        "﹣",
        "﹫",
    ],
)
@pytest.mark.parametrize("before", ["", " ", "　", "\ufeff"])
def test_formula_guard(sign, before):
    assert guard_formula(before + sign + "1+1").startswith("'")


@given(st.text())
def test_guarded_text_never_starts_a_formula(text):
    guarded = guard_formula(text)
    assert guarded in (text, "'" + text)
    assert guard_formula(guarded) == guarded
    assert guarded.strip(" \u00a0\u200b\u3000\ufeff")[:1] not in (
        "=",
        "+",
        "-",
        "@",
        "\t",
        "\r",
        "＝",
        "＋",
        "－",
        "＠",
    )


@pytest.mark.parametrize("harmless", ["", "连续缴存公积金", "B1", "2026-11-06", "a=b", "'x"])
def test_harmless_text_stays(harmless):
    assert guard_formula(harmless) == harmless


def test_files_and_manifest(leads, tmp_path):
    exported = export_list(leads, tmp_path)
    assert exported.rows == len(leads.rows) > 0
    assert sorted(file.name for file in exported.folder.iterdir()) == [
        "leads.ndjson", "leads.parquet", "leads_en.csv", "leads_zh.csv", "manifest.json",
    ]  # fmt: skip
    manifest = json.loads((exported.folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["rows"] == len(leads.rows) and manifest["list_version"] == leads.list_version
    assert manifest["purpose"] == "marketing" and manifest["policy_sha256"] == leads.policy_sha256
    for entry in manifest["files"]:
        content = (exported.folder / entry["name"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (
            entry["bytes"],
            entry["sha256"],
        )
    assert verify_export(exported.folder) == exported


def test_the_formats_say_the_same(leads, tmp_path):
    folder = export_list(leads, tmp_path).folder
    for language in ("zh", "en"):
        content = (folder / f"leads_{language}.csv").read_bytes()
        assert content.startswith(b"\xef\xbb\xbf") and content.count(b"\r\n") == len(leads.rows) + 1
        rows = list(csv.reader(content.decode("utf-8-sig").splitlines()))
        assert rows[0] == [getattr(title, language) for title in FIELDS.values()]
    lines = [json.loads(line) for line in (folder / "leads.ndjson").read_text(encoding="utf-8").splitlines()]
    assert [list(line.values()) for line in lines] == [
        [int(cell) if name == "priority_rank" else cell for name, cell in zip(FIELDS, row, strict=True)]
        for row in rows[1:]
    ]
    table = pq.read_table(folder / "leads.parquet")
    assert table.column_names == list(FIELDS)
    assert table.column("lead_id").to_pylist() == leads.rows["lead_id"].tolist()
    assert table.column("generated_at").to_pylist()[0] == leads.generated_at


def test_nothing_that_leaves_names_a_subject(leads, tmp_path):
    folder = export_list(leads, tmp_path).folder
    everything = b"".join(file.read_bytes() for file in folder.iterdir() if file.suffix != ".parquet")
    everything += pq.read_table(folder / "leads.parquet").to_pandas().to_csv().encode()
    for no in range(60):
        assert subject_id(no).encode() not in everything and f"{no:040x}".encode() not in everything


def test_cells_are_guarded_in_csv(leads, tmp_path):
    rows = leads.rows.assign(why_now_zh="=HYPERLINK(1)", branch_id="＋1", consent_id="-2")
    folder = export_list(replace(leads, rows=rows), tmp_path).folder
    table = pd.read_csv(folder / "leads_en.csv", dtype=str)
    assert set(table["Why now (Chinese)"]) == {"'=HYPERLINK(1)"}
    assert set(table["Branch"]) == {"'＋1"} and set(table["Consent"]) == {"'-2"}


def test_same_list_same_bytes(leads, tmp_path):
    assert export_list(leads, tmp_path / "a").sha256 == export_list(leads, tmp_path / "b").sha256


def test_no_overwriting_no_empty_list_no_strange_name(leads, tmp_path):
    first = export_list(leads, tmp_path)
    with pytest.raises(GsceneError, match="exists already"):
        export_list(replace(leads, rows=leads.rows.iloc[:1]), tmp_path)
    assert verify_export(first.folder) == first
    with pytest.raises(GsceneError, match="is empty"):
        export_list(replace(leads, list_version="other", rows=leads.rows.iloc[:0]), tmp_path)
    for name in ("../up", "", ".hidden", "a/b", "a b"):
        with pytest.raises(GsceneError, match="name of a folder"):
            export_list(replace(leads, list_version=name), tmp_path)
    with pytest.raises(GsceneError, match="other columns"):
        export_list(
            replace(leads, list_version="other", rows=leads.rows.assign(pd=0.1)),
            tmp_path,
        )
    assert [path.name for path in tmp_path.iterdir()] == [leads.list_version]


def test_a_failing_export_leaves_nothing(leads, tmp_path, monkeypatch):
    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr("leads.export._write_parquet", full)
    with pytest.raises(OSError, match="no space"):
        export_list(leads, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_of_two_exports_at_once_the_first_stays(leads, tmp_path, monkeypatch):
    from leads.export import _manifest

    def overtaken(leads, folder):
        other = tmp_path / leads.list_version
        other.mkdir()
        (other / "manifest.json").write_text("the other's")
        return _manifest(leads, folder)

    monkeypatch.setattr("leads.export._manifest", overtaken)
    with pytest.raises(GsceneError, match="exists already"):
        export_list(leads, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [leads.list_version]
    assert (tmp_path / leads.list_version / "manifest.json").read_text() == "the other's"


def test_a_changed_file_shows(leads, tmp_path):
    folder = export_list(leads, tmp_path).folder
    with (folder / "leads.ndjson").open("ab") as file:
        file.write(b"\n")
    with pytest.raises(GsceneError, match=r"leads\.ndjson"):
        verify_export(folder)


def test_publishing_records_and_audits(leads, tmp_path):
    database = StateDatabase(f"sqlite:///{tmp_path / 'state.db'}")
    database.migrate()
    clock = FixedClock(datetime(2026, 11, 6, tzinfo=UTC))
    with database.session() as session:
        exported = publish(session, clock, "pipeline", leads, Month(2026, 10), tmp_path / "out")
    with database.session() as session:
        kept = session.get_one(state.LeadList, leads.list_version)
        assert (kept.rows, kept.sha256, kept.as_of) == (
            exported.rows,
            exported.sha256,
            "2026-10",
        )
        steps = kept.waterfall["steps"]
        assert (steps[0]["reason"], steps[0]["remaining"], steps[-1]["remaining"]) == (
            "candidates",
            60,
            exported.rows,
        )
        assert audit.verify(session) == 1
        with pytest.raises(GsceneError, match="published already"):
            publish(
                session,
                clock,
                "pipeline",
                leads,
                Month(2026, 10),
                tmp_path / "elsewhere",
            )
    assert not (tmp_path / "elsewhere").exists()
