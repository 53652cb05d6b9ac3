"""Pictures of an explanation; the same explanation gives the same bytes. Labels are English."""

from __future__ import annotations

from typing import Any

from core.definition_file import Bilingual
from models.explanation.explanation import Explanation
from models.report.drawing import BLUE, ORANGE, draw_figure
from models.report_blocks import Picture

SHOWN = 15


def importance_picture(explanation: Explanation) -> Picture:
    """Bars of mean absolute contribution, with the loss of AUC by shuffling beside them."""

    def draw(figure: Any) -> None:
        left, right = figure.subplots(1, 2, sharey=True)
        top = explanation.importance[:SHOWN][::-1]
        names = [each.name for each in top]
        left.barh(names, [each.contribution for each in top], color=BLUE)
        right.barh(names, [each.auc_drop or 0.0 for each in top], color=ORANGE)
        left.set(xlabel="mean |contribution|, log-odds")
        right.set(xlabel="loss of AUC when shuffled")
        left.tick_params(axis="y", labelsize=7)

    return draw_figure(
        Bilingual(zh="特征重要性", en="Importance of features"),
        Bilingual(zh="按平均绝对贡献排列的特征", en="Bars of features by mean absolute contribution"),
        draw,
        (8.0, 0.22 * max(6, len(explanation.importance[:SHOWN])) + 0.6),
    )


def profile_picture(explanation: Explanation) -> Picture:
    """One panel a feature: mean PD over its range, the band of individual curves, and a mark where the value is missing."""

    def draw(figure: Any) -> None:
        columns = 3
        rows = max(1, -(-len(explanation.profiles) // columns))
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for panel, told in zip(panels, explanation.profiles, strict=False):
            if told.grid:
                panel.fill_between(told.grid, told.low, told.high, color=BLUE, alpha=0.18, linewidth=0)
                panel.plot(told.grid, told.mean, color=BLUE, linewidth=1.4, marker=".")
            panel.axhline(told.missing[0], color=ORANGE, linewidth=0.9, linestyle="--")
            sign = {1: " (+)", -1: " (-)", 0: ""}[told.sign]
            panel.set_title(told.name + sign, fontsize=7.5)
            panel.set_ylim(bottom=0.0)
            panel.tick_params(labelsize=6)
        for panel in panels[len(explanation.profiles) :]:
            panel.set_visible(False)

    return draw_figure(
        Bilingual(
            zh="部分依赖（PDP）与个体曲线带", en="Partial dependence (PDP) and bands of individual curves"
        ),
        Bilingual(
            zh="每个特征取值变化时的平均违约概率，阴影为80%个体曲线所在范围，虚线为缺失时",
            en="Mean PD as each feature moves; shaded: where 80 % of individual curves lie; dashed: value missing",
        ),
        draw,
        (8.4, 1.9 * max(1, -(-len(explanation.profiles) // 3))),
    )
