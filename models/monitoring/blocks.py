"""What monitoring shows, as blocks: for its own page, and for the parts `stability` and `outcomes` of a model's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.definition_file import Bilingual
from models.monitoring.measure import Measure, Monitored
from models.monitoring.pictures import (
    draw,
    drift_over_months,
    grades_over_months,
    performance_over_months,
    rates_over_months,
)
from models.monitoring.triggers import Decision, TriggerPolicy
from models.report_blocks import Block, Cell, Paragraph, Part, Table

#: Features told, largest movers first.
TOP = 15


def _b(zh: str, en: str) -> Bilingual:
    return Bilingual(zh=zh, en=en)


#: Measures told one by one, with their words and how their numbers are written.
STABILITY = {
    "scored": (_b("已评分主体", "Subjects scored"), ",.0f"),
    "mean_pd": (_b("平均违约概率", "Mean PD"), ".4f"),
    "score_psi_reference": (_b("评分 PSI（对训练月人群）", "Score PSI against the training month's population"), ".4f"),
    "score_psi_previous": (_b("评分 PSI（对上月）", "Score PSI against last month"), ".4f"),
    "features_moved": (_b("漂移特征占比", "Share of features that moved"), ".1%"),
    "source_missing_rise": (_b("来源缺失率最大增幅", "Greatest rise of a source's missing share"), ".1%"),
    "ungraded_share": (_b("无法评分占比（未获授权）", "Share without a grade (no source may be used)"), ".1%"),
    "grade_mobility": (_b("等级流动性（对上月）", "Grade mobility since last month"), ".3f"),
    "grade_jumps": (_b("跨两级以上占比", "Share that moved two grades or more"), ".1%"),
    "grade_worse": (_b("恶化减改善占比", "Share worse minus share better"), ".1%"),
}  # fmt: skip
OUTCOMES = {
    "reference_pd": (_b("参考违约概率（中心趋势）", "Reference PD (central tendency)"), ".4f"),
    "trained_auc": (_b("训练时 AUC（样本外）", "AUC at training, on rows it was judged on"), ".3f"),
    "expected_auc": (_b("预期 AUC（CBPE）", "Expected AUC (CBPE)"), ".3f"),
    "expected_auc_fall": (_b("预期 AUC 较训练月下降", "Fall of expected AUC since the training month"), ".3f"),
    "expected_brier": (_b("预期 Brier", "Expected Brier score"), ".4f"),
    "expected_rate": (_b("预期违约率", "Expected event rate"), ".4f"),
    "early_delinquency": (_b("早期逾期率（3 个月内 30+）", "Early delinquency (30+ within 3 months)"), ".4f"),
    "early_delinquency_rise": (_b("早期逾期率上升（下限）", "Rise of early delinquency, lower end"), ".1%"),
    "early_auc": (_b("对早期逾期的 AUC", "AUC for early delinquency"), ".3f"),
    "mature_vintages": (_b("已成熟观察月数", "Mature vintages"), ",.0f"),
}  # fmt: skip

ASSUMPTIONS = _b(
    "预期表现假定违约概率校准正确，仅能反映被评分人群的变化，不能反映同样的人变得更有风险。早期逾期只与此前观察月比较，不与违约概率比较。未成熟的结果从不计为好。",
    "Expected performance takes the calibrated PDs as right: it sees who is scored, not whether the same people became riskier. "
    "Early delinquency is compared with earlier vintages, never with the PD. An immature outcome never counts as good.",
)
NOTHING_MATURE = _b(
    "尚无观察月的表现期结束，因此没有实际结果。",
    "No vintage's window has closed yet, so nothing has come true or false.",
)


def monitoring_blocks(
    monitored: Monitored, history: Mapping[str, Monitored]
) -> dict[Part, tuple[Block, ...]]:
    """Blocks for the parts stability and outcomes. `history`: monitored months up to this one, this one among them."""
    return {
        Part.STABILITY: stability_blocks(monitored, history),
        Part.OUTCOMES: outcome_blocks(monitored, history),
    }


def stability_blocks(monitored: Monitored, history: Mapping[str, Monitored]) -> tuple[Block, ...]:
    """Drift of scores, features, grades and sources."""
    blocks: list[Block] = [
        Paragraph(
            _b(
                f"{monitored.month}，版本 {monitored.model_version}，参考月 {monitored.reference_month or '无'}，获知截止 "
                f"{monitored.knowledge_cutoff}。",
                f"{monitored.month}, version {monitored.model_version}, reference month {monitored.reference_month or 'none'}, "
                f"knowledge cutoff {monitored.knowledge_cutoff}.",
            )
        ),
        _listed(_b("稳定性", "Stability"), monitored, STABILITY),
        draw(_b("评分漂移", "Score drift"), _b("各月 PSI", "PSI by month"), drift_over_months, history),
        draw(_b("等级分布", "Grades"), _b("各月等级占比", "Share of grades by month"), grades_over_months, history),
        _table(
            _b("漂移最大的特征", "Features that moved most"), monitored.of("feature_psi")[:TOP], _b("特征", "feature"),
            _b("PSI", "PSI"), ".4f", _b("偶然性上限", "limit of chance"),
        ),
        _table(
            _b("整体缺失的来源", "Subjects without a source"), monitored.of("source_missing"), _b("来源", "source"),
            _b("缺失占比", "share"), ".1%", _b("参考月", "reference month"),
        ),
    ]  # fmt: skip
    moves = monitored.of("grade_moves")
    if moves:
        blocks.append(_migration(moves))
    return tuple(blocks)


def outcome_blocks(monitored: Monitored, history: Mapping[str, Monitored]) -> tuple[Block, ...]:
    """Expected performance, and what came true of the vintages that have matured."""
    blocks: list[Block] = [
        _listed(_b("表现", "Performance"), monitored, OUTCOMES),
        Paragraph(ASSUMPTIONS),
        draw(
            _b("区分度", "Discrimination"), _b("预期与实际 AUC", "Expected and realised AUC"),
            performance_over_months, history,
        ),
        draw(_b("违约率", "Rates"), _b("预测与实际违约率", "Predicted and observed rate"), rates_over_months, history),
    ]  # fmt: skip
    vintages = [each.about for each in monitored.of("vintage_observed")]
    if not vintages:
        return (*blocks, Paragraph(NOTHING_MATURE))
    return (*blocks, _vintages(monitored, vintages), _grades(monitored, vintages[-1]))


def decision_blocks(decisions: Sequence[Decision], policy: TriggerPolicy) -> tuple[Block, ...]:
    """What the month calls for."""
    if not decisions:
        return (Paragraph(_b("所有指标均在阈值之内。", "Every measure lies within its thresholds.")),)
    titles = {trigger.code: trigger.title for trigger in policy.triggers}
    words = {
        "told": _b("仅提示", "told"),
        "review": _b("请求复核", "review wanted"),
        "retrain": _b("请求重训", "retraining wanted"),
    }
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            each.code,
            titles[each.code],
            each.about,
            each.value,
            each.threshold,
            each.months,
            words[each.response],
        )
        for each in decisions
    )
    columns = (
        _b("原因码", "reason code"), _b("含义", "meaning"), _b("对象", "about"), _b("数值", "value"), _b("阈值", "threshold"),
        _b("连续月数", "months running"), _b("要求", "calls for"),
    )  # fmt: skip
    note = _b(
        "监测从不自行上线任何版本；重训结果须照常签署。",
        "Monitoring never puts a version live; what is trained anew has to be signed like any other.",
    )
    return (Table(_b("触发", "Triggers"), columns, rows, ("", "", "", ".4g", ".4g", ",d", ""), note),)


def _listed(title: Bilingual, monitored: Monitored, wanted: Mapping[str, tuple[Bilingual, str]]) -> Table:
    """One row a measure; numbers are written here, as each has its own form."""
    rows: list[tuple[Cell, ...]] = []
    for name, (words, form) in wanted.items():
        told = monitored.one(name)
        if told is not None:
            rows.append(
                (
                    words,
                    *(
                        None if value is None else format(value, form)
                        for value in (told.value, told.low, told.high, told.chance)
                    ),
                    told.n or None,
                    told.about,
                )
            )
    columns = (
        _b("指标", "measure"), _b("数值", "value"), _b("95% 下限", "95 % low"), _b("95% 上限", "95 % high"),
        _b("偶然性上限", "chance"), _b("数量", "n"), _b("对象", "about"),
    )  # fmt: skip
    return Table(title, columns, tuple(rows), ("", "", "", "", "", ",d", ""))


def _table(
    title: Bilingual, told: Sequence[Measure], what: Bilingual, value: Bilingual, form: str, chance: Bilingual
) -> Table:
    rows = tuple((each.about, each.value, each.chance, each.n) for each in told)
    return Table(title, (what, value, chance, _b("数量", "n")), rows, ("", form, form, ",d"))


def _migration(moves: Sequence[Measure]) -> Table:
    counts = {each.about: each.events or 0 for each in moves}
    grades = sorted({int(grade) for about in counts for grade in about.split(">")})
    columns = (_b("上月等级", "grade last month"), *(_b(f"→ {grade}", f"→ {grade}") for grade in grades))
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (str(a), *(counts.get(f"{a}>{b}", 0) for b in grades)) for a in grades
    )
    return Table(_b("等级迁移", "Grade migration"), columns, rows, ("", *[",d"] * len(grades)))


def _vintages(monitored: Monitored, vintages: Sequence[str]) -> Table:
    def of(name: str, vintage: str) -> Measure | None:
        return next((each for each in monitored.of(name) if each.about == vintage), None)

    rows: list[tuple[Cell, ...]] = []
    for vintage in vintages:
        row: list[Cell] = [vintage]
        observed = of("vintage_observed", vintage)
        row += [observed.n if observed else None, observed.events if observed else None]
        for name, parts in (
            ("vintage_predicted", ("value",)), ("vintage_observed", ("value",)), ("vintage_oe", ("value", "low", "high")),
            ("vintage_understated", ("value",)), ("vintage_auc", ("value", "low", "high")),
        ):  # fmt: skip
            told = of(name, vintage)
            row += [None if told is None else getattr(told, part) for part in parts]
        rows.append(tuple(row))
    columns = (
        _b("观察月", "vintage"), _b("数量", "n"), _b("违约", "events"), _b("预测", "predicted"), _b("实际", "observed"),
        _b("实际/预测", "O/E"), _b("下限", "low"), _b("上限", "high"), _b("Jeffreys p", "Jeffreys p"), _b("AUC", "AUC"),
        _b("下限", "low"), _b("上限", "high"),
    )  # fmt: skip
    forms = ("", ",d", ",d", ".4f", ".4f", ".2f", ".2f", ".2f", ".3g", ".3f", ".3f", ".3f")
    return Table(_b("各观察月：实际与预测", "Vintages: realised and predicted"), columns, tuple(rows), forms)


def _grades(monitored: Monitored, vintage: str) -> Table:
    told = {
        name: {each.about: each for each in monitored.of(name) if each.about.startswith(f"{vintage}/")}
        for name in ("grade_predicted", "grade_observed", "grade_jeffreys", "grade_binomial")
    }
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            about.partition("/")[2], each.n, each.events, told["grade_predicted"][about].value, each.value,
            told["grade_jeffreys"][about].value, told["grade_jeffreys"][about].chance, told["grade_binomial"][about].value,
        )
        for about, each in told["grade_observed"].items()
    )  # fmt: skip
    columns = (
        _b("等级", "grade"), _b("数量", "n"), _b("违约", "events"), _b("预测", "predicted"), _b("实际", "observed"),
        _b("Jeffreys p", "Jeffreys p"), _b("Holm p", "Holm p"), _b("二项 p", "binomial p"),
    )  # fmt: skip
    return Table(
        _b(f"{vintage} 各等级", f"Grades of {vintage}"),
        columns,
        rows,
        ("", ",d", ",d", ".4f", ".4f", ".3g", ".3g", ".3g"),
    )
