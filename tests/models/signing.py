"""A home folder with trained versions of the small model, a sign-off policy, an impact assessment and a promotion key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

import pytest

from core.clock import FixedClock
from core.errors import GateRefused, SignOffRefused
from core.months import Month
from core.settings import Settings
from core.state import ModelVersion, StateDatabase
from models.artefact import write_bundle
from models.evidence import REPORT, keep_report
from models.lifecycle import ModelState, state_of
from models.monthly_training import record_version
from models.promotion_key import PromotionKey, create_key, load_promotion_key
from models.sign_off import SignOff, require_sign_off
from models.signing_desk import SigningDesk
from models.training_record import TrainingRecord
from tests.models.worlds import trained

NAME = "tiny_risk"
NOW = datetime(2026, 11, 6, 4, tzinfo=UTC)
AS_OF = Month(2026, 12)
WHY = "because the report says so"

POLICY = """
policy: sign_off
version: 1
approval_valid_days: 365
validation_valid_days: 90
review_every_days: 180
models:
  tiny_risk: {tier: 2, owner: {zh: 风险, en: Risk}, use: {zh: 测试, en: Tests}}
"""

PIA = """
pia: PIA-2026-07
title: Small firms, risk
assessed_by: Zhou Min
assessed_on: 2020-07-01
valid_until: 2099-06-30
subjects: [enterprise]
purposes: [risk]
features: [late_6m, "*_12m", noise]
"""


@dataclass
class SignedHome:
    """One home; `days` moves its clock."""

    home: Path
    days: int = 0
    sign_off: str = "required"
    start: datetime = NOW

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "sign_off.yaml").write_text(POLICY, encoding="utf-8")
        (self.home / "pia").mkdir(exist_ok=True)
        (self.home / "pia" / "PIA-2026-07.yaml").write_text(PIA, encoding="utf-8")
        (self.home / "gscene.yaml").write_text(f"sign_off: {self.sign_off}\n", encoding="utf-8")
        self.state = StateDatabase(f"sqlite:///{self.home / 'state.db'}")
        self.state.migrate()

    @property
    def settings(self) -> Settings:
        """As the file says now."""
        return Settings.load(self.home)

    @property
    def clock(self) -> FixedClock:
        """The moved clock."""
        return FixedClock(self.start + timedelta(days=self.days))

    @property
    def desk(self) -> SigningDesk:
        """Where people sign."""
        return SigningDesk(self.state, self.settings, self.clock)

    @cached_property
    def key_file(self) -> Path:
        """The private key, outside of the home."""
        file = self.home.parent / f"{self.home.name}-key" / "promotion.pem"
        create_key(file, self.settings, self.state, self.clock, "Key Officer")
        return file

    @property
    def key(self) -> PromotionKey:
        """Loaded."""
        return load_promotion_key(self.key_file, self.settings)

    def train(self, month: str = "2026-06", record: TrainingRecord | None = None) -> ModelVersion:
        """Enter a version as a training does, without MLflow."""
        record = record or trained()
        record = replace(record, inputs=replace(record.inputs, training_month=month))
        bundle = self.home / "models" / NAME / f"{month}-made"
        sha256 = write_bundle(record, bundle)
        keep_report(bundle, {REPORT: f"<p>{sha256}</p>".encode()})
        return record_version(
            record, bundle, sha256, state=self.state, settings=self.settings, clock=self.clock
        )

    def approved(self, month: str = "2026-06", record: TrainingRecord | None = None) -> ModelVersion:
        """A version with the signatures of three people."""
        version = self.train(month, record)
        self.desk.submit(version, "Author A", WHY)
        self.desk.validate(version, "Validator B", WHY)
        self.desk.approve(version, "Approver C", WHY, self.key, pia="PIA-2026-07")
        return version

    def live(self, month: str = "2026-06", record: TrainingRecord | None = None) -> ModelVersion:
        """A version that scores."""
        version = self.approved(month, record)
        self.desk.promote(version, "Operator D", WHY)
        return version

    def where(self, version: ModelVersion) -> ModelState:
        """Its state."""
        with self.state.session() as session:
            return state_of(session, version)

    def gate(self, as_of: Month = AS_OF) -> tuple[ModelVersion, SignOff]:
        """What scoring asks."""
        return require_sign_off(self.state, self.settings, NAME, as_of, self.clock)


def refused(code: str, act: Callable[[], object]) -> SignOffRefused:
    """The refusal of `act`, with this code and a remedy."""
    with pytest.raises(SignOffRefused) as refusal:
        act()
    assert refusal.value.code == f"SIGN_OFF/{code}", refusal.value
    assert refusal.value.remedy and isinstance(refusal.value, GateRefused)
    return refusal.value
