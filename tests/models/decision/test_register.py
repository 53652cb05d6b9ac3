"""The register: one proposes, another adopts; nothing is edited, nothing overlaps, and a changed file decides nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import audit
from core.clock import FixedClock
from core.errors import GateRefused, GsceneError, Refusal
from core.purpose import Purpose
from core.settings import Settings
from core.state import StateDatabase
from models.decision.policy import SHIPPED, check_policy, load_decision_policy
from models.decision.register import adopt, policy_in_force, propose, registered, require_no_overlap
from pipelines.workplace import blueprint
from tests.models.decision.made import policy

TEXT = """
policy: {name}
version: {version}
model: tiny_risk
title: {{zh: 试, en: tiny}}
owner: {{zh: 风险, en: Risk}}
effective_from: {begin}
effective_to: {end}
cut_offs: {{approve_from: {cut}, decline_below: 540}}
economics: {{exposure_amt: 1000, margin_rate: 0.1, lgd: 0.5, cost_amt: 2}}
"""


class Register:
    """One home and its clock."""

    def __init__(self, folder: Path) -> None:
        (folder / "home").mkdir()
        self.folder = folder
        self.settings = Settings.load(folder / "home")
        self.state = StateDatabase(f"sqlite:///{folder / 'home' / 'state.db'}")
        self.state.migrate()
        self.clock = FixedClock(datetime(2026, 11, 10, 4, tzinfo=UTC))

    def propose(
        self,
        version: int,
        begin: str,
        end: str = "null",
        name: str = "tiny_credit",
        cut: int = 580,
        by: str = "Li Wei",
    ) -> Path:
        file = self.folder / f"{name}-{version}.yaml"
        file.write_text(
            TEXT.format(name=name, version=version, begin=begin, end=end, cut=cut), encoding="utf-8"
        )
        with self.state.session() as session:
            propose(session, self.settings, self.clock, file, by, "minutes")
        return file

    def adopt(self, version: int, name: str = "tiny_credit", by: str = "Chen Yu") -> None:
        with self.state.session() as session:
            adopt(session, self.settings, self.clock, name, version, by, "committee")

    def on(self, day: str) -> int:
        with self.state.session() as session:
            return policy_in_force(
                session, self.settings, "tiny_risk", date.fromisoformat(day)
            ).policy.version

    def kept(self, version: int, name: str = "tiny_credit") -> Path:
        return self.settings.home / "policies" / name / f"{version}.yaml"


@pytest.fixture
def register(tmp_path: Path) -> Register:
    return Register(tmp_path)


def test_the_one_in_force_on_a_day_is_found(register: Register) -> None:
    register.propose(1, "2026-11-10")
    with pytest.raises(GateRefused, match="no decision policy"):
        register.on("2026-11-10")
    register.adopt(1)
    register.propose(2, "2027-01-01", end="2027-06-30", cut=590)
    register.adopt(2)
    assert [register.on(day) for day in ("2026-11-10", "2026-12-31", "2027-01-01", "2027-06-29")] == [
        1,
        1,
        2,
        2,
    ]
    for day in ("2026-11-09", "2027-06-30"):
        with pytest.raises(GateRefused):
            register.on(day)
    before = register.kept(1).read_bytes()
    register.propose(3, "2027-06-30", cut=600)
    register.adopt(3)
    assert register.on("2028-01-01") == 3 and register.kept(1).read_bytes() == before
    with register.state.session() as session:
        assert [each.state(date(2027, 2, 1)) for each in registered(session, register.settings)] == [
            "ended",
            "in force",
            "adopted",
        ]
        assert audit.verify(session) == 6


def test_its_author_does_not_adopt_it_however_the_name_is_typed(register: Register) -> None:
    register.propose(1, "2026-12-01", by="Li Wei")
    with pytest.raises(GateRefused, match="may not adopt"):
        register.adopt(1, by=" li  WEI")
    register.adopt(1)
    with pytest.raises(GsceneError, match="adopted already"):
        register.adopt(1, by="Sun Hao")


@pytest.mark.parametrize("act", ["edited", "layout", "gone", "proposed"])
def test_a_changed_file_decides_nothing(register: Register, act: str) -> None:
    register.propose(1, "2026-11-10")
    if act != "proposed":
        register.adopt(1)
    kept = register.kept(1)
    text = kept.read_text(encoding="utf-8")
    if act == "gone":
        kept.unlink()
    else:
        kept.write_text(text + "\n" if act == "layout" else text.replace("580", "560"), encoding="utf-8")
    with pytest.raises(GateRefused, match="is missing" if act == "gone" else "was changed"):
        register.adopt(1) if act == "proposed" else register.on("2026-11-11")
    kept.write_text(text, encoding="utf-8")
    if act != "proposed":
        assert register.on("2026-11-11") == 1


def test_a_version_is_never_proposed_twice_or_out_of_turn(register: Register) -> None:
    register.propose(1, "2026-12-01")
    kept = register.kept(1).read_bytes()
    for version in (1, 3):
        with pytest.raises(GsceneError, match="the next version of tiny_credit is 2"):
            register.propose(version, "2026-12-01", cut=700)
    assert register.kept(1).read_bytes() == kept and not register.kept(3).exists()


def test_the_past_is_not_rewritten(register: Register) -> None:
    register.propose(1, "2026-11-09")
    with pytest.raises(GsceneError, match="has passed"):
        register.adopt(1)


def test_overlaps_are_refused(register: Register) -> None:
    register.propose(1, "2026-12-01", end="2027-03-01")
    register.adopt(1)
    for version, begin in ((2, "2026-12-01"), (3, "2026-11-15"), (4, "2027-02-28")):
        register.propose(version, begin)
        with pytest.raises(GsceneError, match="overlaps with tiny_credit/1"):
            register.adopt(version)
    register.propose(1, "2027-02-01", name="other_credit")
    with pytest.raises(GsceneError, match="overlaps with tiny_credit/1"):
        register.adopt(1, name="other_credit")
    register.propose(2, "2026-11-20", end="2026-12-01", name="other_credit")
    register.adopt(2, name="other_credit")
    assert register.on("2026-11-30") == 2 and register.on("2026-12-01") == 1


_DAYS = st.integers(0, 60)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), _DAYS, st.none() | st.integers(1, 30)), max_size=8))
def test_whatever_is_adopted_at_most_one_decides_on_a_day(asked: list[tuple[str, int, int | None]]) -> None:
    start = date(2027, 1, 1).toordinal()
    adopted = []
    for place, (name, begin, length) in enumerate(asked):
        end = None if length is None else str(date.fromordinal(start + begin + length))
        new = policy(
            policy=name,
            version=place + 1,
            effective_from=str(date.fromordinal(start + begin)),
            effective_to=end,
        )
        try:
            require_no_overlap(new, adopted)
        except GsceneError:
            continue
        adopted.append(new)
    for name in "ab":
        begins = [each.effective_from for each in adopted if each.policy == name]
        assert all(a < b for a, b in pairwise(begins))
    for day in range(start, start + 120):
        on = date.fromordinal(day)
        deciding = set()
        for each in adopted:
            later = [
                o.effective_from
                for o in adopted
                if o.policy == each.policy and o.effective_from > each.effective_from
            ]
            ends = [*later, *([each.effective_to] if each.effective_to else [])]
            if each.effective_from <= on and all(on < end for end in ends):
                deciding.add(each.version)
        assert len(deciding) <= 1, (on, deciding)


def test_shipped_examples_fit_their_models_and_are_in_force_nowhere() -> None:
    files = sorted(SHIPPED.glob("*.yaml"))
    assert len(files) == 2
    for file in files:
        told = load_decision_policy(file)
        model = blueprint().models[told.model]
        check_policy(told, file, model, blueprint().feature_sets[model.feature_set])
        assert told.effective_from >= date(2099, 1, 1) and told.vetoes


@pytest.mark.parametrize(
    ("feature", "told"), [("traffic_fines_12m", "protected attribute"), ("nothing", "isn't a feature")]
)
def test_vetoes_stand_on_what_risk_may_see(tmp_path: Path, feature: str, told: str) -> None:
    shipped = (SHIPPED / "resident_credit.yaml").read_text(encoding="utf-8")
    file = tmp_path / "policy.yaml"
    file.write_text(shipped.replace("util_not_restored_6m", feature), encoding="utf-8")
    model = blueprint().models["resident_risk"]
    with pytest.raises(Refusal, match=told) as refused:
        check_policy(load_decision_policy(file), file, model, blueprint().feature_sets[model.feature_set])
    assert refused.value.line == 11


def test_no_policy_for_a_marketing_model(tmp_path: Path) -> None:
    file = SHIPPED / "resident_credit.yaml"
    model = blueprint().models["resident_acquisition"]
    assert model.purpose is Purpose.MARKETING
    with pytest.raises(Refusal, match="serves marketing"):
        check_policy(load_decision_policy(file), file, model, blueprint().feature_sets[model.feature_set])
