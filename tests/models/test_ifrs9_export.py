"""The IFRS 9 export: what stands in file and manifest, the same bytes again, and when it is refused."""

from __future__ import annotations

import csv
import hashlib
import json
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from core.errors import GateRefused, GsceneError
from core.months import Month
from models.ifrs9_export import Form, Ifrs9Export, export_ifrs9
from models.lifecycle import name_of
from tests.models.scored_home import ScoredHome
from tests.models.signing import SignedHome, refused
from tests.models.worlds import definition, trained

AS_OF = Month(2026, 8)
DPD = {"kind": "account_dpd", "version": 1, "bad_dpd": 60, "window_months": 12}


@pytest.fixture
def scored(home: SignedHome) -> ScoredHome:
    ready = ScoredHome(home)
    ready.drawn(AS_OF, rows=300)
    ready.score(AS_OF)
    return ready


def export(ready: ScoredHome, folder: Path, form: Form = "csv", **changes: object) -> Ifrs9Export:
    signed = ready.signed
    return export_ifrs9(
        definition(**({"label": DPD} | changes)), AS_OF, folder, form=form, store=ready.store, state=signed.state,
        settings=signed.settings, registry=ready.registry, clock=signed.clock,
    )  # fmt: skip


def test_file_and_manifest_agree_with_the_stored_scores(scored: ScoredHome, tmp_path: Path) -> None:
    done = export(scored, tmp_path / "out")
    with done.data.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    told = json.loads(done.manifest.read_text(encoding="utf-8"))
    stored = scored.store.read("scores/enterprise/tiny_risk", [str(AS_OF)]).to_pandas()
    version = scored.signed.gate()[0]
    assert told["sha256"] == hashlib.sha256(done.data.read_bytes()).hexdigest() == done.sha256
    assert told["rows"] == len(rows) == len(stored) == 300
    assert Decimal(told["control_sum"]["pd_12m"]) == sum(Decimal(row["pd_12m"]) for row in rows)
    assert float(told["control_sum"]["pd_12m"]) == pytest.approx(stored["pd"].sum(), abs=1e-5)
    tendency = trained().candidates[trained().ships].calibration.central_tendency
    first = rows[0]
    assert (
        first["provider_code"] == "P000000"
        and first["subject_id"] == f"{0:032x}"
        and first["as_of"] == "2026-08"
    )
    assert first["model_version"] == told["model_version"] == name_of(version)
    assert first["bundle_sha256"] == told["bundle_sha256"] == version.bundle_sha256
    assert first["knowledge_cutoff"] == told["knowledge_cutoff"] == "2026-09-05T15:59:59+00:00"
    assert float(first["central_tendency"]) == told["calibration"]["central_tendency"] == tendency
    assert told["default_definition"]["bad_dpd"] == 60 == int(first["default_dpd"])
    assert told["not_contained"][0]["en"] == "lifetime PD" and len(told["not_contained"]) == 4
    by_grade: dict[int, list[float]] = {}
    for row in rows:
        by_grade.setdefault(int(row["grade"]), []).append(float(row["pd_12m"]))
    grades = sorted(by_grade)
    assert len(grades) > 2
    assert all(max(by_grade[a]) <= min(by_grade[b]) for a, b in zip(grades, grades[1:], strict=False))


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_same_month_gives_the_same_bytes(scored: ScoredHome, tmp_path: Path, form: Form) -> None:
    one, two = export(scored, tmp_path / "a", form), export(scored, tmp_path / "b", form)
    assert one.data.read_bytes() == two.data.read_bytes()
    assert one.manifest.read_bytes() == two.manifest.read_bytes()
    if form == "parquet":
        assert sum(pq.read_table(one.data).column("pd_12m").to_pylist()) == one.control_sum


def test_without_a_signed_version_nothing_is_written(empty: SignedHome, tmp_path: Path) -> None:
    ready = ScoredHome(empty)
    empty.train("2026-06")
    refused("MISSING", lambda: export(ready, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_an_ended_approval_another_version_and_changed_rows_are_refused(
    scored: ScoredHome, tmp_path: Path
) -> None:
    scored.signed.live("2026-07")
    with pytest.raises(GateRefused, match="which is in force now"):
        export(scored, tmp_path / "out")
    scored.score(AS_OF)
    export(scored, tmp_path / "out")
    rows = scored.store.read("scores/enterprise/tiny_risk", [str(AS_OF)]).drop_columns(["period"])
    scored.store.replace("scores/enterprise/tiny_risk", str(AS_OF), rows.slice(1))
    with pytest.raises(GateRefused, match="no longer holds what was made"):
        export(scored, tmp_path / "out")
    scored.signed.days = 400
    refused("EXPIRED", lambda: export(scored, tmp_path / "out"))


def test_a_model_without_a_twelve_month_default_is_none_for_ifrs_9(
    scored: ScoredHome, tmp_path: Path
) -> None:
    for label in ({"kind": "bank_outcome", "version": 1}, DPD | {"window_months": 6}):
        with pytest.raises(GsceneError, match="none for IFRS 9"):
            export(scored, tmp_path / "out", label=label)
