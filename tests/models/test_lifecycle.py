"""No version goes live without the signatures of different people; every refusal has a code and a remedy; all is audited."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

import models.lifecycle as lifecycle
from core import audit
from core.errors import GsceneError, SignOffRefused
from core.model_state import ModelChange, ModelCondition, ModelSignOff
from models.conditions import Condition, close_condition
from models.lifecycle import ACTS, IN_FORCE, RESETS, ModelState, require_allowed
from tests.models.signing import NAME, NOW, WHY, SignedHome, refused

PIA = "PIA-2026-07"


# -- the rules, on any path --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    act: str
    actor: str


PEOPLE = ("Ann Li", "Bo Wang", "Cai Xu", "ann  LI")
ANY_STEPS = st.lists(
    st.builds(Step, st.sampled_from([act for act in ACTS if act != "supersede"]), st.sampled_from(PEOPLE)),
    max_size=20,
)
#: Paths from anywhere on the right way: by chance alone few get as far as an approval.
RIGHT_WAY = [
    Step("submit", "Ann Li"),
    Step("validate", "Bo Wang"),
    Step("approve", "Cai Xu"),
    Step("promote", "Bo Wang"),
]
STEPS = st.builds(lambda n, steps: RIGHT_WAY[:n] + steps, st.integers(0, len(RIGHT_WAY)), ANY_STEPS)


def walk(steps: list[Step]) -> tuple[list[Step], ModelState]:
    """Everything of a path that the rules let through."""
    state, history = ModelState.DEV, []
    for step in steps:
        try:
            state = require_allowed(step.act, step.actor, state, history, NAME)
        except SignOffRefused:
            continue
        history.append(step)
    return history, state


def signatures_hold(history: list[Step], state: ModelState) -> bool:
    """Said again from the law, not from the code: a live version has an author, and since the last time its signatures were
    taken away another person validated it, and after that a third one approved it."""
    if state not in IN_FORCE:
        return True
    who = [(step.act, "".join(step.actor.split()).casefold()) for step in history]
    authors = {person for act, person in who if act == "submit"}
    last = max((place for place, (act, _) in enumerate(who) if act in RESETS), default=-1)
    counted = who[last + 1 :]
    first_validation = next((place for place, (act, _) in enumerate(counted) if act == "validate"), None)
    if first_validation is None:
        return False
    validators = {person for act, person in counted if act == "validate"}
    approvers = {person for act, person in counted[first_validation:] if act == "approve"}
    live = [place for place, (act, _) in enumerate(counted) if act in ("promote", "restore")]
    approved = [place for place, (act, _) in enumerate(counted) if act == "approve"]
    return (
        bool(authors and approvers and approved and live)
        and approved[0] < live[-1]
        and not (authors & validators or authors & approvers or validators & approvers)
    )


@settings(max_examples=600)
@given(STEPS)
def test_no_path_reaches_live_without_three_people(steps: list[Step]) -> None:
    history, state = walk(steps)
    assert signatures_hold(history, state), history


@pytest.mark.parametrize(
    "bug", ["same person", "approve from dev", "nobody needed", "a reset keeps signatures"]
)
def test_the_property_finds_planted_bugs(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if bug == "same person":
        monkeypatch.setattr(lifecycle, "same_person", lambda one, other: one == other)
    elif bug == "approve from dev":
        sources = {**ACTS["approve"].sources, ModelState.DEV: ModelState.APPROVED}
        monkeypatch.setattr(lifecycle, "ACTS", ACTS | {"approve": lifecycle.Act("approver", sources)})
        monkeypatch.setattr(
            lifecycle,
            "people",
            lambda history, act: sorted({d.actor for d in history if d.act == act}) or ["nobody"],
        )
    elif bug == "nobody needed":
        sources = {**ACTS["promote"].sources, ModelState.VALIDATED: ModelState.LIVE}
        monkeypatch.setattr(lifecycle, "ACTS", ACTS | {"promote": lifecycle.Act("promoter", sources)})
        monkeypatch.setattr(
            lifecycle,
            "people",
            lambda history, act: sorted({d.actor for d in history if d.act == act}) or ["nobody"],
        )
    else:
        monkeypatch.setattr(lifecycle, "RESETS", ())
        sources = {**ACTS["promote"].sources, ModelState.DEV: ModelState.LIVE}
        monkeypatch.setattr(lifecycle, "ACTS", ACTS | {"promote": lifecycle.Act("promoter", sources)})

    @settings(max_examples=3000, database=None, phases=[Phase.generate])
    @given(STEPS)
    def hunt(steps: list[Step]) -> None:
        history, state = walk(steps)
        assert signatures_hold(history, state)

    with pytest.raises(AssertionError):
        hunt()


def test_every_state_can_be_reached_and_only_retired_is_the_end() -> None:
    reached = {target for act in ACTS.values() for target in act.sources.values()}
    assert reached == set(ModelState)
    leaving = {state for act in ACTS.values() for state, to in act.sources.items() if to is not state}
    assert leaving == set(ModelState) - {ModelState.RETIRED}


# -- acts --------------------------------------------------------------------------------------------------------------


def test_the_way_to_live_and_what_is_kept_of_it(home: SignedHome) -> None:
    version, signed = home.gate()
    assert home.where(version) is ModelState.LIVE
    assert not signed.automatic and signed.mark == "" and signed.bundle_sha256 == version.bundle_sha256
    with home.state.session() as session:
        changes = list(session.scalars(select(ModelChange).order_by(ModelChange.change_no)))
        assert [(c.act, c.role, c.actor) for c in changes] == [
            ("submit", "author", "Author A"), ("validate", "validator", "Validator B"), ("approve", "approver", "Approver C"),
            ("promote", "promoter", "Operator D"),
        ]  # fmt: skip
        assert all(c.reason == WHY and len(c.evidence_sha256) == 64 and c.at == NOW for c in changes)
        assert len({c.evidence_sha256 for c in changes[1:]}) == 1, (
            "three people signed one and the same evidence"
        )
        assert audit.verify(session) > 4
        events = Counter(session.scalars(select(audit.AuditEvent.action)))
    assert all(events[f"model.{act}"] == 1 for act in ("trained", "submit", "validate", "approve", "promote"))


def test_one_person_never_signs_twice(empty: SignedHome) -> None:
    version, desk = empty.train(), empty.desk
    refused("MISSING", lambda: desk.validate(version, "Validator B", WHY))
    desk.submit(version, "Author A", WHY)
    refused("SAME_PERSON", lambda: desk.validate(version, "author  a", WHY))
    desk.validate(version, "Validator B", WHY)
    for same in ("AUTHOR A", "Validator B"):
        refused("SAME_PERSON", lambda same=same: desk.approve(version, same, WHY, empty.key, pia=PIA))
    desk.approve(version, "Approver C", WHY, empty.key, pia=PIA)
    refused("SAME_PERSON", lambda: desk.promote(version, "Author A", WHY))
    refused("SAME_PERSON", lambda: desk.validate(version, "Approver C", WHY))
    refused("ACTOR", lambda: desk.promote(version, "Demo", WHY))
    refused("REASON", lambda: desk.promote(version, "Operator D", "  "))
    refused("STATE", lambda: desk.monitor(version, "Monitor E", WHY, [empty.home / "sign_off.yaml"]))
    desk.promote(version, "Operator D", WHY)
    with pytest.raises(GsceneError, match="person's name"):
        desk.retire(version, "x", WHY)


def test_approval_needs_an_assessment_that_covers_the_model(empty: SignedHome) -> None:
    version, desk = empty.train(), empty.desk
    desk.submit(version, "Author A", WHY)
    desk.validate(version, "Validator B", WHY)
    file = empty.home / "pia" / f"{PIA}.yaml"
    whole = file.read_text(encoding="utf-8")
    for pia, old, new in (
        ("", "", ""), ("PIA-2020-01", "", ""), ("../pia/" + PIA, "", ""), (PIA, "purposes: [risk]", "purposes: [marketing]"),
        (PIA, "subjects: [enterprise]", "subjects: [resident]"), (PIA, "late_6m, ", ""), (PIA, "2099-06-30", "2026-11-05"),
        (PIA, f"pia: {PIA}", "pia: PIA-1"),
    ):  # fmt: skip
        file.write_text(whole.replace(old, new, 1) if old else whole, encoding="utf-8")
        refused("PIA", lambda pia=pia: desk.approve(version, "Approver C", WHY, empty.key, pia=pia))
    file.write_text(whole.replace("2099-06-30", "2026-12-31"), encoding="utf-8")
    desk.approve(version, "Approver C", WHY, empty.key, pia=PIA)
    desk.promote(version, "Operator D", WHY)
    empty.gate()
    empty.days = 57
    refused("EXPIRED", empty.gate)
    with pytest.raises(GsceneError, match="ends between"):
        desk.approve(version, "Approver C", WHY, empty.key, pia=PIA, until=date(2027, 1, 1))


def test_an_overdue_condition_blocks_until_it_is_closed(empty: SignedHome) -> None:
    version = empty.train()
    empty.desk.submit(version, "Author A", WHY)
    asked = Condition.parse("2026-12-01: show the calibration by branch")
    empty.desk.validate(version, "Validator B", WHY, conditions=[asked])
    empty.desk.approve(version, "Approver C", WHY, empty.key, pia=PIA)
    empty.days = 30
    told = refused("CONDITION", lambda: empty.desk.promote(version, "Operator D", WHY))
    assert "due 2026-12-01" in told.message
    refused("CONDITION", lambda: empty.desk.approve(version, "Approver C", WHY, empty.key, pia=PIA))
    with empty.state.session() as session:
        number = session.scalars(select(ModelCondition.condition_no)).one()
        close_condition(session, empty.clock, number, "Validator B", "shown in the annex")
    with empty.state.session() as session, pytest.raises(GsceneError, match="no open condition"):
        close_condition(session, empty.clock, number, "Validator B", "again")
    empty.desk.promote(version, "Operator D", WHY)
    for wrong in ("soon: x", "2027-01-01", "2027-01-01: "):
        with pytest.raises(GsceneError):
            Condition.parse(wrong)
    late = Condition("x", date(2026, 11, 1))
    with pytest.raises(GsceneError, match="has passed"):
        empty.desk.validate(version, "Validator B", WHY, conditions=[late])


def test_a_stale_validation_or_changed_evidence_stops_an_approval(empty: SignedHome) -> None:
    version = empty.train()
    empty.desk.submit(version, "Author A", WHY)
    note = empty.home / "validation.json"
    note.write_text('{"auc": 0.7}')
    empty.desk.validate(version, "Validator B", WHY, evidence=[note])
    kept = empty.home / "models" / NAME / "2026-06-made.evidence" / "validation.json"
    kept.write_text('{"auc": 0.9}')
    refused("EVIDENCE", lambda: empty.desk.approve(version, "Approver C", WHY, empty.key, pia=PIA))
    refused("EVIDENCE", lambda: empty.desk.validate(version, "Validator B", WHY, evidence=[note]))
    kept.write_text('{"auc": 0.7}')
    empty.days = 91
    refused("VALIDATION", lambda: empty.desk.approve(version, "Approver C", WHY, empty.key, pia=PIA))
    empty.desk.validate(version, "Validator B", WHY, evidence=[note])
    empty.desk.approve(version, "Approver C", WHY, empty.key, pia=PIA)
    kept.unlink()
    refused("EVIDENCE", lambda: empty.desk.promote(version, "Operator D", WHY))


def test_a_version_that_doesnt_load_is_never_signed(empty: SignedHome) -> None:
    version = empty.train()
    empty.desk.submit(version, "Author A", WHY)
    trees = empty.home / version.bundle / "lightgbm.txt"
    trees.write_text(trees.read_text().replace("leaf_value=", "leaf_value=nan ", 1))
    with pytest.raises(GsceneError, match="sha256"):
        empty.desk.validate(version, "Validator B", WHY)
    assert empty.where(version) is ModelState.DEV


def test_rejected_it_begins_again(home: SignedHome) -> None:
    second = home.approved("2026-09")
    home.desk.reject(second, "Anyone", "calibration drifts")
    assert home.where(second) is ModelState.DEV
    refused("MISSING", lambda: home.desk.validate(home.train("2026-10"), "Validator B", WHY))
    refused("STATE", lambda: home.desk.approve(second, "Approver C", WHY, home.key, pia=PIA))
    home.desk.validate(second, "Validator B", WHY)
    refused("STATE", lambda: home.desk.promote(second, "Operator D", WHY))
    with home.state.session() as session:
        assert (
            session.scalars(select(ModelSignOff).where(ModelSignOff.model_no == second.model_no))
            .one()
            .voided_at
        )


def test_rollback_brings_the_earlier_champion_back_at_once(home: SignedHome) -> None:
    first, _ = home.gate()
    refused("STATE", lambda: home.desk.rollback(NAME, "Operator D", WHY))
    second = home.live("2026-09")
    assert home.gate()[0].model_no == second.model_no
    assert home.where(first) is ModelState.APPROVED
    assert home.desk.rollback(NAME, "Operator D", "scores jumped").model_no == first.model_no
    version, signed = home.gate()
    assert version.model_no == first.model_no and signed.bundle_sha256 == first.bundle_sha256
    assert home.where(second) is ModelState.DEV, "its signatures are void"
    with home.state.session() as session:
        told = session.scalars(
            select(audit.AuditEvent).where(audit.AuditEvent.action == "model.restore")
        ).one()
        assert told.details["reason"] == "scores jumped"
        assert audit.verify(session)


def test_a_rollback_to_a_version_whose_sign_off_has_ended_changes_nothing(home: SignedHome) -> None:
    first, _ = home.gate()
    home.days = 80
    second = home.live("2026-09")
    home.days = 370
    refused("EXPIRED", lambda: home.desk.rollback(NAME, "Operator D", WHY))
    assert home.gate()[0].model_no == second.model_no and home.where(first) is ModelState.APPROVED


def test_retired_is_the_end(home: SignedHome) -> None:
    version, _ = home.gate()
    home.desk.retire(version, "Risk Head", WHY)
    refused("MISSING", home.gate)
    refused("STATE", lambda: home.desk.submit(version, "Author A", WHY))
    refused("STATE", lambda: home.desk.rollback(NAME, "Operator D", WHY))
