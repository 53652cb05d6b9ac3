"""An explanation as blocks of the review report: measures of features, never a row of anybody."""

from __future__ import annotations

from collections.abc import Mapping

from core.definition_file import Bilingual
from models.explanation.explanation import Explanation
from models.explanation.pictures import importance_picture, profile_picture
from models.explanation.reference import STATED
from models.report_blocks import Block, Cell, Paragraph, Table

#: Features in the table of importance, and pairs in that of interactions.
FEATURES, PAIRS = 25, 10


def explanation_blocks(
    explanation: Explanation, titles: Mapping[str, Bilingual] | None = None
) -> tuple[Block, ...]:
    """Reference, importance, profiles, constraint check and interactions; `titles`: what features mean, by name."""
    blocks: list[Block] = [Paragraph(_how(explanation)), _importance(explanation, titles or {})]
    if explanation.importance:
        blocks.append(importance_picture(explanation))
    if explanation.profiles:
        blocks.append(profile_picture(explanation))
    blocks += [_verdict(explanation), _constraints(explanation)]
    if explanation.interactions:
        blocks.append(_interactions(explanation))
    return tuple(blocks)


def _how(explanation: Explanation) -> Bilingual:
    if explanation.ships == "lightgbm":
        zh = "贡献为路径依赖的Shapley值（与LightGBM的pred_contrib一致）"
        en = "Contributions are path-dependent Shapley values, LightGBM's pred_contrib"
    else:
        zh, en = (
            "贡献为低于参照的分数（对数几率）",
            "Contributions are points below the reference, in log-odds",
        )
    seen = explanation.judged_on != "out_of_time"
    return Bilingual(
        zh=f"{STATED.zh}（{explanation.reference.rows:,} 行）。{zh}，基于训练侧 {explanation.rows:,} 行；打乱重要性基于 "
        f"{explanation.judged_rows:,} 行{'（模型见过这些行）' if seen else '（时间外）'}。",
        en=f"{STATED.en} ({explanation.reference.rows:,} rows). {en}, over {explanation.rows:,} rows of the training side; "
        f"shuffling over {explanation.judged_rows:,} rows {'that the model has seen' if seen else 'out of time'}.",
    )


def _importance(explanation: Explanation, titles: Mapping[str, Bilingual]) -> Table:
    reference = dict(explanation.reference.values)
    missing = Bilingual(zh="缺失", en="missing")
    rows: list[tuple[Cell, ...]] = []
    for each in explanation.importance[:FEATURES]:
        at = reference[each.name]
        rows.append(
            (
                each.name,
                titles.get(each.name),
                each.contribution,
                each.gain_share,
                each.auc_drop,
                missing if at is None else at,
            )
        )
    return Table(
        Bilingual(zh="特征重要性", en="Importance of features"),
        (
            Bilingual(zh="特征", en="Feature"), Bilingual(zh="含义", en="Meaning"),
            Bilingual(zh="平均绝对贡献", en="Mean |contribution|"), Bilingual(zh="增益占比", en="Share of gain"),
            Bilingual(zh="打乱后AUC损失", en="AUC lost when shuffled"), Bilingual(zh="参照值", en="Reference"),
        ),
        tuple(rows),
        ("", "", ".4f", ".1%", ".4f", ".4g"),
    )  # fmt: skip


def _verdict(explanation: Explanation) -> Paragraph:
    moves = sum(check.moves for check in explanation.constraints)
    skipped = [check.name for check in explanation.constraints if not check.every_step]
    zh = (
        f"方向约束：{len(explanation.constraints)} 个特征、{moves:,} 步检查，{explanation.against:,} 步违反。"
    )
    en = f"Declared signs: {len(explanation.constraints)} features, {moves:,} steps tried, {explanation.against:,} against."
    if skipped:
        zh += f"步数过多仅抽查：{'、'.join(skipped)}。"
        en += f" Too many steps, so some were left out: {', '.join(skipped)}."
    return Paragraph(Bilingual(zh=zh, en=en))


def _constraints(explanation: Explanation) -> Table:
    worst = sorted(explanation.constraints, key=lambda check: (-check.against, check.name))
    return Table(
        Bilingual(zh="方向约束检查", en="Check of declared signs"),
        (
            Bilingual(zh="特征", en="Feature"), Bilingual(zh="方向", en="Sign"), Bilingual(zh="检查步数", en="Steps"),
            Bilingual(zh="违反步数", en="Against"), Bilingual(zh="最大违反（对数几率）", en="Largest against, log-odds"),
        ),
        tuple((c.name, "+" if c.sign > 0 else "-", c.moves, c.against, c.largest_against) for c in worst),
        ("", "", ",d", ",d", ".4f"),
    )  # fmt: skip


def _interactions(explanation: Explanation) -> Table:
    return Table(
        Bilingual(zh="交互最强的特征对", en="Strongest interactions of two features"),
        (
            Bilingual(zh="特征", en="Feature"),
            Bilingual(zh="特征", en="Feature"),
            Bilingual(zh="H统计量", en="H statistic"),
        ),
        tuple((each.first, each.second, each.h) for each in explanation.interactions[:PAIRS]),
        ("", "", ".3f"),
        Bilingual(
            zh="H为联合效应中非单独效应之和的部分（Friedman与Popescu，2008）；0为无交互。",
            en="H: the part of a joint effect that isn't the sum of the single ones (Friedman and Popescu 2008); 0: none.",
        ),
    )
