"""What an adapter puts up with is counted by kind; a file written as agreed has nothing to count."""

import pytest

from sources.absorbed import absorbed
from sources.convert import DeliveredRows
from sources.strict_csv import read_strict_csv
from tests.sources.bench import ADAPTER, SCHEMA, Bench, text_of, token

AGREED = f"{token('a')},202610,110,8000.50,2026-10-12,12,是,备注,0"


def counts(bench: Bench, *rows: str) -> dict[str, int]:
    path = bench.root / "data.csv"
    path.write_text(text_of(list(rows)), encoding="utf-8")
    adapter = bench.adapter
    read = read_strict_csv(path, adapter.file, adapter.source_columns)
    return absorbed(DeliveredRows(read, path.name), adapter, SCHEMA)


def test_what_is_written_as_agreed_counts_nothing(bench):
    empty = f"{token('b')},202610,110,,,,否,,0"
    assert counts(bench, AGREED, empty) == {}


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (AGREED.replace("k1:", " K1:"), "key_form"),
        (AGREED.replace("8000.50", "暂无"), "null_token"),
        (AGREED.replace("2026-10-12", "9999-9-9"), "sentinel_date"),
        (AGREED.replace("2026-10-12", "20261012"), "other_date_form"),
        (AGREED.replace(",110,", ",养老,"), "label_for_code"),
    ],
)
def test_each_kind_is_counted_as_itself(bench, row, kind):
    assert counts(bench, AGREED, row, row) == {kind: 2}


def test_an_older_edition_of_a_code_book_is_told_by_its_length(bench):
    scheme = {"from": "xz", "codes": {"110": "pension_emp", "21": "pension_emp", "210": "unemp"}}
    bench.adapt(columns=ADAPTER["columns"] | {"scheme": scheme})
    assert counts(bench, AGREED, AGREED.replace(",110,", ",21,"), AGREED.replace(",110,", ",210,")) == {
        "other_edition": 1
    }


def test_a_declared_code_is_no_null_token(bench):
    flag = {"from": "dz", "codes": {"-": False, "是": True}}
    bench.adapt(columns=ADAPTER["columns"] | {"received": flag})
    assert counts(bench, AGREED, AGREED.replace("是", "-")) == {}
