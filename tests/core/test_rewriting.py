"""Rewriting a partition without some rows, and deleting the bytes of the versions before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.erased_numbers import ErasedSubject, registry_of
from core.errors import GsceneError
from core.subject import SubjectKind
from core.subject_registry import SubjectRegistry
from core.table_files import CorruptTable
from core.table_store import ErasedVersion, TableStore

TABLE = "raw/resident/bill"


def rows(*numbers: int) -> pa.Table:
    return pa.table({"subject_no": pa.array(numbers, pa.int32()), "amt": pa.array([10 * n for n in numbers])})


def without(number: int):  # type: ignore[no-untyped-def]
    def change(data: pa.Table) -> pa.Table | None:
        kept = data.filter(pc.not_equal(data.column("subject_no"), number))
        return kept if kept.num_rows < data.num_rows else None

    return change


def holding(number: int):  # type: ignore[no-untyped-def]
    return lambda file: number in file.read(columns=["subject_no"]).column(0).to_pylist()


@pytest.fixture
def store(tmp_path: Path) -> TableStore:
    made = TableStore(tmp_path)
    made.append(TABLE, "2026-01", rows(1, 2))
    made.append(TABLE, "2026-01", rows(2, 3))
    made.append(TABLE, "2026-02", rows(3))
    made.append(TABLE, "2026-03", rows(2))
    return made


def test_rows_go_and_the_others_stay(store: TableStore) -> None:
    before = store.content_hash(TABLE, "2026-01")
    done = store.rewrite(TABLE, "2026-01", without(2))
    assert (done.before, done.rows_before, done.rows_after) == (before, 4, 2)
    assert done.after == store.content_hash(TABLE, "2026-01") != before
    assert sorted(store.read(TABLE, ["2026-01"]).column("subject_no").to_pylist()) == [1, 3]
    assert store.rows(TABLE, "2026-02") == 1


def test_a_partition_without_rows_is_none_any_more(store: TableStore) -> None:
    assert store.rewrite(TABLE, "2026-03", without(2)).after == ""
    assert store.partitions(TABLE) == ["2026-01", "2026-02"]
    assert store.content_hash(TABLE, "2026-03") == ""
    store.append(TABLE, "2026-03", rows(4))
    assert store.rows(TABLE, "2026-03") == 1


def test_nothing_to_change_commits_nothing(store: TableStore) -> None:
    version = store.version(TABLE)
    done = store.rewrite(TABLE, "2026-02", without(2))
    assert done.before == done.after and store.version(TABLE) == version


def test_what_was_committed_before_under_an_application_version_is_still_known(tmp_path: Path) -> None:
    store = TableStore(tmp_path)
    store.append(TABLE, "2026-01", rows(1, 2), app_version=7)
    store.rewrite(TABLE, "2026-01", without(2))
    store.append(TABLE, "2026-01", rows(9), app_version=7)
    assert store.read(TABLE).column("subject_no").to_pylist() == [1]


def test_purge_takes_old_bytes_that_hold_the_subject_and_no_others(store: TableStore) -> None:
    store.replace(TABLE, "2026-02", rows(3, 5))
    old, version = set(store.root.rglob("*.parquet")), store.version(TABLE)
    store.rewrite(TABLE, "2026-01", without(2))
    store.rewrite(TABLE, "2026-03", without(2))
    assert store.purge(TABLE, holding(2)) == 3
    left = set(store.root.rglob("*.parquet"))
    assert len(old - left) == 3 and not any(holding(2)(store.open(path)) for path in left)
    assert store.read(TABLE, ["2026-02"], version=0 + 3).num_rows == 1, (
        "an old version without the subject stays readable"
    )
    with pytest.raises(ErasedVersion, match="erased on request"):
        TableStore(store.root).read(TABLE, version=version)
    assert store.purge(TABLE, holding(2)) == 0


def test_a_missing_file_that_nobody_erased_is_still_corruption(store: TableStore) -> None:
    store.files(TABLE, ["2026-02"])[0].unlink()
    with pytest.raises(CorruptTable, match="missing"):
        TableStore(store.root).read(TABLE)


def test_nothing_is_written_about_a_hole(store: TableStore) -> None:
    store.erased.add("resident", 2)
    store.erased.add("resident", 2)
    assert store.erased.of("resident").tolist() == [2]
    for write in (store.append, store.replace):
        with pytest.raises(ErasedSubject, match="erased meanwhile"):
            write(TABLE, "2026-01", rows(1, 2))
    store.append(TABLE, "2026-01", rows(1))
    store.append("raw/enterprise/bill", "2026-01", rows(2))
    store.append("trial/resident/bill", "2026-01", rows(2))


def test_tables_belong_to_registries() -> None:
    assert registry_of("features/resident/monthly") == "resident"
    assert registry_of("trial/resident/bill") == "trial_resident"
    assert registry_of("registry/resident") is None


@settings(max_examples=25)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=12, unique=True), st.data())
def test_a_hole_never_moves_a_number(
    tmp_path_factory: pytest.TempPathFactory, codes: list[int], data: st.DataObject
) -> None:
    """Erase some in any order, add others in between: every number still means whom it meant, no number comes twice."""
    registry = SubjectRegistry(TableStore(tmp_path_factory.mktemp("registry")), SubjectKind.RESIDENT)
    meant: dict[str, int] = {}

    def add(names: list[str]) -> None:
        numbers = registry.numbers(pa.array(names, pa.string()))
        for name, number in zip(names, numbers.tolist(), strict=True):
            assert meant.setdefault(name, number) == number
        assert len(set(meant.values()) | gone) == len(meant) + len(gone)

    gone: set[int] = set()
    add([f"k1:{code:040x}" for code in codes])
    for step in range(3):
        victim = data.draw(st.sampled_from(sorted(meant)))
        number = meant.pop(victim)
        registry.erase(number)
        registry.erase(number)
        gone.add(number)
        with pytest.raises(GsceneError, match="erased"):
            registry.subject_ids(np.array([number], dtype=np.int32))
        add([*meant, f"k1:{100 + step:040x}"])
        assert registry.numbers(pa.array([victim]), add=False).tolist() == [-1]
    assert registry.size == len(meant) + len(gone) and registry.table().num_rows == len(meant)
