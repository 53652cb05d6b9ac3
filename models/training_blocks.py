"""How a training chose its features and parameters, and the scorecard's bins, as blocks of the review report."""

from __future__ import annotations

from collections import Counter

from core.definition_file import Bilingual
from models.points import FACTOR
from models.report_blocks import Block, Cell, Paragraph, Table
from models.scorecard import Scorecard
from models.selection import Fate, Selection
from models.training_record import TrainingRecord
from models.tuning import Tuning

#: Features listed with their fate; the rest is counted.
LISTED = 60

_FATES = {
    Fate.KEPT: Bilingual(zh="入选", en="kept"),
    Fate.CHANCE: Bilingual(zh="与偶然无异", en="no better than chance"),
    Fate.UNSTABLE: Bilingual(zh="前后期方向不一", en="not in both halves of the vintages"),
    Fate.UNSIGNED: Bilingual(zh="违约太少且未声明方向", en="no declared direction, few events"),
    Fate.ALIKE: Bilingual(zh="与更强特征相似", en="like a stronger one"),
    Fate.BEYOND: Bilingual(zh="超出违约数所能支持", en="more than the events carry"),
}


_NO_FEATURE = Bilingual(
    zh="没有特征达到入选标准，评分卡为平均水平。",
    en="No feature met the rule of selection: the scorecard is the base rate.",
)


def training_blocks(record: TrainingRecord) -> tuple[Block, ...]:
    """Selection, search of parameters and the scorecard's bins, in this order; what the training didn't do is left out."""
    blocks: list[Block] = []
    if record.search is not None and record.search.selection is not None:
        blocks += _selection(record.search.selection)
    if record.search is not None and record.search.tuning is not None:
        blocks += _tuning(record.search.tuning)
    return (*blocks, _bins(record.scorecard) if record.scorecard.bins else Paragraph(_NO_FEATURE))


def _selection(selection: Selection) -> list[Block]:
    counts = Counter(feature.fate for feature in selection.features)
    text = Paragraph(
        Bilingual(
            zh=f"{len(selection.features)} 个特征中入选 {len(selection.kept)} 个；{selection.events} 个违约主体可支持 "
            f"{selection.room} 个特征。每一折各自筛选，下表为最终拟合。",
            en=f"{len(selection.kept)} of {len(selection.features)} features were kept; {selection.events} subjects with the "
            f"event carry {selection.room}. Each fold selects for itself; the table is that of the final fit.",
        )
    )
    fates = Table(
        Bilingual(zh="特征筛选结果", en="What became of the features"),
        (Bilingual(zh="结果", en="fate"), Bilingual(zh="特征数", en="features")),
        tuple((_FATES[fate], counts[fate]) for fate in Fate),
        ("", ",d"),
    )
    listed = Table(
        Bilingual(zh="最强的特征", en="Strongest features"),
        (
            Bilingual(zh="特征", en="feature"),
            Bilingual(zh="信息值", en="IV"),
            Bilingual(zh="偶然信息值", en="IV by chance"),
            Bilingual(zh="p 值", en="p-value"),
            Bilingual(zh="结果", en="fate"),
            Bilingual(zh="相似于", en="like"),
        ),
        tuple(
            (f.name, f.iv, f.chance_iv, f.p_value, _FATES[f.fate], f.alike or None)
            for f in selection.features[:LISTED]
        ),
        ("", ".3f", ".3f", ".2g", "", ""),
        folded=True,
    )
    return [text, fates, listed]


def _tuning(tuning: Tuning) -> list[Block]:
    names = sorted(tuning.trials[0].parameters)
    kept_zh = "沿用定义中的参数" if tuning.chosen == 0 else f"采用第 {tuning.chosen} 次试验"
    kept_en = "the definition's parameters stay" if tuning.chosen == 0 else f"trial {tuning.chosen} is used"
    text = Paragraph(
        Bilingual(
            zh=f"在训练侧 {tuning.rows} 行（{tuning.events} 个违约）上按时间顺序试验 {len(tuning.trials)} 次；"
            f"对数损失改善 {tuning.gain:.5f}（标准误 {tuning.gain_error:.5f}）：{kept_zh}。",
            en=f"{len(tuning.trials)} trials in the order of time on {tuning.rows} rows of the training side ({tuning.events} "
            f"events); log-loss better by {tuning.gain:.5f} (standard error {tuning.gain_error:.5f}): {kept_en}.",
        )
    )
    columns = (
        Bilingual(zh="试验", en="trial"),
        Bilingual(zh="对数损失", en="log-loss"),
        Bilingual(zh="AUC", en="AUC"),
        Bilingual(zh="轮数", en="rounds"),
        *(Bilingual(zh=name, en=name) for name in names),
    )
    rows = tuple(
        (trial.number, trial.log_loss, trial.auc, trial.rounds, *(trial.parameters[name] for name in names))
        for trial in tuning.trials
    )
    formats = ("d", ".5f", ".3f", ".0f", *(".3g" for _ in names))
    return [text, Table(Bilingual(zh="参数试验", en="Trials of parameters"), columns, rows, formats)]


def _bins(scorecard: Scorecard) -> Table:
    """Every bin with what it does to the points; missing values apart, with what is done where training saw none."""
    rows: list[tuple[Cell, ...]] = []
    unseen = Bilingual(zh="缺失（训练中未见：0 分）", en="missing (never seen: 0 points)")
    missing = Bilingual(zh="缺失", en="missing")
    for coefficient, bins in zip(scorecard.coefficients, scorecard.bins, strict=True):
        bounds = [*(f"<= {edge:g}" for edge in bins.edges), f"> {bins.edges[-1]:g}" if bins.edges else "*"]
        for bound, woe, goods, bads in zip(bounds, bins.woe, bins.goods, bins.bads, strict=True):
            rows.append((bins.name, bound, goods, bads, woe, FACTOR * coefficient * woe))
        rows.append(
            (
                bins.name,
                missing if bins.missing_seen else unseen,
                bins.missing_goods,
                bins.missing_bads,
                bins.missing_woe,
                FACTOR * coefficient * bins.missing_woe,
            )
        )
    return Table(
        Bilingual(zh="评分卡分箱", en="Bins of the scorecard"),
        (
            Bilingual(zh="特征", en="feature"),
            Bilingual(zh="区间", en="bin"),
            Bilingual(zh="好", en="goods"),
            Bilingual(zh="坏", en="bads"),
            Bilingual(zh="WoE", en="WoE"),
            Bilingual(zh="分数", en="points"),
        ),
        tuple(rows),
        ("", "", ",d", ",d", ".3f", ".1f"),
        Bilingual(
            zh="分数为校准前相对于平均的增减；超出训练范围的值归入最外侧的箱。",
            en="Points are added to the average before calibration; a value beyond the training range falls into the outer bin.",
        ),
    )
