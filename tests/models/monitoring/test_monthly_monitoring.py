"""A model watched over months: the stored table, the page, events once, and nothing from later."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import select

from core.derivation import record_derivation
from core.errors import GateRefused, GsceneError
from core.months import Month
from core.state import AuditEvent
from models.monitoring.blocks import monitoring_blocks
from models.monitoring.kept import Kept, keep_month
from models.monitoring.monthly_monitoring import monitoring_table, read_monitored
from models.monthly_labels import SCHEMA as LABELS
from models.monthly_labels import label_recipe, label_table
from models.report_blocks import Part, Picture
from tests.models.scored_home import KIND, ScoredHome
from tests.models.signing import SignedHome
from tests.models.worlds import definition, matrix, trained

TRAINED, FIRST = Month(2026, 6), Month(2026, 7)


@dataclass
class Watched(ScoredHome):
    """A home where months can be monitored and outcomes become known."""

    def watch(self, month: Month) -> Kept:
        """Monitor and keep."""
        return keep_month(
            definition(), self.feature_set, month, store=self.store, state=self.signed.state, settings=self.signed.settings,
            clock=self.signed.clock, entitlements=self.entitlements(),
        )  # fmt: skip

    def outcomes(self, month: Month, outcome: np.ndarray) -> None:
        """Store outcomes of subjects 0 … n-1."""
        rule = definition().label
        table = label_table(KIND, rule)
        rows = {
            "subject_no": np.arange(len(outcome), dtype=np.int32),
            "outcome": pa.array(outcome.tolist(), pa.string()),
        }
        self.store.replace(table, str(month), pa.table(rows, schema=LABELS))
        record_derivation(
            self.signed.state, self.store, self.signed.clock, (table, str(month)), [], label_recipe(rule)
        )

    def events(self) -> list[tuple[str, str]]:
        """What monitoring wrote into the audit chain."""
        with self.signed.state.session() as session:
            found = session.scalars(select(AuditEvent).where(AuditEvent.actor == "monitoring"))
            return [(event.action, event.details["code"]) for event in found]


@pytest.fixture
def watched(home: SignedHome) -> Watched:
    ready = Watched(home)
    # The same subjects a month later: one in twenty has changed.
    values, later = matrix(600, seed=0)[0], matrix(600, seed=1)[0]
    for month in (TRAINED, FIRST):
        ready.features(month, values)
        ready.score(month)
        values = np.where(np.arange(600)[:, None] % 20, values, later)
    return ready


def shifted(seed: int) -> np.ndarray:
    values, _ = matrix(600, seed)
    values[:, 0] += 3.0
    return values


def test_a_calm_month_calls_for_nothing_and_is_the_same_again(watched: Watched) -> None:
    kept = watched.watch(FIRST)
    told = kept.monitored
    assert told.reference_month == "2026-06" and told.knowledge_cutoff == "2026-08-05T15:59:59+00:00"
    psi = told.one("score_psi_reference")
    assert psi is not None and psi.value is not None and psi.value < (psi.chance or 0.0)
    assert told.value("ungraded_share") == 0.0 and told.value("grade_jumps") is not None
    assert kept.decisions == () and watched.events() == []
    before, version = (
        (kept.page.read_bytes(), kept.table.read_bytes()),
        watched.store.version(monitoring_table(definition())),
    )
    again = watched.watch(FIRST)
    assert (again.page.read_bytes(), again.table.read_bytes()) == before
    assert watched.store.version(monitoring_table(definition())) == version
    assert read_monitored(watched.store, definition())["2026-07"] == told


def test_the_page_is_self_contained_in_both_languages_with_pictures(watched: Watched) -> None:
    kept = watched.watch(FIRST)
    page = kept.page.read_text(encoding="utf-8")
    assert page.count("data:image/svg+xml;base64,") == 4
    assert not re.search(r"(src|href)=\"(?!data:)", page) and "<script" not in page
    assert "稳定性" in page and "Score PSI against last month" in page and "tiny_risk/2026-06" in page
    blocks = monitoring_blocks(kept.monitored, read_monitored(watched.store, definition()))
    assert set(blocks) == {Part.STABILITY, Part.OUTCOMES}
    assert all(any(isinstance(block, Picture) for block in part) for part in blocks.values())


def test_a_shift_that_stays_asks_for_retraining_once(watched: Watched) -> None:
    for month in (Month(2026, 8), Month(2026, 9)):
        watched.features(month, shifted(month.month))
        watched.score(month)
    first = watched.watch(Month(2026, 8))
    assert {each.code for each in first.decisions} >= {"SCORE_DRIFT", "SCORE_JUMP"}
    assert next(each for each in first.decisions if each.code == "SCORE_DRIFT").response == "told"
    assert ("model.review_wanted", "SCORE_JUMP") in watched.events()
    second = watched.watch(Month(2026, 9))
    drift = next(each for each in second.decisions if each.code == "SCORE_DRIFT")
    assert (drift.response, drift.months) == ("retrain", 2)
    events = watched.events()
    assert ("model.retraining_wanted", "SCORE_DRIFT") in events and second.events > 0
    assert watched.watch(Month(2026, 9)).events == 0 and watched.events() == events
    assert json.loads(second.table.read_text(encoding="utf-8"))["decisions"]
    with watched.signed.state.session() as session:
        details = session.scalars(select(AuditEvent).where(AuditEvent.actor == "monitoring")).all()
    assert all("subject" not in json.dumps(event.details) for event in details)


def test_outcomes_are_held_against_what_was_scored_then(watched: Watched) -> None:
    scores = watched.store.read("scores/enterprise/tiny_risk", [str(FIRST)]).to_pandas()
    draw = np.random.default_rng(0)
    bad = draw.random(len(scores)) < np.minimum(scores["pd"].to_numpy() * 1.0, 1.0)
    outcome = np.where(bad, "bad", "good").astype(object)
    outcome[:50] = "immature"
    watched.outcomes(FIRST, outcome)
    told = watched.watch(FIRST).monitored
    observed = told.one("vintage_observed")
    assert observed is not None and observed.n == 550 and observed.events == int(bad[50:].sum())
    assert (
        told.value("understated") == told.value("vintage_understated") and told.value("auc_fall") is not None
    )
    shipped = trained().candidates[trained().ships].calibration
    assert told.value("reference_pd") == pytest.approx(shipped.central_tendency)
    watched.outcomes(FIRST, np.full(600, "bad", dtype=object))
    worse = watched.watch(FIRST)
    assert {("PD_UNDERSTATED", "retrain")} <= {(each.code, each.response) for each in worse.decisions}


def test_what_comes_later_changes_no_earlier_month(watched: Watched) -> None:
    watched.watch(FIRST)
    before = watched.watch(FIRST).page.read_bytes()
    later = Month(2026, 8)
    watched.features(later, shifted(3))
    watched.score(later)
    watched.outcomes(later, np.full(600, "bad", dtype=object))
    watched.watch(later)
    assert watched.watch(FIRST).page.read_bytes() == before


def test_a_month_ahead_a_month_unscored_and_stale_scores_are_refused(watched: Watched) -> None:
    with pytest.raises(GateRefused, match="lies ahead"):
        watched.watch(Month(2026, 12))
    with pytest.raises(GsceneError, match="has no scores of 2026-08"):
        watched.watch(Month(2026, 8))
    watched.drawn(FIRST, seed=9)
    with pytest.raises(GateRefused, match="older than its input"):
        watched.watch(FIRST)
