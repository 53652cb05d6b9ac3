"""Part 5: how well the model ranks, whether its probabilities are true, and what each grade and band of points holds."""

from __future__ import annotations

from models.report.pictures import (
    auc_intervals,
    band_width,
    bands,
    calibration,
    distribution,
    grades,
    roc,
    segment_intervals,
)
from models.report.words import NAMES, ROWS, both
from models.report_blocks import Block, Cell, Paragraph, Table
from models.training_record import TrainingRecord

TOO_FEW = both("样本不足，无法衡量。", "Too few rows to be measured.")


def performance_blocks(record: TrainingRecord) -> tuple[Block, ...]:
    """Discrimination of both candidates on each set of rows, with intervals; ROC and intervals as pictures."""
    rows: list[tuple[Cell, ...]] = []
    for kind, candidate in record.candidates.items():
        for where, m in candidate.performance.items():
            head: tuple[Cell, ...] = (NAMES[kind], kind is record.ships, ROWS[where])
            if m is None:
                rows.append((*head, *[None] * 8))
                continue
            rows.append(
                (*head, m.rows, m.events, m.auc.auc, m.auc.low, m.auc.high, m.gini, m.ks, m.top_decile_rate)
            )
    table = Table(
        both("两个候选模型的区分能力", "Discrimination of both candidates"),
        (
            both("候选模型", "candidate"), both("采用", "ships"), both("样本", "rows of"), both("行数", "rows"),
            both("事件", "events"), both("AUC", "AUC"), both("下限", "low"), both("上限", "high"), both("Gini", "Gini"),
            both("KS", "KS"), both("最高一成事件率", "event rate of top decile"),
        ),
        tuple(rows),
        ("", "", "", ",d", ",d", ".3f", ".3f", ".3f", ".3f", ".3f", ".1%"),
    )  # fmt: skip
    if not any(None not in candidate.performance.values() for candidate in record.candidates.values()):
        return (table, Paragraph(TOO_FEW))
    return (table, *_spread(record), roc(record), auc_intervals(record))


def _spread(record: TrainingRecord) -> tuple[Block, ...]:
    rows = tuple(
        (NAMES[kind], c.spread.mean, c.spread.sd, c.spread.p05, c.spread.p95)
        for kind, c in record.candidates.items()
        if c.spread is not None
    )
    if not rows:
        return ()
    columns = (
        both("候选模型", "candidate"), both("均值", "mean"), both("标准差", "sd"), both("5% 分位", "5 %"),
        both("95% 分位", "95 %"),
    )  # fmt: skip
    title = both("AUC 在重复交叉验证间的离散", "Spread of AUC over repeats of cross-validation")
    return (Table(title, columns, rows, ("", ".3f", ".3f", ".3f", ".3f")),)


def calibration_blocks(record: TrainingRecord) -> tuple[Block, ...]:
    """How log-odds became probabilities: method, central tendency, rows."""
    rows = tuple(
        (
            NAMES[kind], kind is record.ships, c.calibration.kind, c.calibration.slope, c.calibration.intercept,
            c.calibration.shift, c.calibration.central_tendency, c.calibration.rows, c.calibration.events,
        )
        for kind, c in record.candidates.items()
    )  # fmt: skip
    table = Table(
        both("校准方法与中心趋势", "Calibration and central tendency"),
        (
            both("候选模型", "candidate"), both("采用", "ships"), both("方法", "method"), both("斜率", "slope"),
            both("截距", "intercept"), both("平移", "shift"), both("中心趋势", "central tendency"), both("行数", "rows"),
            both("事件", "events"),
        ),
        rows,
        ("", "", "", ".3f", ".3f", ".3f", ".2%", ",d", ",d"),
    )  # fmt: skip
    return (table,)


def grade_blocks(record: TrainingRecord) -> tuple[Block, ...]:
    """Grades on the judged rows: predicted and observed rate with its interval."""
    where = ROWS[record.judged_on]
    if not any(grade.rows for grade in record.grades):
        return (
            Paragraph(both("没有可评判的行，等级表为空。", "There are no judged rows: no grade has any.")),
        )
    table = Table(
        both(f"等级（1 级最好；{where.zh}）", f"Grades (1 is best; {where.en})"),
        (
            both("等级", "grade"), both("行数", "rows"), both("事件", "events"), both("预测", "predicted"),
            both("实际", "observed"), both("90% 下限", "90 % low"), both("90% 上限", "90 % high"),
        ),
        tuple(
            (g.grade, g.rows, g.events, *((g.predicted, g.observed, g.low, g.high) if g.rows else [None] * 4))
            for g in record.grades
        ),
        ("d", ",d", ",d", ".2%", ".2%", ".2%", ".2%"),
    )  # fmt: skip
    return (table, grades(record), calibration(record))


def band_blocks(record: TrainingRecord) -> tuple[Block, ...]:
    """Bands of points: rows, events, event rate."""
    if not record.score_bands:
        return ()
    width = band_width(record)
    table = Table(
        both("分数段", "Bands of points"),
        (
            both("自", "from"), both("至（不含）", "below"), both("行数", "rows"), both("事件", "events"),
            both("事件率", "event rate"),
        ),
        tuple(
            (start, start + width, others + events, events, events / (others + events) if others + events else None)
            for start, others, events in record.score_bands
        ),
        (".0f", ".0f", ",d", ",d", ".2%"),
    )  # fmt: skip
    return (table, distribution(record), bands(record))


def segment_pictures(record: TrainingRecord) -> tuple[Block, ...]:
    """AUC by segment with its interval, where segments were large enough."""
    picture = segment_intervals(record.findings)
    return () if picture is None else (picture,)
