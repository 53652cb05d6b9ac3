"""Part 1: what the model is for, how much depends on it, whose it is, and which event it predicts."""

from __future__ import annotations

from core.definition_file import Bilingual
from models.points import ANCHOR_ODDS, ANCHOR_POINTS, POINTS_TO_DOUBLE_ODDS
from models.report.circumstances import Circumstances
from models.report.words import PURPOSES, TIERS, both, same, subject_word
from models.report_blocks import Block, Cell, Paragraph, Table
from models.training_record import TrainingRecord

NOT_IN_INVENTORY = both(
    "模型清单（sign_off.yaml）中没有该模型，因此没有等级和责任部门；登记前不能审批。",
    "The model is not in the inventory (sign_off.yaml), so it has no tier and no owner; it can't be approved before.",
)


def purpose_blocks(record: TrainingRecord, circumstances: Circumstances) -> tuple[Block, ...]:
    """Use, tier and owner of the inventory; subject, purpose and scale of the definition; the event in words."""
    definition, entry = record.definition, circumstances.entry
    rows: list[tuple[Cell, ...]] = [
        (both("模型", "model"), definition.name),
        (both("名称", "title"), definition.title),
        (both("主体", "subject"), subject_word(str(definition.subject))),
        (both("目的", "purpose"), PURPOSES[str(definition.purpose)]),
    ]
    if entry is not None:
        rows += [
            (both("用途", "use"), entry.use),
            (both("等级", "tier"), TIERS[entry.tier]),
            (both("责任部门", "owner"), entry.owner),
        ]
    if circumstances.review_every_days is not None:
        days = circumstances.review_every_days
        rows.append((both("复审", "review"), both(f"最长每 {days} 天", f"at least every {days} days")))
    rows.append(
        (
            both("分数尺度", "scale of points"),
            both(
                f"{ANCHOR_POINTS:g} 分 = 好坏比 {ANCHOR_ODDS:g}:1，每 {POINTS_TO_DOUBLE_ODDS:g} 分翻倍",
                f"{ANCHOR_POINTS:g} points = odds of {ANCHOR_ODDS:g}:1, {POINTS_TO_DOUBLE_ODDS:g} points double them",
            ),
        )
    )
    head = (both("项目", "item"), both("内容", "what"))
    blocks: list[Block] = [Table(both("目的与等级", "Purpose and tier"), head, tuple(rows))]
    if entry is None:
        blocks.append(Paragraph(NOT_IN_INVENTORY))
    return (*blocks, Paragraph(event_text(record)))


def event_text(record: TrainingRecord) -> Bilingual:
    """The predicted event as the definition has it."""
    label = record.definition.label
    if label.kind == "stated_outcome":
        return both(
            f"表中 {label.column} 列给出的结果。",
            f"As the column {label.column} of the table states it.",
        )
    if label.kind == "account_dpd":
        classes = "（或五级分类次级及以下）" if label.bad_classes else ""
        worse = " or class substandard or worse" if label.bad_classes else ""
        return both(
            f"观察月后 {label.window_months} 个月内逾期 {label.bad_dpd} 天以上、核销{classes}为坏；逾期 "
            f"{label.indeterminate_dpd}-{label.bad_dpd - 1} 天为不确定；表现期未满永不算好（定义第 {label.version} 版）。",
            f"Bad: {label.bad_dpd} or more days past due, or written off{worse}, within {label.window_months} months after "
            f"the as-of month; indeterminate: {label.indeterminate_dpd} to {label.bad_dpd - 1} days; immature is never good "
            f"(definition version {label.version}).",
        )
    if label.kind == "bank_outcome":
        return both(
            f"银行提供的违约结果（定义第 {label.version} 版）。",
            f"Default as stated by the bank (definition version {label.version}).",
        )
    return both(
        f"营销后 {label.response_days} 天内响应（{'、'.join(label.events)}；定义第 {label.version} 版）。",
        f"Response within {label.response_days} days of assignment ({', '.join(label.events)}; definition version "
        f"{label.version}).",
    )


def head_facts(record: TrainingRecord) -> tuple[tuple[Bilingual, Cell], ...]:
    """What stands under the title."""
    definition = record.definition
    return (
        (both("训练月", "training month"), same(record.inputs.training_month)),
        (both("主体", "subject"), subject_word(str(definition.subject))),
        (both("目的", "purpose"), PURPOSES[str(definition.purpose)]),
        (both("特征集", "feature set"), same(definition.feature_set)),
    )
