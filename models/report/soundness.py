"""Part 3: why this method, what was compared, which candidate was chosen and by which numbers, and what stands inside both."""

from __future__ import annotations

from typing import Any

from models.candidates import CandidateKind
from models.report.circumstances import Circumstances
from models.report.pictures import importance, ranked
from models.report.words import NAMES, ROWS, SIGNS, both, method, same
from models.report_blocks import Block, Cell, Paragraph, Table
from models.training_record import TrainingRecord

METHOD = both(
    "比较两个候选模型：LightGBM（按特征目录声明的方向施加单调约束）与 WoE 评分卡（分箱、逻辑回归、分值可逐项阅读）。"
    "评分卡的每一分都可以核对和质疑，因此只有当 LightGBM 在两者都未见过的样本上明显更好时才采用 LightGBM。"
    "概率先按违约结果校准，再整体平移到中心趋势，最后映射为等级和分数。",
    "Two candidates are compared: LightGBM, with monotone constraints as the catalogue of features declares them, and a WoE "
    "scorecard (bins, logistic regression, points that can be read one by one). Each point of a scorecard can be checked and "
    "argued with, so LightGBM ships only where it is clearly better on rows that neither has seen. Log-odds are calibrated to "
    "outcomes, shifted to the central tendency, and mapped to grades and points.",
)


def method_blocks(record: TrainingRecord) -> tuple[Block, ...]:
    """The method and the parameters of both candidates."""
    definition = record.definition
    rows: list[tuple[Cell, ...]] = [
        (NAMES[kind], same(name), _plain(value))
        for kind, settings in (
            (CandidateKind.LIGHTGBM, {**record.lightgbm_settings, "rounds_used": record.booster.rounds}),
            (CandidateKind.SCORECARD, definition.scorecard.model_dump()),
        )
        for name, value in settings.items()
    ]
    columns = (both("候选模型", "candidate"), both("参数", "parameter"), both("取值", "value"))
    parameters = Table(both("参数", "Parameters"), columns, tuple(rows), folded=True)
    return (Paragraph(METHOD), parameters)


def choice_blocks(record: TrainingRecord) -> tuple[Block, ...]:
    """Which candidate ships, and the difference that decided."""
    choice = record.choice
    decided = Table(
        both("选择依据：LightGBM 的 AUC 减评分卡的 AUC", "The choice: LightGBM's AUC minus the scorecard's"),
        (
            both("采用", "ships"), both("差", "difference"), both("下限", "low"), both("上限", "high"),
            both("要求", "margin"), both("置信度", "confidence"), both("方法", "method"), both("样本", "judged on"),
        ),
        (
            (
                NAMES[choice.ships], choice.difference, choice.low, choice.high, choice.margin, choice.confidence,
                method(choice.method), ROWS[record.judged_on],
            ),
        ),
        ("", "+.4f", "+.4f", "+.4f", ".3f", ".0%", "", ""),
    )  # fmt: skip
    return (Paragraph(both(choice.reason_zh, choice.reason_en)), decided)


def feature_blocks(record: TrainingRecord, circumstances: Circumstances) -> tuple[Block, ...]:
    """Every feature, the strongest first: title, monotone sign, phrase, IV, gaps, gain, use in the scorecard."""
    rows = tuple(
        (
            feature.name, circumstances.titles.get(feature.name), SIGNS[feature.sign], feature.phrase or None, feature.iv,
            feature.missing_share, feature.gain_share, feature.in_scorecard,
        )
        for feature in ranked(record)
    )  # fmt: skip
    table = Table(
        both("特征", "Features"),
        (
            both("特征", "feature"), both("名称", "title"), both("单调方向", "monotone sign"), both("理由短语", "phrase"),
            both("IV", "IV"), both("缺失", "missing"), both("LightGBM 增益", "share of gain"),
            both("入评分卡", "in scorecard"),
        ),
        rows,
        ("", "", "", "", ".3f", ".1%", ".1%", ""),
        both(
            "方向为事件概率随特征值升高的变化；声明方向的特征在 LightGBM 中受单调约束，在评分卡中分箱单调。",
            "The sign says how the probability of the event moves as the value rises; declared signs are constraints in LightGBM "
            "and monotone bins in the scorecard.",
        ),
        folded=True,
    )  # fmt: skip
    return (importance(record), table)


def _plain(value: Any) -> Cell:
    # Whole numbers as text: a seed with thousands apart is another seed.
    return value if isinstance(value, float) else str(value)
