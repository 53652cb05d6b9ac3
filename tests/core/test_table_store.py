"""Tables: old or new, never a mix; replays are no-ops; a flipped bit is refused."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from core.errors import GsceneError
from core.subject import SubjectKind
from core.subject_registry import SubjectRegistry
from core.table_store import CorruptTable, TableStore


def rows(*values: int) -> pa.Table:
    return pa.table(
        {
            "subject_no": pa.array(values, pa.int32()),
            "x": pa.array([float(v) for v in values]),
        }
    )


@pytest.fixture
def store(tmp_path: Path) -> TableStore:
    return TableStore(tmp_path)


def test_replace_touches_one_month_and_old_versions_stay(store: TableStore) -> None:
    store.replace("a/b", "2026-01", rows(1, 2))
    old = store.replace("a/b", "2026-02", rows(3))
    new = store.replace("a/b", "2026-01", rows(9))
    assert new == old + 1
    assert store.read("a/b", columns=["x", "period"]).sort_by("x").to_pydict() == {
        "x": [3.0, 9.0],
        "period": ["2026-02", "2026-01"],
    }
    assert store.read("a/b", ["2026-01"], version=old).num_rows == 2
    assert store.partitions("a/b") == ["2026-01", "2026-02"]


def test_replay_is_a_no_op(store: TableStore) -> None:
    first = store.append("a/b", "2026-01", rows(1), app_version=7)
    assert store.append("a/b", "2026-01", rows(1), app_version=7) == first
    # A fresh handle, as after a crash: delta-rs alone would double the rows.
    assert TableStore(store.root).append("a/b", "2026-01", rows(2), app_version=7) == first
    assert store.append("a/b", "2026-01", rows(2), app_version=8) == first + 1
    assert store.replace("c", "2026-01", rows(5)) == store.replace("c", "2026-01", rows(5))
    assert store.rows("a/b", "2026-01") == 2


def test_flipped_bit_is_refused_and_rewriting_mends_it(store: TableStore) -> None:
    store.replace("a/b", "2026-01", rows(*range(100)))
    path = store.files("a/b")[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptTable, match="committed"):
        TableStore(store.root).read("a/b")
    store.replace("a/b", "2026-01", rows(*range(100)))
    assert TableStore(store.root).read("a/b").num_rows == 100
    path.unlink()
    with pytest.raises(CorruptTable, match="missing"):
        TableStore(store.root).read("a/b")


def test_content_hash_follows_the_bytes(store: TableStore) -> None:
    store.replace("a/b", "2026-01", rows(1))
    before = store.content_hash("a/b", "2026-01")
    store.replace("a/b", "2026-02", rows(1, 2))
    assert store.content_hash("a/b", "2026-01") == before
    store.replace("a/b", "2026-01", rows(2))
    assert store.content_hash("a/b", "2026-01") != before
    assert store.content_hash("a/b", "2030-01") == store.content_hash("none", "2030-01") == ""


def test_other_columns_are_refused(store: TableStore) -> None:
    store.replace("a/b", "2026-01", rows(1))
    with pytest.raises(GsceneError, match="columns"):
        store.append("a/b", "2026-01", pa.table({"y": [1]}))
    with pytest.raises(GsceneError, match="no table"):
        store.read("nothing")


def test_a_table_of_delivered_rows_gains_columns_that_may_be_missing(store: TableStore) -> None:
    """What came before has nothing in them; content hashes and replays stay as they were."""
    store.append("raw/resident/t", "2026-01", rows(1))
    before = store.content_hash("raw/resident/t", "2026-01")
    newer = rows(2).add_column(1, "y", pa.array(["b"]))
    version = store.append("raw/resident/t", "2026-02", newer)
    assert store.append("raw/resident/t", "2026-02", newer) == version
    store.append("raw/resident/t", "2026-01", rows(3).add_column(1, "y", pa.array(["c"])))
    read = store.read("raw/resident/t", schema=newer.schema)
    assert read.column_names == ["subject_no", "y", "x", "period"]
    assert sorted(zip(*(read.column(name).to_pylist() for name in ("subject_no", "y")), strict=True)) == [
        (1, None),
        (2, "b"),
        (3, "c"),
    ]
    assert before != store.content_hash("raw/resident/t", "2026-01")
    fresh = TableStore(store.root)
    assert fresh.read("raw/resident/t", ["2026-01"], columns=["y"]).column("y").null_count == 1


def test_a_column_that_no_row_has_yet_is_missing_where_the_schema_knows_it(store: TableStore) -> None:
    store.append("raw/resident/t", "2026-01", rows(1))
    schema = pa.schema([pa.field("late", pa.date32()), pa.field("x", pa.float64())])
    assert store.read("raw/resident/t", schema=schema).select(["late", "x"]).to_pydict() == {
        "late": [None],
        "x": [1.0],
    }
    assert store.read("raw/resident/t", columns=["late"], schema=schema).column("late").type == pa.date32()


def test_what_must_be_there_and_what_is_computed_dont_grow(store: TableStore) -> None:
    for table in ("raw/resident/t", "facts/resident/t"):
        store.append(table, "2026-01", rows(1))
    required = rows(2).append_column(pa.field("y", pa.int32(), nullable=False), pa.array([1], pa.int32()))
    for table, other in (("raw/resident/t", required), ("facts/resident/t", rows(2).append_column("y", pa.array([1]))),
                         ("raw/resident/t", rows(2).select(["subject_no"]))):  # fmt: skip
        with pytest.raises(GsceneError, match="has the columns"):
            store.append(table, "2026-02", other)


def test_history_vacuum_and_duckdb(store: TableStore) -> None:
    store.replace("a/b", "2026-01", rows(1), metadata={"suite": "s1"})
    store.replace("a/b", "2026-01", rows(2, 3), metadata={"suite": "s2"})
    assert [entry.metadata.get("suite") for entry in store.history("a/b")][:2] == [
        "s2",
        "s1",
    ]
    files = [str(path) for path in store.files("a/b")]
    found = duckdb.execute(
        "SELECT count(*), min(period) FROM read_parquet(?, hive_partitioning = true)",
        [files],
    )
    assert found.fetchone() == (2, "2026-01")
    assert len(store.vacuum("a/b", 0)) == 1
    assert store.read("a/b").num_rows == 2


def test_subject_numbers_never_change_and_do_not_depend_on_the_key(store: TableStore, tmp_path: Path) -> None:
    registry = SubjectRegistry(store, SubjectKind.ENTERPRISE)
    first = registry.numbers(pa.array(["k1:ff", "k1:aa", "k1:ff"]), pa.array(["S2", "S3", "S2"]))
    assert first.tolist() == [0, 1, 0]
    assert registry.numbers(pa.array(["k1:00", "k1:aa"]), pa.array(["S1", "S3"])).tolist() == [2, 1]
    fresh = SubjectRegistry(TableStore(store.root), SubjectKind.ENTERPRISE)
    assert fresh.subject_ids(np.array([2, 0])).to_pylist() == ["k1:00", "k1:ff"]
    assert fresh.provider_codes(np.array([1])).to_pylist() == ["S3"]
    assert fresh.numbers(pa.array(["unknown"]), add=False).tolist() == [-1]
    assert fresh.size == 3
    with pytest.raises(GsceneError, match="0 to 2"):
        fresh.subject_ids(np.array([3]))


def other_columns(*values: int) -> pa.Table:
    return pa.table({"subject_no": pa.array(values, pa.int32()), "y": ["new"] * len(values)})


def test_a_computed_table_begins_anew_when_its_columns_change(store: TableStore) -> None:
    for month in ("2026-01", "2026-02"):
        store.replace("features/a", month, rows(1, 2))
    old = store.version("features/a")
    store.replace("features/a", "2026-02", other_columns(7))
    assert store.partitions("features/a") == ["2026-02"]
    assert store.read("features/a").to_pydict() == {"subject_no": [7], "y": ["new"], "period": ["2026-02"]}
    assert store.read("features/a", version=old).column("x").to_pylist() == [1.0, 2.0, 1.0, 2.0]
    store.replace("features/a", "2026-01", other_columns(8))
    assert TableStore(store.root).read("features/a").column("subject_no").to_pylist() == [8, 7]


@pytest.mark.parametrize("table", ["raw/a", "trial/a", "leads/a", "registry/a"])
def test_other_columns_are_refused_where_rows_cant_be_computed_again(store: TableStore, table: str) -> None:
    store.replace(table, "2026-01", rows(1))
    with pytest.raises(GsceneError, match="the new rows have"):
        store.replace(table, "2026-01", other_columns(1))
    store.append("features/a", "2026-01", rows(1))
    with pytest.raises(GsceneError, match="the new rows have"):
        store.append("features/a", "2026-01", other_columns(1))


def test_a_table_is_remade_in_one_commit_or_not_at_all(store: TableStore) -> None:
    for month in ("2026-01", "2026-02"):
        store.append("raw/a", month, rows(1, 2))
    old, reader = store.version("raw/a"), TableStore(store.root)

    def pieces(broken: bool) -> Iterator[tuple[str, pa.Table]]:
        yield "2026-01", other_columns(1)
        yield "2026-01", other_columns(2)
        assert reader.read("raw/a").column_names == ["subject_no", "x", "period"], "readable until it stands"
        if broken:
            raise ValueError("a file of the archive is missing")
        yield "2026-03", other_columns(3)

    with pytest.raises(ValueError, match="missing"):
        store.remake("raw/a", pieces(broken=True))
    assert store.version("raw/a") == old and reader.read("raw/a").num_rows == 4
    assert store.remake("raw/a", pieces(broken=False), metadata={"contract": "2.0.0"}) == old + 1
    assert reader.partitions("raw/a") == ["2026-01", "2026-03"]
    assert sorted(reader.read("raw/a").column("subject_no").to_pylist()) == [1, 2, 3]
    assert reader.read("raw/a", version=old).column("x").to_pylist() == [1.0, 2.0, 1.0, 2.0]
    assert store.history("raw/a")[0].metadata["contract"] == "2.0.0"
    with pytest.raises(GsceneError, match="nothing was given"):
        store.remake("raw/a", [])
