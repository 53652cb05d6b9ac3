"""Files through the gateway: tokens for ids, everything else as it came, all or nothing."""

from __future__ import annotations

import csv
import gzip
import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import GsceneError, Refusal
from core.months import Month
from core.purpose import Purpose
from sources.file_format import FileFormat
from sources.gateway.hand_over import data_name, folder_for, hand_over, staging_of
from sources.gateway.keyring import MasterKey
from sources.gateway.plan import Plan, load_plan
from sources.gateway.proposal import plan_text, propose
from sources.gateway.pseudonymise import pseudonymise
from tests.sources.gateway.plans import KEY, NEXT, csv_text, firms, plan
from tests.sources.identity import planted

TOKEN = r"k1:[0-9a-f]{40}"


def run(
    tmp_path: Path, text: str | bytes, plan_: Plan, key: MasterKey = KEY, **options: int
) -> list[dict[str, str]]:
    source, target = tmp_path / "in.csv", tmp_path / "out" / "out.csv"
    source.write_bytes(text if isinstance(text, bytes) else text.encode(plan_.file.encoding))
    pseudonymise(source, target, plan_, key, **options)  # type: ignore[arg-type]
    raw = target.read_bytes()
    raw = gzip.decompress(raw) if plan_.file.compression == "gzip" else raw
    text = raw.decode(plan_.file.encoding).removeprefix("\ufeff")
    return list(csv.DictReader(text.splitlines(), delimiter=plan_.file.delimiter))


def test_ids_become_tokens_and_the_rest_stays(tmp_path: Path) -> None:
    rows = firms(50)
    out = run(tmp_path, csv_text(rows), plan())
    assert list(out[0]) == ["nsrdm", "nsrdm_valid", "nsrdm_kind", "jyzsfz", "sbyf", "ysxse"]
    key = KEY.subkey(Purpose.RISK, "city_tax")
    for before, after in zip(rows, out, strict=True):
        assert after["nsrdm"] == key.token(f"risk|city_tax|enterprise|{before['nsrsbh'][8:17]}")
        assert after["jyzsfz"] == key.token(f"risk|city_tax|resident|{before['jyzsfz']}")
        assert (after["sbyf"], after["ysxse"]) == (before["sbyf"], before["ysxse"])
        assert (after["nsrdm_valid"], after["nsrdm_kind"]) == ("1", "uscc")
    written = (tmp_path / "out" / "out.csv").read_text()
    assert not any(row[column] in written for row in rows for column in ("nsrsbh", "jyzsfz", "nsrmc"))


def test_the_report_tells_counts_and_no_id(tmp_path: Path) -> None:
    rows = firms(30)
    rows[3]["nsrsbh"] = rows[3]["nsrsbh"][8:17]
    rows[4]["jyzsfz"] = ""
    run(tmp_path, csv_text(rows), plan())
    text = (tmp_path / "out" / "out.csv.report.json").read_text()
    report = json.loads(text)
    assert report["ids"] == {
        "nsrsbh": {"org_code": 1, "uscc": 29},
        "jyzsfz": {"missing": 1, "resident_18": 29},
    }
    assert (report["rows_read"], report["rows_written"], report["key_id"], report["purpose"]) == (
        30,
        30,
        "k1",
        "risk",
    )
    assert not any(value in text for row in rows for value in (row["nsrsbh"], row["jyzsfz"]) if value)
    assert KEY.secret.hex() not in text


def test_disguised_ids_of_one_file_give_one_token(tmp_path: Path) -> None:
    rows = firms(1) * 5
    code, person = rows[0]["nsrsbh"], rows[0]["jyzsfz"]
    ways = [code, code.lower(), planted.full_width(code), f" {code} ", f"{code[8:16]}-{code[16]}"]
    people = [person, f"{person} ", planted.full_width(person), person.lower(), f"{person[:6]}-{person[6:]}"]
    rows = [row | {"nsrsbh": way, "jyzsfz": who} for row, way, who in zip(rows, ways, people, strict=True)]
    out = run(tmp_path, csv_text(rows), plan())
    assert len({row["nsrdm"] for row in out}) == len({row["jyzsfz"] for row in out}) == 1


def test_two_purposes_join_on_nothing_and_sources_only_within_a_domain(tmp_path: Path) -> None:
    rows = firms(200)
    tokens = {
        name: {row["nsrdm"] for row in run(tmp_path, csv_text(rows), plan(**changes))}
        for name, changes in {
            "risk": {},
            "marketing": {"purpose": "marketing"},
            "other source": {"source": "province_tax"},
            "agreed": {"domain": "hunan"},
            "agreed, other source": {"domain": "hunan", "source": "province_tax"},
        }.items()
    }
    assert all(len(made) == 200 for made in tokens.values())
    assert not tokens["risk"] & tokens["marketing"]
    assert not tokens["risk"] & tokens["other source"]
    assert tokens["agreed"] == tokens["agreed, other source"]


@pytest.mark.parametrize(
    "file",
    [
        {"encoding": "gb18030", "delimiter": "|"},
        {"encoding": "utf-8", "bom": True, "delimiter": "\t"},
        {"encoding": "utf-8", "compression": "gzip", "delimiter": "^"},
    ],
)
def test_a_file_is_written_as_it_was(tmp_path: Path, file: dict[str, object]) -> None:
    plan_ = plan(file={"format": "csv", **file})
    rows = firms(20)
    raw = csv_text(rows, plan_.file.delimiter).encode(plan_.file.encoding)
    raw = b"\xef\xbb\xbf" + raw if plan_.file.bom is True else raw
    raw = gzip.compress(raw) if plan_.file.compression == "gzip" else raw
    out = run(tmp_path, raw, plan_)
    assert [row["ysxse"] for row in out] == [row["ysxse"] for row in rows]
    written = (tmp_path / "out" / "out.csv").read_bytes()
    assert written.startswith(b"\xef\xbb\xbf") == (plan_.file.bom is True)


def test_cells_with_quotes_and_delimiters_come_through(tmp_path: Path) -> None:
    rows = [
        row | {"sbyf": text}
        for row, text in zip(firms(4), ['"a,b"', '"say ""so"""', "plain", '" "'], strict=True)
    ]
    out = run(tmp_path, csv_text(rows), plan())
    assert [row["sbyf"] for row in out] == ["a,b", 'say "so"', "plain", " "]


def test_blocks_and_workers_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = csv_text(firms(3000))
    whole = run(tmp_path, text, plan())
    monkeypatch.setattr("sources.unpacking.PIECE", 20_000)
    assert run(tmp_path, text, plan()) == whole
    monkeypatch.setattr("sources.unpacking.PIECE", 1 << 22)
    monkeypatch.setattr("sources.gateway.token_maker._WORTH", 100)
    assert run(tmp_path, text, plan(), workers=2) == whole


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    rows = firms(40)
    table = pa.table(
        {
            "nsrsbh": [row["nsrsbh"] for row in rows],
            "jyzsfz": pa.array(
                [int(row["jyzsfz"]) if row["jyzsfz"].isdigit() else None for row in rows], pa.int64()
            ),
            "sbyf": pa.array([202610] * 40, pa.int32()),
            "ysxse": pa.array([Decimal(row["ysxse"]) for row in rows], pa.decimal128(18, 2)),
            "nsrmc": [row["nsrmc"] for row in rows],
        }
    )
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=7)
    pseudonymise(tmp_path / "in.parquet", tmp_path / "out.parquet", plan(file={"format": "parquet"}), KEY)
    out = pq.read_table(tmp_path / "out.parquet", page_checksum_verification=True)
    assert (
        out.schema.field("ysxse").type == pa.decimal128(18, 2)
        and out.schema.field("nsrdm_valid").type == pa.bool_()
    )
    assert out.column("ysxse").to_pylist() == table.column("ysxse").to_pylist()
    key = KEY.subkey(Purpose.RISK, "city_tax")
    expected = [
        None if n is None else key.token(f"risk|city_tax|resident|{n}")
        for n in table.column("jyzsfz").to_pylist()
    ]
    assert out.column("jyzsfz").to_pylist() == expected


def test_an_empty_parquet_gives_an_empty_one(tmp_path: Path) -> None:
    names = ["nsrsbh", "jyzsfz", "sbyf", "ysxse", "nsrmc"]
    pq.write_table(pa.table({name: pa.array([], pa.string()) for name in names}), tmp_path / "in.parquet")
    outcome = pseudonymise(
        tmp_path / "in.parquet", tmp_path / "out.parquet", plan(file={"format": "parquet"}), KEY
    )
    assert outcome.rows_written == pq.read_table(tmp_path / "out.parquet").num_rows == 0


def test_json_lines_keep_what_isn_t_touched_to_the_digit(tmp_path: Path) -> None:
    rows = firms(3)
    lines = [
        json.dumps(row, ensure_ascii=False)[:-1].replace(f'"{row["ysxse"]}"', digits) + "}"
        for row, digits in zip(rows, ["1.10", "12345678901234567890.123456789", "1e3"], strict=True)
    ]
    lines[1] = lines[1].replace('"202610"', '"二〇二六\\n\\"十月\\""').replace(rows[1]["jyzsfz"], "")
    (tmp_path / "in.jsonl").write_text("\n".join(lines), encoding="utf-8")
    pseudonymise(tmp_path / "in.jsonl", tmp_path / "out.jsonl", plan(file={"format": "jsonl"}), KEY)
    out = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert '"ysxse":1.10' in out[0] and "12345678901234567890.123456789" in out[1] and '"ysxse":1e3' in out[2]
    second = json.loads(out[1])
    assert second["sbyf"] == '二〇二六\n"十月"' and second["jyzsfz"] == "" and second["nsrdm_valid"] is True


def test_invalid_and_missing_ids_go_as_the_plan_says(tmp_path: Path) -> None:
    rows = firms(6)
    rows[1]["nsrsbh"] = rows[1]["nsrsbh"][:-1] + ("0" if rows[1]["nsrsbh"][-1] != "0" else "1")
    rows[2]["nsrsbh"], rows[4]["nsrsbh"] = "暂无", ""

    def with_rule(**rule: object) -> Plan:
        return plan(
            ids={"nsrsbh": {"kind": "enterprise", "flags": True, **rule}, "jyzsfz": {"kind": "owner"}},
            nulls=["暂无"],
        )

    flagged = run(tmp_path, csv_text(rows), with_rule())
    assert [row["nsrsbh_valid"] for row in flagged] == ["1", "0", "", "1", "", "1"]
    assert flagged[1]["nsrsbh"].startswith("k1:") and flagged[2]["nsrsbh"] == flagged[4]["nsrsbh"] == ""
    assert not (tmp_path / "out" / "out.csv.rejected.csv").exists()
    left = run(tmp_path, csv_text(rows), with_rule(on_invalid="reject", missing="reject"))
    assert [row["ysxse"] for row in left] == [rows[place]["ysxse"] for place in (0, 3, 5)]
    rejected = (tmp_path / "out" / "out.csv.rejected.csv").read_text().splitlines()
    assert sorted(rejected[1:]) == ["3,nsrsbh,invalid id", "4,nsrsbh,missing id", "6,nsrsbh,missing id"]
    with pytest.raises(Refusal, match="REFUSED/ID") as caught:
        run(tmp_path, csv_text(rows), with_rule(on_invalid="refuse"))
    assert (caught.value.line, caught.value.column) == (3, "nsrsbh")
    assert rows[1]["nsrsbh"] not in str(caught.value)


@pytest.mark.parametrize(
    "cell",
    [
        "联系13800138000",
        "当事人张三丰因逾期",
        "见11010519491231002X",
        "湖南省长沙市岳麓区麓山南路932号3栋2单元501室",
    ],
)
def test_what_still_identifies_somebody_is_not_written(tmp_path: Path, cell: str) -> None:
    rows = firms(30)
    rows[17]["sbyf"] = cell
    with pytest.raises(Refusal, match="IDENTITY") as caught:
        run(tmp_path, csv_text(rows), plan())
    assert (caught.value.column, caught.value.line) == ("sbyf", 19)
    assert "drop" in caught.value.remedy and cell not in str(caught.value)
    assert not (tmp_path / "out" / "out.csv").exists()
    assert list((tmp_path / "out").iterdir()) == []


def test_an_earlier_file_survives_a_refused_run(tmp_path: Path) -> None:
    rows = firms(5)
    run(tmp_path, csv_text(rows), plan())
    before = (tmp_path / "out" / "out.csv").read_bytes()
    with pytest.raises(Refusal, match="SCHEMA"):
        run(tmp_path, csv_text([row | {"xin": "1"} for row in rows]), plan())
    assert (tmp_path / "out" / "out.csv").read_bytes() == before
    with pytest.raises(GsceneError, match="over itself"):
        pseudonymise(tmp_path / "in.csv", tmp_path / "in.csv", plan(), KEY)


def test_a_delivery_is_what_the_bank_reads(tmp_path: Path) -> None:
    plan_ = plan(
        file={"format": "csv", "encoding": "gb18030", "delimiter": "|"},
        delivery={
            "adapter": "city_tax_vat",
            "subject": "enterprise",
            "table": "tax_vat_return",
            "control_sums": ["ysxse"],
        },
    )
    rows = firms(25)
    source = tmp_path / "in.csv"
    source.write_bytes(csv_text(rows, "|").encode("gb18030"))
    folder = folder_for(tmp_path / "inbox", plan_, Month.parse("2026-10"), 1)
    outcome = pseudonymise(source, staging_of(folder) / data_name(plan_), plan_, KEY)
    delivery = hand_over(folder, plan_, outcome, Month.parse("2026-10"), 1, sequence=1)
    assert delivery.manifest.rows == 25 and delivery.manifest.feed == "city_tax/enterprise.tax_vat_return"
    assert Decimal(delivery.manifest.control_sums["ysxse"]) == sum(Decimal(row["ysxse"]) for row in rows)
    assert sorted(path.name for path in folder.iterdir()) == ["data.csv", "manifest.json"]
    assert folder.with_name("2026-10-r1.data.csv.report.json").exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"keep": ["sbyf", "ysxse", "nsrmc"]}, "each column stands once"),
        ({"ids": {"hh": {"kind": "code"}}}, "codes need `space`"),
        ({"file": {"format": "xlsx"}}, "csv, parquet and jsonl"),
        ({"ids": {"nsrsbh": {"kind": "enterprise", "to": "sbyf"}}}, "a column twice"),
        ({"purpose": "anything"}, "purpose"),
        ({"keys": "abc"}, "Extra inputs"),
    ],
)
def test_a_wrong_plan_is_told_with_its_line(tmp_path: Path, changes: dict[str, object], told: str) -> None:
    import yaml

    path = tmp_path / "plan.yaml"
    path.write_text(
        yaml.safe_dump(plan().model_dump(mode="json", exclude_none=True) | changes, allow_unicode=True)
    )
    with pytest.raises(Refusal, match=told) as caught:
        load_plan(path)
    assert caught.value.line is not None


def test_a_proposed_plan_works_as_it_is(tmp_path: Path) -> None:
    rows = firms(80)
    source = tmp_path / "in.csv"
    source.write_text(csv_text(rows), encoding="utf-8")
    proposed = propose(source, FileFormat(), "city_tax", Purpose.RISK)
    assert {column: rule.kind for column, rule in proposed.ids.items()} == {
        "nsrsbh": "enterprise",
        "jyzsfz": "resident",
    }
    assert (proposed.keep, proposed.drop) == (("sbyf", "ysxse"), ("nsrmc",))
    (tmp_path / "plan.yaml").write_text(plan_text(proposed), encoding="utf-8")
    assert load_plan(tmp_path / "plan.yaml") == proposed
    pseudonymise(source, tmp_path / "out.csv", load_plan(tmp_path / "plan.yaml"), NEXT)


_DICE = np.random.default_rng(9)
_FIRM = [planted.uscc(_DICE) for _ in range(4)]
_OWNER = [planted.resident(_DICE) for _ in range(4)]
FIRM_CELLS = st.sampled_from([*_FIRM, _FIRM[0].lower(), _FIRM[0][8:17], _FIRM[1][:-1] + "?", "12", "无", ""])
OWNER_CELLS = st.sampled_from([*_OWNER, planted.full_width(_OWNER[0]), _OWNER[1][:17] + "?", "无", "", " "])
CHOICES = st.tuples(st.sampled_from(["flag", "reject"]), st.sampled_from(["keep", "reject"]))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(FIRM_CELLS, OWNER_CELLS), max_size=40), CHOICES, CHOICES, st.integers(60, 900))
def test_every_row_is_written_or_told_whatever_comes_and_however_it_is_cut(
    tmp_path_factory: pytest.TempPathFactory,
    cells: list[tuple[str, str]],
    firm: tuple[str, str],
    owner: tuple[str, str],
    piece: int,
) -> None:
    folder = tmp_path_factory.mktemp("gateway")
    plan_ = plan(
        ids={
            "nsrsbh": {"kind": "enterprise", "on_invalid": firm[0], "missing": firm[1]},
            "jyzsfz": {"kind": "owner", "on_invalid": owner[0], "missing": owner[1]},
        },
        nulls=["无"],
    )
    source = folder / "in.csv"
    lines = [f"{firm_},{owner_},202610,{number}.50,名" for number, (firm_, owner_) in enumerate(cells)]
    source.write_text("\n".join(["nsrsbh,jyzsfz,sbyf,ysxse,nsrmc", *lines, ""]), encoding="utf-8")
    made = []
    for name, size in (("whole", 1 << 22), ("cut", piece)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sources.unpacking.PIECE", size)
            outcome = pseudonymise(source, folder / name, plan_, KEY)
        assert outcome.rows_read == len(cells) == outcome.rows_written + sum(outcome.rejected.values())
        assert all(sum(kinds.values()) == len(cells) for kinds in outcome.kinds.values())
        rows = list(csv.DictReader((folder / name).read_text(encoding="utf-8").splitlines()))
        rejected = folder / f"{name}.rejected.csv"
        told = list(csv.DictReader(rejected.read_text().splitlines())) if rejected.exists() else []
        # Each line is in one of the two, and only there.
        kept = {int(row["ysxse"].removesuffix(".50")) + 2 for row in rows}
        left = {int(row["line"]) for row in told}
        assert not kept & left and kept | left == set(range(2, len(cells) + 2))
        assert len(rows) == outcome.rows_written and len(told) == sum(outcome.rejected.values())
        made.append((rows, sorted(row["line"] for row in told), outcome.kinds, outcome.rejected))
    assert made[0] == made[1]


def test_a_file_called_by_an_id_isn_t_written(tmp_path: Path) -> None:
    number = planted.resident(np.random.default_rng(2))
    (tmp_path / "in.csv").write_text(csv_text(firms(2)), encoding="utf-8")
    with pytest.raises(Refusal, match="file's name") as caught:
        pseudonymise(tmp_path / "in.csv", tmp_path / f"{number}.csv", plan(), KEY)
    assert number not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]
