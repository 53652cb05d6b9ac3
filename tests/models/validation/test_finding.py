"""The one result type: verdicts by declared limits, one line in both languages, and plain data."""

import json
from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest
from pydantic import ValidationError

from core.definition_file import Bilingual
from models.validation.declared import Statistic, declared, judge, unmeasured
from models.validation.finding import Finding, Interval, Table, Verdict, worst


def statistic(**changes: object) -> Statistic:
    plain = {"name": "stability.x", "title": {"zh": "某", "en": "x"}, "formula": "f", "source": "s"}
    return Statistic.model_validate(plain | changes)


@pytest.mark.parametrize(
    ("value", "chance", "verdict"),
    [(0.1, None, "pass"), (0.11, None, "warn"), (0.26, None, "fail"), (0.2, 0.3, "pass"), (0.4, 0.3, "fail"),
     (float("nan"), None, "unmeasured"), (None, None, "unmeasured")],
)  # fmt: skip
def test_a_limit_is_never_below_what_chance_reaches(value: float, chance: float, verdict: str) -> None:
    psi = statistic(judged_by="value", better="lower", warn=0.1, fail=0.25)
    assert psi.verdict(value, chance=chance) == verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.85, 0.95, "pass"),
        (0.8, 1.25, "pass"),
        (0.79, 1.0, "unproven"),
        (1.0, 1.26, "unproven"),
        (0.7, 0.89, "warn"),
        (0.5, 0.79, "fail"),
        (1.11, 1.2, "warn"),
        (1.26, 2.0, "fail"),
    ],
)
def test_an_interval_must_lie_beyond_the_band_as_a_whole(low: float, high: float, verdict: str) -> None:
    slope = statistic(judged_by="interval", better="inside", warn=[0.9, 1.1], fail=[0.8, 1.25])
    assert slope.verdict((low + high) / 2, Interval(low, high)) == verdict
    assert slope.verdict(5.0) == "unmeasured"


def test_higher_is_better_and_p_values() -> None:
    auc = statistic(judged_by="interval", better="higher", warn=0.65, fail=0.6)
    told = [auc.verdict(0.6, Interval(0.5, high)) for high in (0.66, 0.64, 0.59)]
    assert told == ["unproven", "warn", "fail"]
    assert auc.verdict(0.7, Interval(0.61, 0.79)) == "pass"
    test = statistic(judged_by="p_value", better="higher", warn=0.05)
    assert [test.verdict(3.0, p_value=p) for p in (0.05, 0.049, 1e-9)] == ["pass", "warn", "warn"]
    assert statistic().verdict(1e9) == "told"


@pytest.mark.parametrize(
    "wrong",
    [
        {"judged_by": "value"},
        {"judged_by": "value", "better": "inside", "warn": 1.0},
        {"judged_by": "value", "better": "lower", "warn": [0.0, 1.0]},
        {"better": "lower", "warn": 1.0},
    ],
)
def test_a_half_declared_limit_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        statistic(**wrong)


def test_the_line_says_it_in_both_languages() -> None:
    found = judge(
        "calibration.cox_slope", 0.97, n=12_345, events=456, interval=Interval(0.91, 1.03), p_value=0.1234
    )
    assert repr(found) == (
        "pass Cox calibration slope 0.97 (95 %: 0.91 … 1.03) p 0.1234 n 12,345 events 456; "
        "warn: whole interval ∉ 0.9 … 1.1, fail: whole interval ∉ 0.8 … 1.25"
    )
    assert found.line("zh") == (
        "通过 Cox 校准斜率 0.97 (95 %: 0.91 … 1.03) p 0.1234 n 12,345 事件 456; "
        "注意：整个区间 ∉ 0.9 … 1.1，未通过：整个区间 ∉ 0.8 … 1.25"
    )
    few = unmeasured("discrimination.auc", Bilingual(zh="太少", en="too few"), 3)
    assert few.line("zh").startswith("无法衡量 AUC –") and few.line("zh").endswith("太少")


def test_findings_are_frozen_and_plain() -> None:
    table = Table("features", ("feature", "psi"), (("a", float("inf")), ("b", None), ("c", 1)))
    found = judge("stability.feature_psi", float("nan"), n=np.int64(3), details=(table,))  # type: ignore[arg-type]
    with pytest.raises(FrozenInstanceError):
        found.value = 1.0  # type: ignore[misc]
    plain = json.loads(json.dumps(found.plain(), allow_nan=False))
    assert plain["value"] is None and plain["verdict"] == "unmeasured"
    assert plain["details"][0]["rows"] == [["a", None], ["b", None], ["c", 1]]
    assert {field.name for field in fields(Finding)} == set(plain)


def test_the_worst_verdict_of_a_family() -> None:
    found = [
        judge("stability.grade_jumps", value, n=1) for value in (0.1, None, 0.2)
    ]  # pass, unmeasured, warn
    assert worst(found) is Verdict.WARN
    assert worst(found[:2]) is Verdict.UNMEASURED
    assert worst([]) is Verdict.TOLD


def test_every_declared_statistic_is_whole() -> None:
    for each in declared().statistics:
        assert each.title.zh and each.title.en and each.formula and each.source
    with pytest.raises(KeyError):
        judge("stability.unknown", 1.0, n=1)
