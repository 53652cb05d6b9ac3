"""Monthly scoring: everyone entitled, nothing twice, and the columns of table and file."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from core.months import Month
from core.state import ModelVersion
from features.ineligible import Ineligible
from models.lifecycle import name_of
from models.monthly_scores import SCHEMA, score_table
from tests.models.scored_home import ScoredHome, given, tiny_set
from tests.models.signing import NAME, SignedHome
from tests.models.worlds import definition

AS_OF = Month(2026, 8)
TABLE = score_table(definition())


@pytest.fixture
def scored(home: SignedHome) -> ScoredHome:
    ready = ScoredHome(home)
    ready.drawn(AS_OF)
    return ready


def live(home: SignedHome) -> ModelVersion:
    return home.gate()[0]


def test_table_and_file_hold_pd_points_grade_version_month_and_cutoff(scored: ScoredHome) -> None:
    told = scored.score(AS_OF)
    rows = scored.store.read(TABLE, [str(AS_OF)])
    assert rows.column_names == [*SCHEMA.names, "period"] and rows.num_rows == told.rows == 600
    with told.file.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    first, name = rows.to_pylist()[0], name_of(live(scored.signed))
    assert lines[0] == {
        "provider_code": "P000000", "subject_id": f"{0:032x}", "as_of": "2026-08", "pd": str(round(first["pd"], 6)),
        "points": str(first["points"]), "grade": str(first["grade"]), "model_version": name,
        "knowledge_cutoff": "2026-09-05T15:59:59Z",
    }  # fmt: skip
    assert len(lines) == 600 and {line["model_version"] for line in lines} == {name}
    assert set(rows.column("model_version").to_pylist()) == {name} and set(
        rows.column("period").to_pylist()
    ) == {"2026-08"}


def test_unchanged_inputs_are_not_scored_again_and_leave_the_same_bytes(scored: ScoredHome) -> None:
    first = scored.score(AS_OF)
    bytes_before, version = first.file.read_bytes(), scored.store.version(TABLE)
    first.file.unlink()
    again = scored.score(AS_OF)
    assert first.scored_again and not again.scored_again
    assert scored.store.version(TABLE) == version and again.file.read_bytes() == bytes_before
    assert (again.rows, again.mean_pd, again.by_grade) == (first.rows, first.mean_pd, first.by_grade)
    scored.drawn(AS_OF, seed=7)
    changed = scored.score(AS_OF)
    assert changed.scored_again and changed.file.read_bytes() != bytes_before


def test_rows_that_somebody_changed_are_scored_again(scored: ScoredHome) -> None:
    told = scored.score(AS_OF)
    rows = scored.store.read(TABLE, [str(AS_OF)]).drop_columns(["period"])
    scored.store.replace(TABLE, str(AS_OF), rows.slice(0, 10))
    again = scored.score(AS_OF)
    assert again.scored_again and again.rows == told.rows


def test_another_version_scores_again(scored: ScoredHome) -> None:
    before = scored.score(AS_OF)
    scored.signed.live("2026-07")
    after = scored.score(AS_OF)
    assert after.scored_again and after.model_version != before.model_version and NAME in after.model_version


def test_a_consent_withdrawn_scores_again_without_the_subject(home: SignedHome) -> None:
    scored = ScoredHome(home, tiny_set(*["tax_iit_withholding"] * 4))
    scored.drawn(AS_OF, rows=12)
    rows = [{"subject_no": n, "kind": "written", "purpose": "risk"} for n in range(5)]
    five = given(*rows, subjects=12)
    first, again = scored.score(AS_OF, five), scored.score(AS_OF, given(*rows, subjects=12))
    assert first.rows == again.rows == 5 and not again.scored_again
    assert _told(again.ineligible) == _told(first.ineligible) and again.ineligible.without_any == 7
    four = scored.score(AS_OF, given(*rows[:4], subjects=12))
    assert four.scored_again and four.rows == 4 and _codes(four.file) == [f"P{n:06d}" for n in range(4)]


def _told(ineligible: Ineligible) -> tuple[object, int]:
    return ineligible.rows, ineligible.without_any


def _codes(file: Path) -> list[str]:
    return [line.split(",")[0].strip('"') for line in file.read_text(encoding="utf-8").splitlines()[1:]]
