"""The twelve parts: each is there and says what the record says, or why it has nothing to say."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from core.errors import Refusal
from models.report.circumstances import Act, Approval, Asked, Circumstances, Standing
from models.report.document import Report, checked, read_report, report_bytes
from models.report.parts import ABOUT, PARTS, SILENT, TITLES, build_report, signature_part
from models.report.words import both
from models.report_blocks import Block, Paragraph, Part, Picture, Table
from models.sign_off import APPROVED
from models.validation.finding import Verdict
from tests.models.report.reported import CIRCUMSTANCES, EVIL, LIMIT, record, report
from tests.models.worlds import matrix, trained


def part(told: Report, wanted: Part) -> tuple[Block, ...]:
    return next(each.blocks for each in told.parts if each.part is wanted)


def table(told: Report, wanted: Part, title: str) -> Table:
    found = [b for b in part(told, wanted) if isinstance(b, Table) and b.title.en.startswith(title)]
    assert len(found) == 1, [b.title.en for b in part(told, wanted) if isinstance(b, Table)]
    return found[0]


def column(of: Table, name: str) -> list[object]:
    place = [each.en for each in of.columns].index(name)
    return [row[place] for row in of.rows]


def texts(told: Report, wanted: Part) -> str:
    return " ".join(b.text.en for b in part(told, wanted) if isinstance(b, Paragraph))


def test_all_twelve_parts_stand_in_order_and_none_is_empty() -> None:
    assert [each.part for each in report().parts] == list(Part) and len(Part) == 12
    assert [each.number for each in report().parts] == list(range(1, 13))
    assert all(each.blocks for each in report().parts)
    assert set(PARTS) == set(TITLES) == set(Part)
    for each in Part:
        assert PARTS[each] or each in ABOUT


def test_a_bare_record_has_all_parts_too_and_silent_ones_say_why() -> None:
    told = build_report(trained())
    assert [each.part for each in told.parts] == list(Part)
    for silent in (Part.STABILITY, Part.EXPLANATION, Part.FAIRNESS, Part.FINDINGS):
        assert part(told, silent) == (Paragraph(SILENT[silent]),)
    assert "not in the inventory" in texts(told, Part.PURPOSE)
    assert told.gravest == ""


def test_a_function_in_the_list_fills_its_part(monkeypatch: pytest.MonkeyPatch) -> None:
    said = Paragraph(both("原因", "reasons"))
    monkeypatch.setitem(PARTS, Part.EXPLANATION, (lambda _: (said,),))
    assert part(build_report(trained()), Part.EXPLANATION) == (said,)


def test_a_record_without_judged_rows_can_be_reported() -> None:
    bare = {
        kind: replace(candidate, performance={"out_of_time": None}, spread=None, roc=())
        for kind, candidate in trained().candidates.items()
    }
    told = build_report(
        replace(trained(), candidates=bare, judged_on="out_of_time", score_bands=(), grades=())
    )
    assert "Too few rows" in texts(told, Part.OUTCOMES)
    assert "too few rows to be measured" in str(table(told, Part.LIMITS, "Weaknesses").rows)


def test_purpose_and_data_come_from_inventory_and_record() -> None:
    purpose = dict(table(report(), Part.PURPOSE, "Purpose").rows)
    assert purpose[both("责任部门", "owner")] == CIRCUMSTANCES.entry.owner  # type: ignore[union-attr]
    steps = table(report(), Part.DATA, "Sample")
    assert column(steps, "count") == list(record().steps.values())
    versions = table(report(), Part.DATA, "Input tables")
    assert dict(versions.rows) == record().inputs.tables
    assert column(table(report(), Part.DATA, "Sources"), "table") == list(CIRCUMSTANCES.sources)
    assert "2026-07-05 23:59" in texts(report(), Part.DATA), "the knowledge cutoff"


def test_soundness_names_every_feature_with_sign_and_the_choice() -> None:
    features = table(report(), Part.SOUNDNESS, "Features")
    by_name = {each.name: each for each in record().features}
    assert set(column(features, "feature")) == set(by_name)
    assert column(features, "IV") == sorted((each.iv for each in by_name.values()), reverse=True)
    signs = dict(zip(column(features, "feature"), column(features, "monotone sign"), strict=True))
    assert str(signs["late_6m"]).count("raises") and str(signs["sales_12m"]).count("lowers")
    assert EVIL in column(features, "title")
    chosen = table(report(), Part.SOUNDNESS, "The choice").rows[0]
    assert chosen[1:4] == (record().choice.difference, record().choice.low, record().choice.high)
    points = table(report(), Part.SOUNDNESS, "Bins of the scorecard")
    told = [
        value
        for entry in record().scorecard.points_table()
        for value in (*entry["points"], entry["missing_points"])
    ]
    assert column(points, "points") == pytest.approx(told, abs=0.05), "as rounded in the card"


def test_outcomes_show_both_candidates_grades_and_bands() -> None:
    found = table(report(), Part.OUTCOMES, "Discrimination of both")
    measured = [
        m
        for candidate in record().candidates.values()
        for m in candidate.performance.values()
        if m is not None
    ]
    assert column(found, "AUC") == [m.auc.auc for m in measured]
    assert column(found, "KS") == [m.ks for m in measured]
    grades = table(report(), Part.OUTCOMES, "Grades (")
    assert column(grades, "rows") == [grade.rows for grade in record().grades]
    assert column(grades, "observed") == [g.observed if g.rows else None for g in record().grades]
    bands = table(report(), Part.OUTCOMES, "Bands")
    assert sum(column(bands, "events")) == sum(band[2] for band in record().score_bands)  # type: ignore[arg-type]
    titles = {
        block.title.en.split(",")[0] for block in part(report(), Part.OUTCOMES) if isinstance(block, Picture)
    }
    assert {
        "ROC",
        "AUC with its interval",
        "AUC by segment with its interval",
        "Points of the candidate that ships",
    } <= titles


def test_limits_are_those_declared_and_those_the_data_show() -> None:
    said = texts(report(), Part.LIMITS)
    assert LIMIT.en in said and "only ground of a decision" in said
    weak = table(report(), Part.LIMITS, "Weaknesses")
    unproven = [each for each in record().findings if each.verdict is Verdict.UNPROVEN]
    assert unproven and str(weak.rows).count("en='unproven'") == len(unproven)
    thin = [grade for grade in record().grades if grade.rows < 30]
    assert str(weak.rows).count("few rows in a grade") == len(thin) > 0


def test_findings_that_are_no_pass_stand_by_severity() -> None:
    left = table(report(), Part.FINDINGS, "Findings to be dealt with")
    wanted = [e for e in record().findings if e.verdict not in (Verdict.PASS, Verdict.TOLD)]
    assert len(left.rows) == len(wanted)
    order = ["FAIL", "warn", "unproven", "not measured"]
    verdicts = [order.index(cell.en) for cell in column(left, "verdict")]  # type: ignore[attr-defined]
    assert verdicts == sorted(verdicts)
    counts = table(report(), Part.FINDINGS, "Verdicts by family")
    assert sum(sum(row[2:]) for row in counts.rows) == len(record().findings)  # type: ignore[arg-type]


def test_before_signing_there_are_lines_to_sign_and_afterwards_the_signatures() -> None:
    before = table(report(), Part.SIGNATURES, "Signatures")
    assert [cell.en for cell in column(before, "name")] == ["(to sign) ________"] * 4  # type: ignore[attr-defined]
    standing = Standing(
        "approved",
        (
            Act("submit", "author", "Li Wei", date(2026, 7, 1), "dev", "monthly", "1" * 64, True),
            Act("validate", "validator", "Wu Ke", date(2026, 7, 1), "validated", "void", "1" * 64, False),
            Act("validate", "validator", "Zhao Lin", date(2026, 7, 2), "validated", "read", "2" * 64, True),
            Act("approve", "approver", "Chen Yu", date(2026, 7, 3), "approved", "committee", "3" * 64, True),
        ),
        (Asked(7, "by branch", date(2026, 9, 30), "Zhao Lin", "", True),),
        Approval("Chen Yu", APPROVED, date(2027, 7, 3), "PIA-1", "3" * 64, "4" * 64, "key"),
    )
    changed = report().with_part(signature_part(standing))
    assert changed.parts[:11] == report().parts[:11]
    signed = table(changed, Part.SIGNATURES, "Signatures")
    assert column(signed, "name")[:3] == ["Li Wei", "Zhao Lin", "Chen Yu"], "what was reset doesn't count"
    assert column(signed, "evidence hash")[2] == "3" * 12
    condition = table(changed, Part.SIGNATURES, "Conditions").rows[0]
    assert condition[1] == "by branch" and condition[4] == both("逾期", "overdue")
    assert "3" * 64 in column(table(changed, Part.SIGNATURES, "The approval"), "value")


def test_the_same_record_gives_the_same_report_and_json_brings_it_back() -> None:
    again = build_report(record(), CIRCUMSTANCES)
    assert report_bytes(again) == report_bytes(report())
    assert read_report(report_bytes(report())) == report()
    for damaged in (b"{}", b"[]", b"no json", report_bytes(report()).replace(b"gscene-report/1", b"other/1")):
        with pytest.raises(Refusal, match="can't be read") as refused:
            read_report(damaged, "report.json")
        assert refused.value.remedy


def test_a_table_of_uneven_rows_is_a_fault_and_a_number_that_is_none_is_a_dash() -> None:
    with pytest.raises(ValueError, match="another width"):
        checked(Table(both("表", "t"), (both("甲", "a"),), ((1, 2),)))
    shown = checked(Table(both("表", "t"), (both("甲", "a"),), ((float("nan"),), (np.inf,), (1.5,))))
    assert isinstance(shown, Table) and shown.rows == ((None,), (None,), (1.5,))


def test_the_report_holds_no_value_of_a_row() -> None:
    text = report_bytes(build_report(trained(), Circumstances())).decode()
    x, _ = matrix(300)
    sales = x[~np.isnan(x[:, 1]), 1]
    assert not [value for value in sales if f"{value:.4f}"[:9] in text]
