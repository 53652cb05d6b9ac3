"""The sample report as blocks of a review report, in both languages."""

from __future__ import annotations

from core.definition_file import Bilingual
from models.report_blocks import Block, Paragraph, Table
from models.sampling.cohorts import IMMATERIAL, BaseShift, Cohort
from models.sampling.overlap import SUPPORT, Overlap
from models.sampling.sample_report import SampleReport
from models.sampling.waterfall import Waterfall

#: Features told in the table of selection, largest PSI first.
SHOWN = 20

_WORDS = {
    "outcomes": "有结果的主体·月",
    "rows": "样本行数",
    "rows of the table": "表中行数",
    "excluded": "剔除：不属建模人群",
    "immature": "剔除：表现期未满",
    "no features": "剔除：没有特征",
    "no outcome": "剔除：没有结果",
    "no time": "剔除：没有时间",
    "vintage not in the plan": "剔除：不在计划月份",
    "held-out subject in a training vintage": "剔除：留出主体的训练月份",
    "training subject in an out-of-time vintage": "剔除：训练主体的时间外月份",
    "events": "事件（坏/响应）",
    "non-events": "非事件",
    "indeterminate": "不确定",
    "training rows": "训练行数",
    "out-of-time rows": "时间外行数",
}

_SIDES = {
    "training": Bilingual(zh="训练", en="training"),
    "out_of_time": Bilingual(zh="时间外", en="out of time"),
    "between": Bilingual(zh="间隔", en="between"),
    "all": Bilingual(zh="全部", en="all"),
}


def sample_blocks(report: SampleReport) -> tuple[Block, ...]:
    """Label, waterfalls, cohorts, base shift and selection, in this order."""
    since = report.label_effective_from
    label = Paragraph(
        Bilingual(
            zh=f"标签定义 {report.label}{f'，自 {since} 起生效' if since else ''}，SHA-256 {report.label_sha256[:12]}…。",
            en=f"Label definition {report.label}{f', effective from {since}' if since else ''}, SHA-256 "
            f"{report.label_sha256[:12]}….",
        )
    )
    blocks: list[Block] = [label, *(_waterfall(each) for each in report.waterfalls), _cohorts(report.cohorts)]
    if report.base_shift is not None:
        blocks.append(Paragraph(base_shift_text(report.base_shift)))
    return (*blocks, *_selection(report.overlap, report.population))


def base_shift_text(shift: BaseShift) -> Bilingual:
    """The shift of the base rate in a sentence, alarmed or not."""
    rates = f"{shift.training_rate:.1%} → {shift.later_rate:.1%}"
    ratio = f"{shift.ratio:.2f} [{shift.low:.2f}, {shift.high:.2f}]"
    zh = "告警：基准事件率已变化" if shift.alarmed else "未证实有实质性变化"
    en = "ALARM: the base rate has shifted" if shift.alarmed else "no material shift is proven"
    return Bilingual(
        zh=f"训练期到时间外的事件率 {rates}，比值 {ratio}（实质性界限 {IMMATERIAL[0]}-{IMMATERIAL[1]}）：{zh}。",
        en=f"Event rate from training to out of time {rates}, ratio {ratio} (material beyond {IMMATERIAL[0]}-"
        f"{IMMATERIAL[1]}): {en}.",
    )


def _waterfall(found: Waterfall) -> Table:
    rows = [
        (_step(found.what, ""), found.start, None),
        *((_step(reason, "left out: "), -count, None) for reason, count in found.left_out),
        *((_step(part, "= "), None, count) for part, count in found.parts),
    ]
    return Table(
        Bilingual(zh="样本瀑布", en="Sample, step by step"),
        (
            Bilingual(zh="步骤", en="step"),
            Bilingual(zh="行数", en="rows"),
            Bilingual(zh="其中", en="of which"),
        ),
        tuple(rows),
        ("", ",d", ",d"),
        Bilingual(zh="各步之和精确相等。", en="The steps add up exactly."),
    )


def _cohorts(found: tuple[Cohort, ...]) -> Table:
    columns = (
        Bilingual(zh="观察月", en="vintage"),
        Bilingual(zh="侧", en="side"),
        Bilingual(zh="结果数", en="outcomes"),
        Bilingual(zh="事件", en="events"),
        Bilingual(zh="非事件", en="non-events"),
        Bilingual(zh="不确定", en="indeterminate"),
        Bilingual(zh="未成熟", en="immature"),
        Bilingual(zh="剔除", en="excluded"),
        Bilingual(zh="入样行数", en="in the sample"),
        Bilingual(zh="事件率", en="event rate"),
    )
    rows = tuple(
        (each.vintage, _SIDES[each.side], each.outcomes, each.events, each.non_events, each.indeterminate,
         each.immature, each.excluded, each.in_sample, each.rate)
        for each in found
    )  # fmt: skip
    return Table(
        Bilingual(zh="按观察月的队列", en="Cohorts by vintage"),
        columns,
        rows,
        ("", "", *(",d",) * 7, ".2%"),
        Bilingual(zh="未成熟永不算好。", en="Immature is never good."),
    )


def _selection(found: Overlap | None, population: str) -> tuple[Block, ...]:
    if found is None:
        none = Bilingual(
            zh="没有无结果的主体可比，未测量选择效应。",
            en="Nobody is without an outcome, or nobody is known: selection wasn't measured.",
        )
        return (Paragraph(none),)
    columns = (
        Bilingual(zh="特征", en="feature"),
        Bilingual(zh="PSI", en="PSI"),
        Bilingual(zh="偶然上限", en="chance limit"),
        Bilingual(zh="标准化差", en="standardised difference"),
        Bilingual(zh="缺失（有结果）", en="missing, labelled"),
        Bilingual(zh="缺失（无结果）", en="missing, without outcome"),
        Bilingual(zh="超出有结果范围", en="beyond the labelled range"),
    )
    rows = tuple(
        (each.name, each.psi, each.psi_limit, each.difference, each.missing_labelled, each.missing_unlabelled,
         each.outside)
        for each in found.features[:SHOWN]
    )  # fmt: skip
    table = Table(
        Bilingual(zh="有结果与被评分人群的差异", en="Those with an outcome against those who are scored without one"),
        columns,
        rows,
        ("", ".3f", ".3f", ".2f", ".1%", ".1%", ".1%"),
    )  # fmt: skip
    return (Paragraph(selection_text(found, population)), table)


def selection_text(found: Overlap, population: str) -> Bilingual:
    """Sizes, domain AUC and share outside the support, in a sentence."""
    sizes = f"{found.labelled:,} / {found.unlabelled:,}"
    if found.domain_auc is None or found.outside_support is None:
        return Bilingual(
            zh=f"{population}：有结果/无结果 {sizes} 行，太少，未训练域分类器。",
            en=f"{population}: {sizes} rows with / without an outcome; too few for a domain classifier.",
        )
    told = f"{found.domain_auc:.3f} [{found.domain_low:.3f}, {found.domain_high:.3f}]"
    return Bilingual(
        zh=f"{population}：有结果/无结果 {sizes} 行；域分类器 AUC {told}（0.5 为无差异）；无结果者中 "
        f"{found.outside_support:.1%} 落在有结果者的支撑之外（无差异时约 {1 - SUPPORT:.0%}），其分数是外推。",
        en=f"{population}: {sizes} rows with / without an outcome; domain classifier AUC {told} (0.5: alike); "
        f"{found.outside_support:.1%} of those without an outcome lie outside the support of those with one (about "
        f"{1 - SUPPORT:.0%} where alike): their scores are extrapolations.",
    )


def _step(name: str, before: str) -> Bilingual:
    return Bilingual(zh=_WORDS.get(name, name), en=f"{before}{name}")
