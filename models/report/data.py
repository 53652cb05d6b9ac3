"""Part 2: where the sample comes from, as of when it was known, and how many rows were lost at each step."""

from __future__ import annotations

from core.definition_file import Bilingual
from core.months import CHINA_TIME, CUTOFF_DAYS, Month, knowledge_cutoff
from models.report.circumstances import Circumstances
from models.report.words import both, step
from models.report_blocks import Block, Paragraph, Table
from models.training_record import TrainingRecord


def source_blocks(record: TrainingRecord, circumstances: Circumstances) -> tuple[Block, ...]:
    """Contract tables behind features and outcome, and the versions of the derived tables that were read."""
    versions = Table(
        both("输入表及其版本", "Input tables and the versions that were read"),
        (both("表", "table"), both("版本", "version")),
        tuple((table, version) for table, version in sorted(record.inputs.tables.items())),
        ("", "d"),
    )
    if not circumstances.sources:
        return (versions,)
    sources = Table(
        both("数据来源（合同表）", "Sources (contract tables)"),
        (both("表", "table"),),
        tuple((table,) for table in circumstances.sources),
    )
    return (sources, versions)


def time_blocks(record: TrainingRecord) -> tuple[Block, ...]:
    """As-of months and the knowledge cutoff."""
    month = Month.parse(record.inputs.training_month)
    cutoff = f"{knowledge_cutoff(month).astimezone(CHINA_TIME):%Y-%m-%d %H:%M}"
    return (
        Paragraph(
            both(
                f"训练月 {month}。每个观察月的特征只用该月末后第 {CUTOFF_DAYS} 天之前收到的记录；结果以训练月已知者为准，"
                f"获知截止 {cutoff}（北京时间）。此后才收到的更正不进入样本。",
                f"Training month {month}. Features of an as-of month hold only records received up to day {CUTOFF_DAYS} after "
                f"its end; outcomes are those known in the training month, knowledge cutoff {cutoff} China time. What was "
                "corrected later isn't in the sample.",
            )
        ),
    )


def waterfall_blocks(record: TrainingRecord) -> tuple[Block, ...]:
    """Counts at every step from outcomes to the sample and its split."""
    waterfall = Table(
        both("样本逐步计数", "Sample, step by step"),
        (both("步骤", "step"), both("数量", "count")),
        tuple((step(name), count) for name, count in record.steps.items()),
        ("", ",d"),
    )
    return (waterfall, Paragraph(_split_text(record)))


def _split_text(record: TrainingRecord) -> Bilingual:
    split = record.definition.split
    if split.kind == "by_time":
        return both(
            f"训练 {split.training_vintages} 个观察月，时间外 {split.out_of_time_vintages} 个观察月，"
            f"间隔 {split.gap_months} 个月；"
            f"按主体散列留出 {split.holdout_share:.0%}，同一主体不会同时出现在两侧。",
            f"{split.training_vintages} training vintages, {split.out_of_time_vintages} out-of-time vintages, a gap in months: "
            f"{split.gap_months}; {split.holdout_share:.0%} of subjects held out by hash, no subject on both sides.",
        )
    return both(
        f"{split.folds} 折分层交叉验证，重复 {split.repeats} 次；分箱、选变量均在折内重做。",
        f"{split.folds}-fold stratified cross-validation, repeated {split.repeats} times; binning and selection redone in "
        "every fold.",
    )
