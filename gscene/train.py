"""`gscene train`: the whole pack of training and validation on any labelled table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from core.clock import SystemClock
from core.errors import ExitCode
from core.months import CHINA_TIME, Month
from core.purpose import Purpose
from core.subject import SubjectKind
from gscene.console import Reporter
from gscene.options import MonthType, json_option

if TYPE_CHECKING:
    from models.candidates import CandidateKind
    from models.labelled_table.pack import TablePack
    from models.training_record import TrainingRecord


@click.command()
@click.option(
    "--table",
    "file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV (also .csv.gz), Parquet or XLSX (first sheet); one row a case. 带标签的表。",
)
@click.option("--target", required=True, help="Column of the outcome: 0/1, empty where unknown. 目标列。")
@click.option("--event", help="The value of the target that is the event, where it isn't 0/1. 事件取值。")
@click.option(
    "--time",
    help="Column of dates, months or years: the newest rows judge. Without it cross-validation. 时间列。",
)
@click.option(
    "--id", "subject_id", help="Column that says whose a row is: no subject on both sides. 主体列。"
)
@click.option(
    "--exclude", multiple=True, metavar="COL", help="Column that is no feature; once or more. 排除列。"
)
@click.option(
    "--monotone", multiple=True, metavar="COL=+1|-1",
    help="The event gets likelier (+1) or less likely (-1) as the column rises; once or more. 单调约束。",
)  # fmt: skip
@click.option(
    "--categorical",
    multiple=True,
    metavar="COL",
    help="Column of numbers that are codes; once or more. 编码列。",
)
@click.option("--segment", metavar="COL", help="Also judge by this column, such as the region. 分组列。")
@click.option(
    "--group", metavar="COL",
    help="Lawful attribute for the fairness tests and the proxy scan; never a feature. 公平性检验列。",
)  # fmt: skip
@click.option(
    "--batch",
    metavar="COL",
    help="Where outcomes came from (delivery, branch): odd batches are named. 标签批次列。",
)
@click.option(
    "--trusted",
    metavar="COL",
    help="1 where an outcome was verified: the others are searched for flips. 已核实标签列。",
)
@click.option(
    "--purpose", type=click.Choice([str(Purpose.RISK), str(Purpose.MARKETING)]), default=str(Purpose.RISK),
    show_default=True, help="marketing: the event is wished for. 用途。",
)  # fmt: skip
@click.option(
    "--subject", type=click.Choice([str(kind) for kind in SubjectKind]), default=str(SubjectKind.RESIDENT),
    show_default=True, help="Who the rows are about. 主体类型。",
)  # fmt: skip
@click.option(
    "--reject-benchmark",
    is_flag=True,
    help="Also hide known outcomes and say whether reject inference would have helped. 拒绝推断基准。",
)
@click.option(
    "--later-share", type=click.FloatRange(0.05, 0.6), default=0.25, show_default=True,
    help="Share of the rows, the newest, that judge. 时间外占比。",
)  # fmt: skip
@click.option(
    "--gap", type=click.IntRange(1, 60), default=1, show_default=True, metavar="MONTHS",
    help="Least distance between training and judging periods: the length of the performance window. 间隔月数。",
)  # fmt: skip
@click.option(
    "--repeats", type=click.IntRange(1, 50), help="Repeats of cross-validation; by size when left out."
)
@click.option(
    "--as-of", type=MonthType(), help="Training month where there is no --time; this month when left out."
)
@click.option(
    "--encoding",
    type=click.Choice(["utf-8", "gb18030"]),
    default="utf-8",
    show_default=True,
    help="Of a CSV file.",
)
@click.option("--delimiter", default=",", show_default=True, help="Of a CSV file. 分隔符。")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    default=20_260_101,
    show_default=True,
    help="Of all draws. 随机种子。",
)
@click.option(
    "--threads", type=click.IntRange(1, 64), default=1, show_default=True, help="Of LightGBM. 线程数。"
)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path),
    help="Folder of report, card, findings and columns; var/train/TABLE when left out. 输出目录。",
)  # fmt: skip
@click.option(
    "--scores", type=click.Path(dir_okay=False, path_type=Path),
    help="Also write a score for every judged row here; otherwise only aggregates leave. 逐行评分文件。",
)  # fmt: skip
@json_option
def train(
    file: Path,
    target: str,
    event: str | None,
    time: str | None,
    subject_id: str | None,
    exclude: tuple[str, ...],
    monotone: tuple[str, ...],
    categorical: tuple[str, ...],
    segment: str | None,
    group: str | None,
    batch: str | None,
    trusted: str | None,
    purpose: str,
    subject: str,
    reject_benchmark: bool,
    later_share: float,
    gap: int,
    repeats: int | None,
    as_of: Month | None,
    encoding: str,
    delimiter: str,
    seed: int,
    threads: int,
    out: Path | None,
    scores: Path | None,
    as_json: bool,
) -> int:
    """Train a scorecard and LightGBM on a labelled table, choose, calibrate, validate and report, without a home folder.

    在任意带标签的表上训练评分卡与 LightGBM，选择、校准、验证并出具报告，无需安装目录。

    \b
    Examples:
      gscene train --table loans.csv --target default --time approved --id customer --exclude collected_after
      gscene train --table accounts.parquet --target bad --monotone late_6m=+1 --monotone sales_12m=-1
      gscene train --table applications.xlsx --target outcome --event bad --group sex
      gscene train --table offers.csv --target opened --time month --purpose marketing

    With --time the newest periods judge and the earlier ones train; without it five-fold cross-validation, repeated the more the
    fewer rows there are, by rows or by --id. Numbers stay numbers; codes become a 0/1 feature for each frequent value, without a
    look at the target. A column that alone knows every outcome is refused by name. LightGBM ships only where it beats the
    scorecard. What comes out may not score: no delivery and no sign-off stands behind it. docs/train-any-table.md tells more.
    """
    from core.table_files import sha256_of
    from models.labelled_table.output import write_pack
    from models.labelled_table.pack import train_on_table
    from models.labelled_table.question import Question
    from models.labelled_table.reading import read_labelled_table

    reporter = Reporter(as_json)
    now = SystemClock().now().astimezone(CHINA_TIME)
    asked = Question(
        file=file, target=target, month=as_of or Month(now.year, now.month), event=event, time=time, subject_id=subject_id,
        exclude=_split(exclude), monotone=_signs(monotone), categorical=_split(categorical), segment=segment, group=group,
        batch=batch, trusted=trusted, purpose=Purpose(purpose), subject=SubjectKind(subject), later_share=later_share,
        gap_months=gap, repeats=repeats, seed=seed,
    )  # fmt: skip
    with reporter.stage("read the table", 1) as stage:
        table = read_labelled_table(file, encoding=encoding, delimiter=delimiter)
        stage.advance()
    pack = train_on_table(table, sha256_of(file), asked, threads=threads, progress=reporter)
    if reject_benchmark:
        _tell_benchmark(pack, reporter)
    written = write_pack(pack, out or Path("var") / "train" / file.name.split(".")[0], scores)
    _tell(pack, reporter)
    reporter.results(written)
    reporter.finish()
    return int(ExitCode.OK)


def _split(given: Sequence[str]) -> tuple[str, ...]:
    """Columns given one by one or with commas between."""
    return tuple(name.strip() for text in given for name in text.split(",") if name.strip())


def _signs(given: Sequence[str]) -> dict[str, int]:
    signs = {}
    for text in _split(given):
        column, mark, sign = text.rpartition("=")
        if not mark or sign not in ("+1", "1", "-1"):
            raise click.BadParameter("write COL=+1 or COL=-1", param_hint="--monotone")
        signs[column.strip()] = int(sign)
    return signs


def _tell(pack: TablePack, reporter: Reporter) -> None:
    """A small table of each: sample, candidates, grades, findings that need somebody, and alarms."""
    record = pack.record
    _tell_sample(pack, reporter)
    rows = [
        [str(kind), *_measures(record, kind), "ships" if kind is record.ships else ""]
        for kind in record.candidates
    ]
    header = ["candidate", "AUC", "Gini", "KS", "spread over repeats", ""]
    reporter.table(f"Candidates / 候选模型 ({record.judged_on})", header, rows)
    reporter.say(f"{record.choice.reason_en} / {record.choice.reason_zh}")
    grades = [[each.grade, each.rows, each.events, each.predicted, each.observed] for each in record.grades]
    reporter.table("Grades / 等级", ["grade", "rows", "events", "predicted", "observed"], grades)
    _tell_findings(record, pack, reporter)
    reporter.result |= {
        "ships": str(record.ships),
        "metrics": record.metrics(),
        "steps": record.steps,
        "signs": dict(pack.made.signs),
    }


def _tell_sample(pack: TablePack, reporter: Reporter) -> None:
    from models.sampling.sample_blocks import base_shift_text, selection_text

    report = pack.record.sample
    assert report is not None
    rows = [
        row
        for each in report.waterfalls
        for row in (
            [each.what, each.start],
            *([f"left out: {reason}", -count] for reason, count in each.left_out if count),
            *([f"= {part}", count] for part, count in each.parts),
        )
    ]
    reporter.table("Sample / 样本", ["step", "rows"], rows)
    left_out = [[column, reason] for column, reason in pack.made.encoding.left_out]
    if left_out:
        reporter.table("Columns that are no features / 未作特征的列", ["column", "why"], left_out)
    reporter.result["columns_left_out"] = dict(pack.made.encoding.left_out)
    reporter.result["features"] = len(pack.record.features)
    if report.base_shift is not None:
        told = base_shift_text(report.base_shift)
        reporter.say(f"{told.en} / {told.zh}")
        reporter.result["base_shift"] = report.plain()["base_shift"]
    if report.overlap is not None:
        told = selection_text(report.overlap, report.population)
        reporter.say(f"{told.en} / {told.zh}")


def _tell_benchmark(pack: TablePack, reporter: Reporter) -> None:
    """What the masked benchmark says; nothing of it enters the model."""
    from models.sampling.masked_benchmark import BENCHMARK_REPEATS, masked_benchmark

    rows, definition = pack.once_a_subject(), pack.record.definition
    with reporter.stage("masked benchmark of reject inference", 1) as stage:
        found = masked_benchmark(
            rows.matrix, rows.target, rows.names, pack.made.signs, definition.scorecard,
            repeats=BENCHMARK_REPEATS, seed=definition.seed,
        )  # fmt: skip
        stage.advance()
    header = [
        "method",
        "AUC all",
        "AUC rejected",
        "observed / expected, rejected",
        "log-loss gain",
        "95 %",
        "verdict",
    ]
    told = [
        [
            each.method, each.auc_all, each.auc_rejected, each.observed_over_expected, each.gain,
            f"{each.low:+.4f} … {each.high:+.4f}", each.verdict,
        ]
        for each in found.results
    ]  # fmt: skip
    reporter.table("Reject inference, outcomes masked / 拒绝推断掩蔽基准", header, told)
    helped = ", ".join(found.helped) or "none"
    reporter.say(f"Helped / 有帮助: {helped}. Reported only, never used in the model. / 仅报告，不用于模型。")
    reporter.result["reject_benchmark"] = found.plain()


def _tell_findings(record: TrainingRecord, pack: TablePack, reporter: Reporter) -> None:
    from models.validation.finding import Verdict

    counts = {str(kind): sum(each.verdict is kind for each in record.findings) for kind in Verdict}
    reporter.table("Validation / 验证", list(counts), [list(counts.values())])
    noticed = [each for each in record.findings if each.verdict in (Verdict.FAIL, Verdict.WARN)]
    for each in noticed:
        reporter.say(f"  {each.line('en')}")
    suspects = [
        row[0]
        for each in record.findings
        if each.name == "leakage.suspect_features"
        for table in each.details
        for row in table.rows
    ]
    titles = pack.titles()
    if suspects:
        named = ", ".join(dict.fromkeys(titles[str(name)].en for name in suspects))
        reporter.say(f"Leak suspects / 疑似泄漏: {named}")
    reporter.result["findings"] = counts
    reporter.result["noticed"] = [
        {"name": each.name, "verdict": str(each.verdict), "about": each.about, "value": each.value}
        for each in noticed
    ]
    reporter.result["leak_suspects"] = list(dict.fromkeys(str(name) for name in suspects))


def _measures(record: TrainingRecord, kind: CandidateKind) -> list[str]:
    candidate = record.candidates[kind]
    measured = candidate.performance[record.judged_on]
    # One repeat has no spread to be told.
    spread = candidate.spread if record.steps.get("split: repeats", 1) > 1 else None
    told = (
        "" if spread is None else f"{spread.mean:.3f} ± {spread.sd:.3f} [{spread.p05:.3f}, {spread.p95:.3f}]"
    )
    if measured is None:
        return ["not estimable", "", "", told]
    area = measured.auc
    return [
        f"{area.auc:.3f} [{area.low:.3f}, {area.high:.3f}]",
        f"{measured.gini:.3f}",
        f"{measured.ks:.3f}",
        told,
    ]
