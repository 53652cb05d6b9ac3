"""Pictures of a training: what the tables beside them say, each as a pure function of the record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.definition_file import Bilingual
from models.candidates import CandidateKind
from models.report.drawing import BLUE, ORANGE, PALE, SOFT, draw
from models.report.words import NAMES, ROWS
from models.report_blocks import Picture
from models.training_record import FeatureRecord, TrainingRecord
from models.validation.finding import Finding

#: Features shown in a picture.
TOP_FEATURES = 15

#: Segments whose AUC one picture shows at most.
SEGMENTS = 30

_COLOURS = {CandidateKind.SCORECARD: BLUE, CandidateKind.LIGHTGBM: ORANGE}


def roc(record: TrainingRecord) -> Picture:
    """ROC curves of both candidates."""

    def onto(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8, linestyle=":")
        for kind, candidate in record.candidates.items():
            measured = candidate.performance.get(record.judged_on)
            if measured is not None:
                label = f"{NAMES[kind].en}  AUC {measured.auc.auc:.3f}"
                axes.plot(*zip(*candidate.roc, strict=True), color=_COLOURS[kind], linewidth=1.6, label=label)
                axes.legend(loc="lower right")
        axes.set(xlabel="share of non-events flagged", ylabel="share of events flagged")
        axes.set(xlim=(0, 1), ylim=(0, 1.01))

    where = ROWS[record.judged_on]
    return draw(
        Bilingual(zh=f"ROC 曲线（{where.zh}）", en=f"ROC, {where.en}"),
        Bilingual(zh="两个候选模型的 ROC 曲线", en="ROC curves of both candidates"),
        onto,
    )


def auc_intervals(record: TrainingRecord) -> Picture:
    """AUC of each candidate on each set of rows, with its interval."""
    lines = [
        (f"{NAMES[kind].en}\n{ROWS[rows].en}", m.auc.auc, m.auc.low, m.auc.high, _COLOURS[kind])
        for kind, candidate in record.candidates.items()
        for rows, m in candidate.performance.items()
        if m is not None
    ]
    return draw(
        Bilingual(zh="AUC 及其置信区间", en="AUC with its interval"),
        Bilingual(zh="各候选模型在各样本上的 AUC 及区间", en="AUC of each candidate on each set of rows"),
        lambda axes: _intervals(axes, lines, "AUC"),
    )


def segment_intervals(found: Sequence[Finding]) -> Picture | None:
    """AUC inside each segment that is large enough, with its interval; None where there is none."""
    lines = [
        (f"{each.about}: {row[0]}", row[3], row[4], row[5], BLUE)
        for each in found
        if each.name == "segments.auc_loss"
        for table in each.details
        for row in table.rows
        if isinstance(row[3], float)
    ][:SEGMENTS]
    if not lines:
        return None
    return draw(
        Bilingual(zh="分组 AUC 及其区间", en="AUC by segment with its interval"),
        Bilingual(zh="各分组的 AUC", en="AUC of each segment"),
        lambda axes: _intervals(axes, lines, "AUC"),
        (5.2, max(2.6, 0.24 * len(lines) + 0.9)),
    )


def distribution(record: TrainingRecord) -> Picture:
    """Points of rows with and without the event, each as shares of its group."""

    def onto(axes: Any) -> None:
        bands = record.score_bands
        if bands:
            starts, width = [band[0] for band in bands], band_width(record)
            for place, label, colour in ((1, "no event", BLUE), (2, "event", ORANGE)):
                total = max(1, sum(band[place] for band in bands))
                heights = [band[place] / total for band in bands]
                axes.bar(starts, heights, width, align="edge", color=colour, alpha=0.55, label=label)
            axes.legend()
        axes.set(xlabel="points", ylabel="share of its group")

    return draw(
        Bilingual(zh="分数分布（采用的模型）", en="Points of the candidate that ships"),
        Bilingual(zh="事件与非事件主体的分数分布", en="distribution of points with and without the event"),
        onto,
    )


def bands(record: TrainingRecord) -> Picture:
    """Event rate by band of points, with the rows behind it."""

    def onto(axes: Any) -> None:
        shown = [band for band in record.score_bands if band[1] + band[2]]
        starts, width = [band[0] for band in shown], band_width(record)
        rows = [band[1] + band[2] for band in shown]
        axes.bar(starts, rows, width, align="edge", color=PALE, label="rows")
        axes.set(xlabel="points", ylabel="rows")
        other = axes.twinx()
        middle = [start + width / 2 for start in starts]
        rates = [band[2] / count for band, count in zip(shown, rows, strict=True)]
        other.plot(middle, rates, "o-", color=ORANGE, markersize=3, label="event rate")
        other.set_ylabel("event rate")
        other.set_ylim(bottom=0.0)
        other.grid(visible=False)

    return draw(
        Bilingual(zh="分数段的行数与事件率", en="Rows (bars) and event rate (line) by band of points"),
        Bilingual(zh="各分数段行数与事件率", en="rows and event rate by band of points"),
        onto,
    )


def calibration(record: TrainingRecord) -> Picture:
    """Predicted against observed by grade, on logarithmic axes where both are above zero."""

    def onto(axes: Any) -> None:
        grades = [grade for grade in record.grades if grade.rows]
        top = max([grade.high for grade in grades] + [grade.predicted for grade in grades] + [0.01])
        axes.plot([0, top], [0, top], color=SOFT, linewidth=0.8, linestyle=":")
        low = [max(0.0, grade.observed - grade.low) for grade in grades]
        high = [max(0.0, grade.high - grade.observed) for grade in grades]
        predicted = [grade.predicted for grade in grades]
        axes.errorbar(
            predicted, [g.observed for g in grades], yerr=[low, high], fmt="o", color=ORANGE, capsize=3
        )
        for grade in grades:
            axes.annotate(
                str(grade.grade), (grade.predicted, grade.observed), (4, 4), textcoords="offset points"
            )
        axes.set(xlabel="predicted event rate", ylabel="observed event rate (90 %)")

    return draw(
        Bilingual(zh="校准：各等级预测与实际", en="Calibration: predicted against observed by grade"),
        Bilingual(zh="各等级预测与实际事件率", en="predicted and observed event rate of each grade"),
        onto,
    )


def grades(record: TrainingRecord) -> Picture:
    """Predicted and observed event rate along the grades, with the rows in each."""

    def onto(axes: Any) -> None:
        shown = [grade for grade in record.grades if grade.rows]
        numbers = [grade.grade for grade in shown]
        low = [max(0.0, grade.observed - grade.low) for grade in shown]
        high = [max(0.0, grade.high - grade.observed) for grade in shown]
        axes.bar(numbers, [grade.rows for grade in shown], color=PALE)
        axes.set(xlabel="grade (1 = best)", ylabel="rows", xticks=range(1, record.scale.count + 1))
        other = axes.twinx()
        other.errorbar(
            numbers, [g.observed for g in shown], yerr=[low, high], fmt="o", color=ORANGE, capsize=3, label="observed, 90 %"
        )  # fmt: skip
        predicted = [grade.predicted for grade in shown]
        other.plot(numbers, predicted, "_-", color=BLUE, markersize=12, label="predicted")
        other.set_ylabel("event rate")
        other.grid(visible=False)
        # Room for the legend above the bars.
        axes.margins(y=0.25)
        other.set_ylim(0.0, 1.25 * max([grade.high for grade in shown] + predicted + [0.01]))
        other.legend(loc="upper left", ncols=2)

    return draw(
        Bilingual(zh="等级：行数、预测与实际事件率", en="Grades: rows, predicted and observed event rate"),
        Bilingual(zh="各等级行数与事件率", en="rows and event rates of each grade"),
        onto,
    )


def importance(record: TrainingRecord) -> Picture:
    """Information value and share of LightGBM's gain of the leading features."""

    def onto(axes: Any) -> None:
        top = ranked(record)[:TOP_FEATURES][::-1]
        places = range(len(top))
        axes.barh([p + 0.2 for p in places], [f.iv for f in top], 0.38, color=BLUE, label="information value")
        gains = [feature.gain_share for feature in top]
        axes.barh([p - 0.2 for p in places], gains, 0.38, color=ORANGE, label="share of LightGBM's gain")
        names = [f"{feature.name}{' *' if feature.in_scorecard else ''}" for feature in top]
        axes.set_yticks(list(places), names, fontsize=7)
        axes.set(xlabel="* in the scorecard")
        if top:
            axes.legend(loc="lower right")

    return draw(
        Bilingual(zh="主要特征的重要性", en="Importance of the leading features"),
        Bilingual(
            zh="主要特征的信息值和 LightGBM 增益占比", en="information value and share of gain of features"
        ),
        onto,
        (5.2, 4.2),
    )


def gini_by_vintage(found: Sequence[Finding]) -> Picture | None:
    """Gini over vintages; None where fewer than two could be measured."""
    rows = _details(found, "stability.gini_slope", "by_vintage")
    if len(rows) < 2:
        return None

    def onto(axes: Any) -> None:
        axes.plot([row[0] for row in rows], [row[3] for row in rows], "o-", color=BLUE)
        axes.set(xlabel="vintage", ylabel="Gini", ylim=(0, 1))
        axes.tick_params(axis="x", rotation=45)

    return draw(
        Bilingual(zh="各观察月的 Gini", en="Gini by vintage"),
        Bilingual(zh="各观察月的 Gini", en="Gini of each vintage"),
        onto,
    )


def score_psi(found: Sequence[Finding]) -> Picture | None:
    """Shares of score bins then and now; None where there is no reference."""
    rows = _details(found, "stability.score_psi", "score_bins")
    if not rows:
        return None

    def onto(axes: Any) -> None:
        places = [float(row[0]) for row in rows]
        axes.bar([p - 0.2 for p in places], [r[1] for r in rows], 0.38, color=PALE, label="development")
        axes.bar([p + 0.2 for p in places], [r[2] for r in rows], 0.38, color=BLUE, label="now")
        axes.set(xlabel="decile of the development score", ylabel="share of rows")
        axes.legend()

    return draw(
        Bilingual(zh="分数分布的变化（PSI）", en="Score then and now (PSI)"),
        Bilingual(zh="开发期与当前各分数区间占比", en="shares of score bins, development and now"),
        onto,
    )


def feature_psi(found: Sequence[Finding]) -> Picture | None:
    """PSI of the features that moved most; None where there is no reference."""
    rows = _details(found, "stability.feature_psi", "features")[:TOP_FEATURES][::-1]
    if not rows:
        return None

    def onto(axes: Any) -> None:
        axes.barh([row[0] for row in rows], [row[1] for row in rows], color=BLUE)
        axes.axvline(0.1, color=ORANGE, linewidth=1.0, linestyle="--")
        axes.tick_params(axis="y", labelsize=7)
        axes.set(xlabel="PSI (dashed: 0.1)")

    return draw(
        Bilingual(zh="特征 PSI（变化最大者）", en="PSI of the features that moved most"),
        Bilingual(zh="变化最大的特征的 PSI", en="PSI of features"),
        onto,
        (5.2, 4.2),
    )


def ranked(record: TrainingRecord) -> list[FeatureRecord]:
    """Features, the strongest first."""
    return sorted(record.features, key=lambda feature: (-feature.iv, feature.name))


def band_width(record: TrainingRecord) -> float:
    """Width of a band of points."""
    bands = record.score_bands
    return bands[1][0] - bands[0][0] if len(bands) > 1 else 20.0


def _intervals(axes: Any, lines: Sequence[tuple[Any, ...]], measure: str) -> None:
    """Points with whiskers, the first on top."""
    for place, (_, value, low, high, colour) in enumerate(lines[::-1]):
        axes.plot([low, high], [place, place], color=colour, linewidth=1.4)
        axes.plot([value], [place], "o", color=colour, markersize=4)
    axes.set_yticks(range(len(lines)), [line[0] for line in lines[::-1]], fontsize=7)
    axes.set(xlabel=measure, ylim=(-0.6, len(lines) - 0.4))


def _details(found: Sequence[Finding], name: str, table: str) -> list[tuple[Any, ...]]:
    return [
        row
        for each in found
        if each.name == name
        for detail in each.details
        if detail.name == table
        for row in detail.rows
    ]
