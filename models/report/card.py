"""The model card (card.json): one model version in plain data for inventories and supervisors; `gscene-card/1` is its schema.

Not the card of the bundle (model.json), which scoring reads: this one is for people and other programs, and scoring never does.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.definition_file import Bilingual
from core.months import CHINA_TIME, Month, knowledge_cutoff
from models.report.circumstances import Circumstances, Standing
from models.report.purpose import event_text
from models.training_record import TrainingRecord
from models.validation.declared import declared
from models.validation.finding import Verdict, worst


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class CardMeasure(_Entry):
    """Discrimination of one candidate on one set of rows."""

    candidate: str = Field(description="scorecard or lightgbm")
    rows_of: str = Field(description="out_of_time, out_of_fold or cross_validation")
    rows: int
    events: int
    auc: float
    auc_low: float = Field(description="lower end of the interval at `confidence`")
    auc_high: float
    confidence: float
    gini: float
    ks: float


class CardGrade(_Entry):
    """One grade on the judged rows; rates are null where it has no rows."""

    grade: int = Field(description="1 is best")
    rows: int
    events: int
    predicted: float | None = Field(description="mean predicted probability")
    observed: float | None
    low: float | None = Field(description="90 % Wilson interval of the observed rate")
    high: float | None


class CardFeature(_Entry):
    """One feature of the model."""

    name: str
    title: Bilingual | None
    sign: int = Field(description="+1 raises the probability of the event, -1 lowers it, 0 free")
    information_value: float
    missing_share: float
    gain_share: float = Field(description="share of LightGBM's gain")
    in_scorecard: bool


class CardFinding(_Entry):
    """A finding that isn't a pass."""

    name: str = Field(description="as in models/validation/statistics.yaml")
    title: Bilingual
    about: str
    value: float | None
    verdict: str
    limits: Bilingual


class CardValidation(_Entry):
    """How the validation ended; `verdict` is the gravest, null where no validation came with the training."""

    verdict: str | None
    counts: dict[str, int] = Field(description="findings by verdict")
    statistics_sha256: str = Field(description="hash of the limits that judged")
    open: list[CardFinding]


class CardCondition(_Entry):
    """What was asked for at a signature."""

    number: int
    text: str
    due_on: str
    closed: bool


class CardStanding(_Entry):
    """Where the version stood when the card was written."""

    state: str = Field(description="dev, validated, approved, live, monitored or retired")
    approver: str | None
    approval: Bilingual | None = Field(description="whether people approved it")
    expires_on: str | None
    pia: str | None = Field(description="reference of the impact assessment")
    evidence_sha256: str | None
    conditions: list[CardCondition]


class ModelCard(_Entry):
    """One version of one model. Aggregates and definitions only; nothing of any subject."""

    format: Literal["gscene-card/1"] = "gscene-card/1"
    name: str
    title: Bilingual
    notice: Bilingual | None = Field(
        description="stands above everything, such as that no person approved it"
    )
    subject: str
    purpose: str
    tier: int | None = Field(
        description="1 decides about credit, 2 supports decisions, 3 neither; null: not in the inventory"
    )
    owner: Bilingual | None
    use: Bilingual | None
    known_limits: list[Bilingual]
    event: Bilingual = Field(description="the predicted event in words")
    training_month: str
    knowledge_cutoff: str = Field(
        description="outcomes and features received later aren't in the sample; China time"
    )
    sources: list[str] = Field(description="contract tables behind features and outcome")
    input_tables: dict[str, int] = Field(description="derived tables and the versions that were read")
    sample: dict[str, int] = Field(description="counts at every step")
    ships: str = Field(description="the candidate that scores")
    why: Bilingual
    judged_on: str
    performance: list[CardMeasure]
    central_tendency: float
    calibration: str = Field(description="platt or isotonic")
    grades: list[CardGrade]
    features: list[CardFeature]
    validation: CardValidation
    seed: int
    bundle_sha256: str
    definition_sha256: str
    feature_set: str
    feature_set_sha256: str
    libraries: dict[str, str]
    standing: CardStanding


def model_card(record: TrainingRecord, circumstances: Circumstances) -> ModelCard:
    """The card of a training; the same record and circumstances give the same card."""
    definition, inputs, entry = record.definition, record.inputs, circumstances.entry
    calibration = record.candidates[record.ships].calibration
    cutoff = knowledge_cutoff(Month.parse(inputs.training_month)).astimezone(CHINA_TIME)
    return ModelCard(
        name=definition.name,
        title=definition.title,
        notice=circumstances.notice,
        subject=str(definition.subject),
        purpose=str(definition.purpose),
        tier=entry.tier if entry else None,
        owner=entry.owner if entry else None,
        use=entry.use if entry else None,
        known_limits=definition.known_limits,
        event=event_text(record),
        training_month=inputs.training_month,
        knowledge_cutoff=f"{cutoff:%Y-%m-%dT%H:%M:%S%z}",
        sources=list(circumstances.sources),
        input_tables=inputs.tables,
        sample=record.steps,
        ships=str(record.ships),
        why=Bilingual(zh=record.choice.reason_zh, en=record.choice.reason_en),
        judged_on=record.judged_on,
        performance=_measures(record),
        central_tendency=calibration.central_tendency,
        calibration=calibration.kind,
        grades=_grades(record),
        features=_features(record, circumstances),
        validation=_validation(record),
        seed=definition.seed,
        bundle_sha256=circumstances.bundle_sha256,
        definition_sha256=definition.sha256,
        feature_set=definition.feature_set,
        feature_set_sha256=inputs.feature_set_sha256,
        libraries=record.libraries,
        standing=card_standing(circumstances.standing),
    )


def card_standing(standing: Standing) -> CardStanding:
    """The one entry of a card that changes after a training."""
    signed = standing.approval
    return CardStanding(
        state=standing.state,
        approver=signed.approver if signed else None,
        approval=signed.kind if signed else None,
        expires_on=str(signed.expires_on) if signed else None,
        pia=(signed.pia or None) if signed else None,
        evidence_sha256=signed.evidence_sha256 if signed else None,
        conditions=[
            CardCondition(
                number=each.number, text=each.text, due_on=str(each.due_on), closed=bool(each.closed_by)
            )
            for each in standing.conditions
        ],
    )


def card_bytes(card: ModelCard) -> bytes:
    """The file; keys in order, numbers whole."""
    plain: dict[str, Any] = card.model_dump(mode="json")
    return (json.dumps(plain, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def _measures(record: TrainingRecord) -> list[CardMeasure]:
    return [
        CardMeasure(
            candidate=str(kind), rows_of=where, rows=m.rows, events=m.events, auc=m.auc.auc, auc_low=m.auc.low,
            auc_high=m.auc.high, confidence=m.auc.confidence, gini=m.gini, ks=m.ks,
        )
        for kind, candidate in record.candidates.items()
        for where, m in candidate.performance.items()
        if m is not None
    ]  # fmt: skip


def _grades(record: TrainingRecord) -> list[CardGrade]:
    rates = ("predicted", "observed", "low", "high")
    return [
        CardGrade(**(asdict(grade) if grade.rows else asdict(grade) | dict.fromkeys(rates)))
        for grade in record.grades
    ]


def _features(record: TrainingRecord, circumstances: Circumstances) -> list[CardFeature]:
    return [
        CardFeature(
            name=each.name, title=circumstances.titles.get(each.name), sign=each.sign, information_value=each.iv,
            missing_share=each.missing_share, gain_share=each.gain_share, in_scorecard=each.in_scorecard,
        )
        for each in record.features
    ]  # fmt: skip


def _validation(record: TrainingRecord) -> CardValidation:
    found = record.findings
    left = [each for each in found if each.verdict not in (Verdict.PASS, Verdict.TOLD)]
    return CardValidation(
        verdict=str(worst(found)) if found else None,
        counts={str(kind): sum(each.verdict is kind for each in found) for kind in Verdict},
        statistics_sha256=declared().sha256,
        open=[
            CardFinding(
                name=each.name, title=each.statistic, about=each.about, value=each.value, verdict=str(each.verdict),
                limits=each.threshold,
            )
            for each in left
        ],
    )  # fmt: skip
