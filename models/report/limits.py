"""Part 9: what the model can't do: limits that its definition declares, and weaknesses that its own numbers show."""

from __future__ import annotations

from collections.abc import Iterator

from core.definition_file import Bilingual
from models.report.words import NAMES, ROWS, both
from models.report_blocks import Block, Cell, Paragraph, Table
from models.training_record import TrainingRecord
from models.validation.finding import Verdict

#: Events below which an AUC and a calibration slope are mostly noise: 100 events and 100 non-events (Collins, Ogundimu, Altman,
#: Statistics in Medicine 35 (2016) 214).
LEAST_EVENTS = 100

#: Width of a 95 % interval of AUC that says little: the difference between a fair and a good model.
WIDE_AUC = 0.10

#: Rows below which the observed rate of a grade is told but proves nothing.
LEAST_GRADE_ROWS = 30

#: Share of missing values above which a feature mostly says whether somebody is known to its source.
MOSTLY_MISSING = 0.5

ONLY_A_HELP = both(
    "分数用于支持人工判断，不得作为唯一依据。",
    "The score supports a person's judgement; it must not be the only ground of a decision.",
)


def declared_limits(record: TrainingRecord) -> tuple[Block, ...]:
    """What the definition says, and what holds for every score."""
    return (*(Paragraph(limit) for limit in record.definition.known_limits), Paragraph(ONLY_A_HELP))


def measured_limits(record: TrainingRecord) -> tuple[Block, ...]:
    """Small samples, wide intervals, thin grades, mostly missing features, and statistics that prove nothing."""
    rows = [*_small(record), *_grades(record), *_features(record), *_open(record)]
    if not rows:
        return (
            Paragraph(
                both(
                    "按数据检查：样本量、区间宽度、各等级行数、缺失率与验证结果均未显示弱点。",
                    "By the data: sample sizes, widths of intervals, rows of grades, gaps and findings show no weakness.",
                )
            ),
        )
    table = Table(
        both("数据显示的弱点", "Weaknesses that the data show"),
        (both("弱点", "weakness"), both("对象", "about"), both("数值", "value"), both("界限", "limit")),
        tuple(rows),
    )
    return (table,)


def _small(record: TrainingRecord) -> Iterator[tuple[Cell, ...]]:
    measured = record.candidates[record.ships].performance
    for where, m in measured.items():
        if m is None:
            yield both("样本不足，未能衡量", "too few rows to be measured"), ROWS[where], None, None
            continue
        fewer = min(m.events, m.rows - m.events)
        if fewer < LEAST_EVENTS:
            yield both("事件或非事件太少", "few events or non-events"), ROWS[where], fewer, LEAST_EVENTS
        width = m.auc.high - m.auc.low
        if width > WIDE_AUC:
            yield both("AUC 区间过宽", "wide interval of AUC"), ROWS[where], width, WIDE_AUC
    calibration = record.candidates[record.ships].calibration
    if calibration.events < LEAST_EVENTS:
        yield (
            both("校准样本事件太少", "few events to calibrate on"),
            NAMES[record.ships],
            calibration.events,
            LEAST_EVENTS,
        )


def _grades(record: TrainingRecord) -> Iterator[tuple[Cell, ...]]:
    for grade in record.grades:
        if grade.rows < LEAST_GRADE_ROWS:
            about = both(f"等级 {grade.grade}", f"grade {grade.grade}")
            yield both("等级行数太少", "few rows in a grade"), about, grade.rows, LEAST_GRADE_ROWS


def _features(record: TrainingRecord) -> Iterator[tuple[Cell, ...]]:
    used = set(record.scorecard.names)
    for feature in record.features:
        counts = feature.gain_share > 0.0 or feature.name in used
        if counts and feature.missing_share > MOSTLY_MISSING:
            yield (
                both("特征大多缺失", "mostly missing feature"),
                feature.name,
                feature.missing_share,
                MOSTLY_MISSING,
            )
    for bins in record.scorecard.bins:
        if not bins.missing_seen:
            yield (
                both("评分卡特征在训练中从未缺失，缺失时按零分", "never missing in training; scored as zero when it is"),
                bins.name,
                None,
                None,
            )  # fmt: skip


def _open(record: TrainingRecord) -> Iterator[tuple[Cell, ...]]:
    for finding in record.findings:
        if finding.verdict is Verdict.UNPROVEN:
            limits = finding.threshold if finding.threshold.zh else None
            yield (
                both("未能证明", "unproven"),
                _named(finding.statistic, finding.about),
                finding.value,
                limits,
            )
        elif finding.verdict is Verdict.UNMEASURED:
            yield (
                both("未能衡量", "not measured"),
                _named(finding.statistic, finding.about),
                None,
                finding.note,
            )


def _named(statistic: Bilingual, about: str) -> Bilingual:
    return both(f"{statistic.zh} [{about}]", f"{statistic.en} [{about}]") if about else statistic
