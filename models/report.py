"""The review report: one HTML file in both languages, with its pictures inside and nothing loaded from
anywhere.

It shows counts, measures and definitions; never a row of anybody.
"""

from __future__ import annotations

from pathlib import Path

from core.definition_file import Bilingual
from core.subject import SubjectKind
from models.candidates import CandidateKind
from models.report_pictures import TOP_FEATURES, pictures
from models.training_record import TrainingRecord
from models.validation.section import render_section

TEMPLATE = Path(__file__).parent / "report.html.j2"

_STEPS = {
    "outcomes": "有结果的主体·月",
    "left out: excluded": "剔除：不属建模人群",
    "left out: immature": "剔除：表现期未满",
    "left out: no features": "剔除：没有特征",
    "rows": "样本行数",
    "subjects": "主体数",
    "events": "事件（坏/响应）",
    "non-events": "非事件",
    "indeterminate": "不确定（不参与拟合，计入校准）",
    "split: rows": "切分前行数",
    "split: left out: vintage not in the plan": "剔除：不在计划月份",
    "split: left out: held-out subject in a training vintage": "剔除：留出主体的训练月份",
    "split: left out: training subject in an out-of-time vintage": "剔除：训练主体的时间外月份",
    "split: training rows": "训练行数",
    "split: training events": "训练事件数",
    "split: out-of-time rows": "时间外行数",
    "split: out-of-time events": "时间外事件数",
    "split: folds": "折数",
    "split: repeats": "重复次数",
}

_ROWS = {
    "out_of_time": Bilingual(zh="时间外、未见主体", en="out of time, unseen subjects"),
    "out_of_fold": Bilingual(zh="训练侧折外", en="training side, out of fold"),
    "cross_validation": Bilingual(
        zh="重复交叉验证（折外均值）", en="repeated cross-validation (mean out of fold)"
    ),
}

_PURPOSES = {"risk": "信用风险", "marketing": "获客营销"}

_NAMES = {
    CandidateKind.SCORECARD: Bilingual(zh="评分卡", en="Scorecard"),
    CandidateKind.LIGHTGBM: Bilingual(zh="LightGBM", en="LightGBM"),
}


def render_report(
    record: TrainingRecord,
    titles: dict[str, Bilingual] | None = None,
    bundle_sha256: str = "",
    notice: Bilingual | None = None,
) -> str:
    """The report as HTML text; `titles` are feature titles from the catalogue, by name; `notice` stands above everything. The
    same record gives the same text.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"rate": _rate, "number": "{:.3f}".format, "count": "{:,}".format}
    titles = titles or {}
    ranked = sorted(record.features, key=lambda feature: (-feature.iv, feature.name))[:TOP_FEATURES]
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        record=record,
        notice=notice,
        definition=record.definition,
        subject=Bilingual(zh=SubjectKind(record.definition.subject).zh, en=str(record.definition.subject)),
        purpose_zh=_PURPOSES[str(record.definition.purpose)],
        label=_label_text(record),
        split=_split_text(record),
        steps=[(_STEPS.get(step, step), step, count) for step, count in record.steps.items()],
        candidates=[
            (
                _NAMES[kind],
                kind is record.ships,
                candidate,
                [(_ROWS[rows], m) for rows, m in candidate.performance.items()],
            )
            for kind, candidate in record.candidates.items()
        ],
        ships=_NAMES[record.ships],
        features=[(feature, titles.get(feature.name)) for feature in ranked],
        judged=_ROWS[record.judged_on],
        points=record.scorecard.points_table(),
        unseen_missing=[bins.name for bins in record.scorecard.bins if not bins.missing_seen],
        pictures=pictures(record),
        # Escaped by its own template.
        validation=Markup(render_section(record.findings)),
        bundle_sha256=bundle_sha256,
    )


def write_report(
    record: TrainingRecord,
    file: Path,
    titles: dict[str, Bilingual] | None = None,
    bundle_sha256: str = "",
    notice: Bilingual | None = None,
) -> Path:
    """Write the report to `file` (its folder is created) and give the path back."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(render_report(record, titles, bundle_sha256, notice), encoding="utf-8")
    return file


def _label_text(record: TrainingRecord) -> Bilingual:
    label = record.definition.label
    if label.kind == "stated_outcome":
        return Bilingual(
            zh=f"表中 {label.column} 列给出的结果。",
            en=f"As the column {label.column} of the table states it.",
        )
    if label.kind == "account_dpd":
        classes = "（或五级分类次级及以下）" if label.bad_classes else ""
        worse = " or class substandard or worse" if label.bad_classes else ""
        return Bilingual(
            zh=f"观察月后 {label.window_months} 个月内逾期 {label.bad_dpd} 天以上、核销{classes}为坏；逾期 "
            f"{label.indeterminate_dpd}-{label.bad_dpd - 1} 天为不确定；表现期未满永不算好（定义第 {label.version} 版）。",
            en=f"Bad: {label.bad_dpd} or more days past due, or written off{worse}, within {label.window_months} months after "
            f"the as-of month; indeterminate: {label.indeterminate_dpd} to {label.bad_dpd - 1} days; immature is never good "
            f"(definition version {label.version}).",
        )
    if label.kind == "bank_outcome":
        return Bilingual(
            zh=f"银行提供的违约结果（定义第 {label.version} 版）。",
            en=f"Default as stated by the bank (definition version {label.version}).",
        )
    return Bilingual(
        zh=f"营销后 {label.response_days} 天内响应（{'、'.join(label.events)}；定义第 {label.version} 版）。",
        en=f"Response within {label.response_days} days of assignment ({', '.join(label.events)}; definition version "
        f"{label.version}).",
    )


def _split_text(record: TrainingRecord) -> Bilingual:
    split = record.definition.split
    if split.kind == "by_time":
        return Bilingual(
            zh=f"训练 {split.training_vintages} 个观察月，时间外 {split.out_of_time_vintages} 个观察月，"
            f"间隔 {split.gap_months} 个月；"
            f"按主体散列留出 {split.holdout_share:.0%}，同一主体不会同时出现在两侧。",
            en=f"{split.training_vintages} training vintages, {split.out_of_time_vintages} out-of-time vintages, a gap of "
            f"{split.gap_months} months; {split.holdout_share:.0%} of subjects held out by hash, no subject on both sides.",
        )
    return Bilingual(
        zh=f"{split.folds} 折分层交叉验证，重复 {split.repeats} 次；分箱、选变量均在折内重做。",
        en=f"{split.folds}-fold stratified cross-validation, repeated {split.repeats} times; binning and selection redone in "
        "every fold.",
    )


def _rate(value: float) -> str:
    return f"{value:.2%}" if value < 0.1 else f"{value:.1%}"
