"""Findings of the validation as blocks: each family in its part, and part 11 with everything that isn't a pass, by severity."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.definition_file import Bilingual
from models.report.words import both, same
from models.report_blocks import Block, Cell, Paragraph, Table
from models.training_record import TrainingRecord
from models.validation.declared import declared
from models.validation.finding import GRAVITY, VERDICT_WORDS, Finding, Verdict, worst
from models.validation.words import word

WHOLE_INTERVAL = both(
    "“整个区间”表示只有置信区间整体越过阈值才判为注意或未通过：区间太宽、已触及“未通过”阈值但未整体越过时，判为“未能证明”，不算通过。"
    "连续观察月含同一主体：总量与斜率的误差按主体汇总，要求独立的检验只用最新一个观察月。",
    "“Whole interval” means that a limit is missed only where the whole interval lies beyond it: an interval so wide that it "
    "reaches the limit for a failure without lying beyond it is “unproven”, which is no pass. Vintages share subjects: totals "
    "and slope have errors by subject, tests that need independent rows use the newest vintage alone.",
)

#: What whoever signs has to do with a verdict.
SEVERITY = {
    Verdict.FAIL: both("高：须整改或书面接受", "high: to be mended or accepted in writing"),
    Verdict.WARN: both("中：须说明", "medium: to be explained"),
    Verdict.UNPROVEN: both("中：证据不足，不算通过", "medium: unproven, no pass"),
    Verdict.UNMEASURED: both("低：未能衡量", "low: not measured"),
}


def family_blocks(*names: str) -> Callable[[TrainingRecord], tuple[Block, ...]]:
    """A function that gives the findings of these families, each as a table of statistics and its details."""

    def blocks(record: TrainingRecord) -> tuple[Block, ...]:
        told: list[Block] = []
        for name in names:
            own = [each for each in record.findings if each.family == name]
            if own:
                told += _family(declared().families[name], own)
        return tuple(told)

    return blocks


def findings_blocks(record: TrainingRecord) -> tuple[Block, ...]:
    """Counts by family, then every finding that isn't a pass, the gravest first."""
    if not record.findings:
        return ()
    families = declared().families
    kinds = tuple(reversed(GRAVITY))
    counts = Table(
        both("各类检验的判定", "Verdicts by family"),
        (
            both("类别", "family"),
            both("最重判定", "gravest"),
            *(VERDICT_WORDS[kind] for kind in kinds),
        ),
        tuple(
            (title, VERDICT_WORDS[worst(own)], *(sum(each.verdict is kind for each in own) for kind in kinds))
            for title, own in (
                (title, [each for each in record.findings if each.family == name])
                for name, title in families.items()
            )
            if own
        ),
        ("", "", *["d"] * len(kinds)),
        both(
            f"阈值文件 statistics.yaml 第 {declared().version} 版，{declared().sha256[:12]}",
            f"Limits: statistics.yaml version {declared().version}, {declared().sha256[:12]}",
        ),
    )
    return (counts, Paragraph(WHOLE_INTERVAL), _open(record.findings))


def verdict_text(record: TrainingRecord) -> Bilingual:
    """The sentence to read first: what ships, and how the validation ended."""
    choice = record.choice
    if not record.findings:
        return both(f"{choice.reason_zh} 未附验证结果。", f"{choice.reason_en} No validation came with it.")
    shown = [
        (VERDICT_WORDS[kind], sum(each.verdict is kind for each in record.findings))
        for kind in (Verdict.FAIL, Verdict.WARN, Verdict.UNPROVEN, Verdict.UNMEASURED, Verdict.PASS)
    ]
    zh = "，".join(f"{words.zh} {count}" for words, count in shown)
    en = ", ".join(f"{words.en} {count}" for words, count in shown)
    return both(f"{choice.reason_zh} 验证：{zh}。", f"{choice.reason_en} Validation: {en}.")


def _open(findings: Sequence[Finding]) -> Block:
    left = sorted(
        (each for each in findings if each.verdict in SEVERITY), key=lambda each: -GRAVITY.index(each.verdict)
    )
    if not left:
        return Paragraph(both("所有设有阈值的检验均已通过。", "Every statistic with a limit has passed."))
    return Table(
        both("需要处理的发现（按严重程度）", "Findings to be dealt with, by severity"),
        (
            both("序号", "no."), both("判定", "verdict"), both("严重程度", "severity"), both("统计量", "statistic"),
            both("对象", "about"), both("数值", "value"), both("阈值", "limits"), both("说明", "note"),
        ),
        tuple(
            (
                number, VERDICT_WORDS[each.verdict], SEVERITY[each.verdict], each.statistic, each.about or None, each.value,
                each.threshold if each.threshold.zh else None, each.note,
            )
            for number, each in enumerate(left, 1)
        ),
        ("d", *[""] * 7),
    )  # fmt: skip


def _family(title: Bilingual, found: Sequence[Finding]) -> list[Block]:
    sources = {each.name: declared().by_name[each.name] for each in found}
    columns = (
        both("统计量", "statistic"), both("对象", "about"), both("数值", "value"), both("下限", "low"), both("上限", "high"),
        both("p 值", "p"), both("行数", "rows"), both("事件", "events"), both("判定", "verdict"), both("阈值", "limits"),
        both("说明", "note"),
    )  # fmt: skip
    rows = [
        (
            each.statistic, each.about or None, each.value, each.interval.low if each.interval else None,
            each.interval.high if each.interval else None, each.p_value, each.n, each.events, VERDICT_WORDS[each.verdict],
            each.threshold if each.threshold.zh else None, each.note,
        )
        for each in found
    ]  # fmt: skip
    # Columns that say nothing of this family only make a page wider.
    kept = [
        place for place in range(len(columns)) if any(row[place] is not None for row in rows) or place == 2
    ]
    formats = ("", "", "", "", "", "", ",d", ",d", "", "", "")
    blocks: list[Block] = [
        Table(
            title,
            tuple(columns[place] for place in kept),
            tuple(tuple(row[place] for place in kept) for row in rows),
            tuple(formats[place] for place in kept),
        )
    ]
    blocks += [_detail(each, place) for each in found for place in range(len(each.details))]
    formulas = Table(
        both(f"{title.zh}：公式与出处", f"{title.en}: formulas and sources"),
        (both("统计量", "statistic"), both("公式", "formula"), both("出处", "source")),
        tuple((each.title, same(each.formula), same(each.source)) for each in sources.values()),
        folded=True,
    )
    return [*blocks, formulas]


def _detail(finding: Finding, place: int) -> Block:
    table = finding.details[place]
    named, about = word(table.name), f" [{finding.about}]" if finding.about else ""
    rows: list[tuple[Cell, ...]] = [tuple(row) for row in table.rows]
    return Table(
        both(f"{finding.statistic.zh}{about}：{named.zh}", f"{finding.statistic.en}{about}: {named.en}"),
        tuple(word(column) for column in table.columns),
        tuple(rows),
        folded=True,
    )
