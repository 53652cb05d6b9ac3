"""The report of a table: its grade, its verdict, and no cell in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.clock import FixedClock
from core.errors import GsceneError
from core.table_store import TableStore
from sources.deidentification.page import write_page
from sources.deidentification.release import Release
from sources.deidentification.report import Asked, Report, report_of_file, report_of_table
from sources.file_format import FileFormat
from tests.sources.identity import planted

CLOCK = FixedClock(datetime(2026, 10, 1, tzinfo=UTC))
PARQUET = FileFormat(format="parquet")


def table(rows: int = 3000, seed: int = 1, **columns: list[str]) -> pa.Table:
    rng = np.random.default_rng(seed)
    made = {
        "subject_id": [f"k1:{rng.bytes(20).hex()}" for _ in range(rows)],
        "region": rng.choice(["430124", "430181"], rows).tolist(),
        "band": rng.choice(["20-29", "30-39", "40-49"], rows).tolist(),
        "grade": rng.choice(list("ABC"), rows).tolist(),
        "remark": [""] * rows,
    }
    return pa.table(made | columns)


def report(tmp_path: Path, data: pa.Table, **asked: object) -> Report:
    pq.write_table(data, tmp_path / "t.parquet")
    wanted = Asked(**({"quasi": ("region", "band"), "sensitive": ("grade",)} | asked))  # type: ignore[arg-type]
    return report_of_file(tmp_path / "t.parquet", PARQUET, wanted, CLOCK)


def test_a_table_of_large_classes_is_grade_3_and_may_go(tmp_path: Path) -> None:
    found = report(tmp_path, table(), release=Release.PUBLIC)
    assert (found.grade, found.may_go, found.measured.classes) == (3, True, 6)
    assert found.rows == found.measured.people == 3000 and found.found == () and found.proposed == ()


def test_one_id_in_a_remark_is_grade_1_and_stays(tmp_path: Path) -> None:
    number = planted.resident(np.random.default_rng(1))
    remark = [""] * 2999 + [f"见{number}"]
    found = report(tmp_path, table(remark=remark), release=Release.INTERNAL)
    assert (found.grade, found.may_go) == (1, False)
    assert [(one.column, one.kind, one.cells) for one in found.found] == [("remark", "resident_id", 1)]
    assert number not in json.dumps(found.told(), ensure_ascii=False)


@pytest.mark.parametrize(
    ("release", "least_k", "in_class", "may_go", "grade"),
    [
        ("internal", None, 5, True, 3),
        ("internal", None, 4, False, 2),
        ("marketing", None, 9, False, 2),
        ("marketing", None, 10, True, 3),
        ("public", 20, 19, False, 2),
        ("internal", 2, 4, False, 2),
    ],
)
def test_thresholds_by_release(
    tmp_path: Path, release: str, least_k: int | None, in_class: int, may_go: bool, grade: int
) -> None:
    data = table()
    few = pa.table({**{n: data.column(n).slice(0, in_class) for n in data.column_names}, "band": ["90-99"] * in_class,
                    "region": ["430124"] * in_class, "grade": (["A", "B", "C"] * 9)[:in_class]})  # fmt: skip
    found = report(tmp_path, pa.concat_tables([data, few]), release=Release(release), least_k=least_k)
    assert (found.measured.k, found.may_go, found.grade) == (in_class, may_go, grade)


def test_a_class_that_gives_its_secret_away_stays_inside(tmp_path: Path) -> None:
    data = table(grade=["A"] * 3000)
    assert report(tmp_path, data, release=Release.INTERNAL).may_go
    outside = report(tmp_path, data, release=Release.MARKETING)
    assert not outside.may_go and "l of grade = 1" in outside.obstacles[0].en


def test_people_are_counted_once_where_the_subject_is_told(tmp_path: Path) -> None:
    data = table(60)
    twice = pa.concat_tables([data] * 10)
    assert report(tmp_path, twice).measured.k == 10 * report(tmp_path, data).measured.k
    by_subject = report(tmp_path, twice, subject="subject_id")
    assert by_subject.measured.people == 60 and by_subject.rows == 600


def test_a_stored_table_is_read_by_month(tmp_path: Path) -> None:
    store = TableStore(tmp_path / "lake")
    for month in ("2026-09", "2026-10"):
        store.replace("raw/resident/t", month, table(500))
    asked = Asked(("region", "band"), ("grade",))
    assert report_of_table(store, "raw/resident/t", ["2026-10"], asked, CLOCK).rows == 500
    assert report_of_table(store, "raw/resident/t", None, asked, CLOCK).rows == 1000
    assert report_of_table(store, "raw/resident/t", None, Asked(("period",)), CLOCK).measured.classes == 2
    with pytest.raises(GsceneError, match="no table raw/resident/u"):
        report_of_table(store, "raw/resident/u", None, asked, CLOCK)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_text_files_are_read_too(tmp_path: Path, form: str) -> None:
    rows = table(300).to_pylist()
    if form == "csv":
        text = "\n".join([",".join(rows[0]), *(",".join(row.values()) for row in rows)])
    else:
        text = "\n".join(json.dumps(row) for row in rows)
    (tmp_path / "t").write_text(text + "\n", encoding="utf-8")
    asked = Asked(("region", "band"), ("grade",))
    found = report_of_file(tmp_path / "t", FileFormat.model_validate({"format": form}), asked, CLOCK)
    assert found.measured == report(tmp_path, table(300)).measured


def test_the_page_stands_alone_in_both_languages_and_shows_no_cell(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    found = report(tmp_path, table(region=rng.choice(["430124", "430181", "430182", "430183"], 3000).tolist(),
                                   band=[str(age) for age in rng.integers(0, 900, 3000)]))  # fmt: skip
    write_page(found, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "不得在行内使用" in page and "Not to be released: inside the bank" in page
    assert "假名化不等于匿名化" in page and "GB/T 42460" in page
    assert "http" not in page and "src=" not in page and "@import" not in page
    assert "430181" not in page and "k1:" not in page
    assert "430181" not in json.dumps(found.told())


def test_a_column_can_t_be_both_or_missing(tmp_path: Path) -> None:
    with pytest.raises(GsceneError, match="can't be both"):
        report(tmp_path, table(10), sensitive=("region",))
    with pytest.raises(GsceneError, match="no column age"):
        report(tmp_path, table(10), quasi=("age",))
