"""A crosswalk is delivered once, read for one purpose, kept from everybody, and destroyed with evidence."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.errors import GateRefused, GsceneError, Refusal
from core.purpose import Purpose
from core.subject import SubjectKind
from core.subject_registry import NEVER_REPLACED, RETIRED, SubjectRegistry
from core.table_store import TableStore
from sources.migration.crosswalk import read_crosswalk
from sources.migration.definition import KeyVersions
from sources.migration.vault import CrosswalkVault, destroy
from tests.sources.migration.test_states import definition

KEYS = KeyVersions(old="k1", new="k2")


def token(version: str, number: int) -> str:
    return f"{version}:{number:040x}"


LINES = [f"{token('k1', n)},{token('k2', n + 100)},2026-07-01" for n in (3, 1, 2)]
HEADER = "old_subject_id,new_subject_id,valid_from"


def lay(file: Path, lines: list[str], header: str = HEADER) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    return file


def test_csv_and_parquet_tell_the_same_sorted_different_pairs(tmp_path: Path) -> None:
    csv = lay(tmp_path / "a.csv", [*LINES, LINES[0]])
    rows = [line.split(",") for line in LINES]
    columns = dict(zip(HEADER.split(","), (list(cells) for cells in zip(*rows, strict=True)), strict=True))
    days = pa.array(columns["valid_from"]).cast(pa.date32())
    pq.write_table(pa.table({**columns, "valid_from": days}), tmp_path / "a.parquet")
    one, other = (
        read_crosswalk([file], KEYS, Purpose.MIGRATION_CHECK) for file in (csv, tmp_path / "a.parquet")
    )
    assert one.old_ids.to_pylist() == [token("k1", n) for n in (1, 2, 3)] == other.old_ids.to_pylist()
    assert one.new_ids.equals(other.new_ids) and one.valid_from.equals(other.valid_from)
    both = read_crosswalk([csv, tmp_path / "a.parquet"], KEYS, Purpose.MIGRATION_CHECK)
    assert both.cardinality["pairs"] == 3


BAD: dict[str, tuple[list[str], str, int | None]] = {
    "an id in the clear": ([LINES[0], f"11010519491231002X,{token('k2', 1)},2026-07-01"], HEADER, 3),
    "a plain hash": ([f"{'a' * 64},{token('k2', 1)},2026-07-01"], HEADER, 2),
    "the wrong key": ([LINES[0], f"{token('k3', 1)},{token('k2', 1)},2026-07-01"], HEADER, 3),
    "keys the wrong way round": ([f"{token('k2', 1)},{token('k1', 1)},2026-07-01"], HEADER, 2),
    "no day": ([f"{token('k1', 1)},{token('k2', 1)},01/07/2026"], HEADER, 2),
    "an empty cell": ([f"{token('k1', 1)},,2026-07-01"], HEADER, 2),
    "other columns": (LINES, "old,new,valid_from", None),
    "a column too many": ([line + ",张三" for line in LINES], HEADER + ",name", None),
    "a ragged line": ([LINES[0], "x,y"], HEADER, None),
    "nothing": ([], HEADER, None),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_crosswalk_is_refused_without_a_word_of_its_content(kind: str, tmp_path: Path) -> None:
    lines, header, line = BAD[kind]
    with pytest.raises(Refusal) as refused:
        read_crosswalk([lay(tmp_path / "x.csv", lines, header)], KEYS, Purpose.MIGRATION_CHECK)
    assert refused.value.code == "REFUSED/CROSSWALK" and refused.value.line == line and refused.value.remedy
    assert not any(word in str(refused.value) for word in ("110105", "张三", "0" * 20, "aaaa"))


@pytest.mark.parametrize("purpose", [p for p in Purpose if p is not Purpose.MIGRATION_CHECK])
def test_no_other_purpose_may_read_it(purpose: Purpose, tmp_path: Path) -> None:
    with pytest.raises(GsceneError, match="may not be read for"):
        read_crosswalk([lay(tmp_path / "x.csv", LINES)], KEYS, purpose)


def defined(home: Path, lines: list[str], **changes: Any):  # type: ignore[no-untyped-def]
    laid = lay(home / "migrations" / "x.csv", lines)
    told = {"file": "x.csv", "sha256": hashlib.sha256(laid.read_bytes()).hexdigest()} | changes
    return definition(key_ver={"old": "k1", "new": "k2"}, crosswalk=[told]), laid


def test_it_is_kept_where_its_owner_alone_can_read(tmp_path: Path) -> None:
    asked, _ = defined(tmp_path, LINES)
    vault = CrosswalkVault(tmp_path, "m")
    kept = vault.take_over(asked)
    assert kept["pairs"] == kept["one_to_one"] == 3
    assert (vault.folder.stat().st_mode & 0o777, vault.file.stat().st_mode & 0o777) == (0o700, 0o600)
    assert vault.read(asked, kept["sha256"]).cardinality["pairs"] == 3
    assert vault.take_over(asked) == kept, "taking over again keeps the same"
    vault.folder.chmod(0o755)
    with pytest.raises(GsceneError, match="can be read by others"):
        vault.read(asked, kept["sha256"])
    vault.folder.chmod(0o700)
    evidence = vault.destroy()
    assert (evidence["sha256"], evidence["bytes"]) == (kept["sha256"], kept["bytes"])
    assert not vault.folder.exists() and vault.destroy() == {}


def test_other_bytes_than_the_sender_told_are_refused_and_stay(tmp_path: Path) -> None:
    asked, laid = defined(tmp_path, LINES, sha256="0" * 64)
    with pytest.raises(Refusal) as refused:
        CrosswalkVault(tmp_path, "m").take_over(asked)
    assert refused.value.code == "REFUSED/CHECKSUM" and laid.is_file()
    laid.unlink()
    with pytest.raises(Refusal, match="isn't there"):
        CrosswalkVault(tmp_path, "m").take_over(asked)


def test_destroying_overwrites_before_it_removes(tmp_path: Path) -> None:
    file = tmp_path / "secret.csv"
    body = b"who is who" * 200_000
    file.write_bytes(body)
    other_name = tmp_path / "same file"
    other_name.hardlink_to(file)
    evidence = destroy(file)
    assert not file.exists()
    assert evidence["sha256"] == hashlib.sha256(body).hexdigest() and evidence["bytes"] == len(body)
    left = other_name.read_bytes()
    assert len(left) == len(body) and b"who is who" not in left


@pytest.fixture
def registry(tmp_path: Path) -> SubjectRegistry:
    return SubjectRegistry(TableStore(tmp_path / "lake"), SubjectKind.RESIDENT)


def test_a_number_keeps_its_subject_through_re_keying_and_back(registry: SubjectRegistry) -> None:
    ids = pa.array([token("k1", n) for n in range(5)])
    numbers = registry.numbers(ids)
    old, new = ids.slice(0, 4), pa.array([token("k2", n) for n in range(4)])
    unknown = pa.array([token("k1", 9)]), pa.array([token("k2", 9)])
    pairs = pa.concat_arrays([old, unknown[0]]), pa.concat_arrays([new, unknown[1]])
    done = registry.rekey(*pairs)
    assert (done.subjects, done.unknown_pairs) == (4, 1)
    assert registry.numbers(new, add=False).tolist() == numbers[:4].tolist()
    assert registry.numbers(ids, add=False).tolist() == [-1, -1, -1, -1, numbers[4]]
    assert registry.former_numbers(ids).tolist() == [*numbers[:4].tolist(), NEVER_REPLACED]
    assert registry.provider_codes(numbers[:4]).to_pylist() == new.to_pylist()
    before = registry.table()
    assert registry.rekey(*pairs) == done and registry.table().equals(before), "repeating it changes nothing"

    registry.rekey(pairs[1], pairs[0])
    assert registry.numbers(ids, add=False).tolist() == numbers.tolist()
    assert registry.former_numbers(ids).tolist() == [NEVER_REPLACED] * 5
    assert registry.former_numbers(new).tolist() == numbers[:4].tolist()


def test_a_subject_with_a_number_under_both_keys_stops_the_re_keying_whole(registry: SubjectRegistry) -> None:
    ids = pa.array([token("k1", 1), token("k1", 2), token("k2", 2)])
    registry.numbers(ids)
    before = registry.table()
    with pytest.raises(GateRefused, match="1 subjects"):
        registry.rekey(ids.slice(0, 2), pa.array([token("k2", 1), token("k2", 2)]))
    assert registry.table().equals(before)


def test_forgetting_keeps_that_a_pseudonym_was_replaced_and_not_whose(registry: SubjectRegistry) -> None:
    old, new = pa.array([token("k1", 1)]), pa.array([token("k2", 1)])
    registry.numbers(old)
    registry.rekey(old, new)
    assert registry.forget_former_numbers() >= 2
    assert registry.former_numbers(old).tolist() == [RETIRED]
    assert registry.numbers(new, add=False).tolist() == [0]
    with pytest.raises(GsceneError, match="has replaced"):
        registry.numbers(old)


def test_the_trial_lane_has_numbers_of_its_own(tmp_path: Path) -> None:
    store = TableStore(tmp_path / "lake")
    live, trial = (SubjectRegistry(store, SubjectKind.RESIDENT, lane) for lane in ("live", "trial"))
    trial.numbers(pa.array(["k2:b", "k2:a"]))
    assert (live.size, trial.size) == (0, 2)
    assert store.tables() == ["registry/trial_resident"]
