"""Is the model alike for groups that the law protects: approvals, errors, calibration, and features that stand in for a group.

Groups come from the evaluation vault alone; only rates of groups of at least 50 rows with 10 of each outcome leave this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.definition_file import Bilingual
from models.discrimination import auc, clustered_auc_interval
from models.judged_tables import wilson_interval
from models.validation.calibration import ratio_interval
from models.validation.declared import judge, unmeasured
from models.validation.discrimination import Z95
from models.validation.finding import Cell, Finding, Interval, Table
from models.validation.scored_sample import ScoredSample
from models.validation.segments import LEAST_OF_EACH, LEAST_ROWS

#: Features told in the proxy table, strongest first.
SHOWN = 20

FEW = Bilingual(
    zh="少于两个足够大的群体（至少 50 行，好坏各 10）。",
    en="Fewer than two groups are large enough (50 rows, 10 of each outcome).",
)

_NAMES = tuple(f"fairness.{name}" for name in ("approval_ratio", "tpr_gap", "fpr_gap", "calibration_gap"))


def fairness_findings(
    sample: ScoredSample,
    group: np.ndarray,
    attribute: str,
    worst_grade: int,
    matrix: np.ndarray | None = None,
    names: Sequence[str] = (),
) -> list[Finding]:
    """All of this family for one attribute: `group` (n,) codes, "" unknown; approved are grades up to `worst_grade`."""
    one = sample.independent()
    place = np.flatnonzero(sample.vintage == one.vintage[0]) if len(one) < len(sample) else slice(None)
    own = group[place]
    told = [code for code in np.unique(own) if code and _large(one.outcome[own == code])]
    if len(told) < 2:
        return [unmeasured(name, FEW, len(one), one.events, about=attribute) for name in _NAMES]
    found = _rates(one, own, told, attribute, worst_grade)
    if matrix is not None:
        found.append(proxies(matrix[place], names, own, told, attribute))
    return found


def _rates(
    sample: ScoredSample, group: np.ndarray, told: Sequence[str], attribute: str, worst_grade: int
) -> list[Finding]:
    """Four measures by group, approved = grade up to `worst_grade`.

    Approval ratio: lowest approval rate / highest (four-fifths rule, 29 CFR 1607.4 D, 1978), interval of the log ratio (Katz et
    al., Biometrics 34 (1978) 469-474). TPR gap: largest difference between groups of P(refused | event); FPR gap: of P(refused |
    no event) (equalised odds: Hardt, Price and Srebro, NeurIPS 2016), with Newcombe's interval of a difference (Statistics in
    Medicine 17 (1998) 873-890, method 10). Calibration gap: largest ratio between groups of observed / expected. Why all: groups
    with unlike base rates can't be alike in all of them (Chouldechova, Big Data 5 (2017) 153-163), so a gap is a question
    for a person, and an approval ratio alone would call every true difference of risk unfair.
    """
    refused = sample.grade > worst_grade
    rows: list[tuple[Cell, ...]] = []
    counts = {}
    for code in told:
        here = group == code
        y, no = sample.outcome[here], refused[here]
        counts[code] = {
            "approved": (int((~no).sum()), len(y)),
            "tpr": (int((no & (y == 1)).sum()), int((y == 1).sum())),
            "fpr": (int((no & (y == 0)).sum()), int((y == 0).sum())),
        }
        one = sample.take(here)
        ratio = ratio_interval(one)
        rows.append(
            (code, len(y), one.events, *(hits / of for hits, of in counts[code].values()), float(one.pd.mean()),
             one.events / len(y), one.events / float(one.pd.sum()), ratio.low, ratio.high)
        )  # fmt: skip
    columns = ("group", "rows", "events", "approved", "tpr", "fpr", "predicted", "observed",
               "observed_over_expected", "ratio_low", "ratio_high")  # fmt: skip
    table = Table("groups", columns, tuple(rows))
    size: dict[str, Any] = {"n": len(sample), "events": sample.events, "about": attribute}
    ratio_value, ratio_span = _approval_ratio([counts[code]["approved"] for code in told])
    found = [judge(_NAMES[0], ratio_value, interval=ratio_span, details=(table,), **size)]
    for name, kind in zip(_NAMES[1:3], ("tpr", "fpr"), strict=True):
        gap, span = _gap([counts[code][kind] for code in told])
        found.append(judge(name, gap, interval=span, **size))
    value, span = _calibration_gap(sample, group, told)
    return [*found, judge(_NAMES[3], value, interval=span, **size)]


def proxies(
    matrix: np.ndarray, names: Sequence[str], group: np.ndarray, told: Sequence[str], attribute: str
) -> Finding:
    """Largest AUC with which one feature (its value, or being missing) tells one group from all others, either direction.

    Domain rules L20; Datta et al., CCS 2017 (proxy use). Why beside the rates: a feature may stand for the group without any
    gap today. Interval at 1 - 5 % / (features x groups) (Bonferroni). It sees single features only: a group that two
    features tell together isn't found.
    """
    tries: list[tuple[float, str, str, str, np.ndarray, np.ndarray]] = []
    for code in told[:1] if len(told) == 2 else told:
        is_group = (group == code).astype(np.int8)
        known = group != ""
        for name, column in zip(names, matrix.T, strict=True):
            missing = np.isnan(column)
            filled = np.where(missing, np.nanmedian(column) if not missing.all() else 0.0, column)
            for by, score in (("value", filled), ("gap", missing.astype(np.float64))):
                if score[known].min() < score[known].max():
                    told_by = auc(is_group[known], score[known])
                    turned = score[known] if told_by >= 0.5 else -score[known]
                    tries.append((max(told_by, 1.0 - told_by), name, by, code, is_group[known], turned))
    if not tries:
        return unmeasured("fairness.proxies", FEW, len(group), about=attribute)
    tries.sort(key=lambda each: (-each[0], each[1], each[2]))
    level = 1.0 - 0.05 / len(tries)
    rows = []
    for value, name, by, code, target, score in tries[:SHOWN]:
        estimate = clustered_auc_interval(target, score, np.arange(len(target)), level)
        rows.append((name, by, code, value, estimate.low, estimate.high))
    columns = ("feature", "by", "group", "auc", "low", "high")
    return judge(
        "fairness.proxies",
        rows[0][3],
        n=len(group),
        interval=Interval(rows[0][4], rows[0][5], level),
        about=f"{attribute}: {rows[0][0]}",
        details=(Table("proxies", columns, tuple(rows)),),
    )


def _approval_ratio(counts: Sequence[tuple[int, int]]) -> tuple[float | None, Interval | None]:
    """Lowest over highest rate of (approved, rows), with Katz's interval; None where nobody is approved."""
    low, high = (pick(counts, key=lambda each: each[0] / each[1]) for pick in (min, max))
    if high[0] == 0:
        return None, None
    if low[0] == 0:
        # No approvals in the lowest group: Katz's interval isn't defined; half an approval bounds it from above.
        return 0.0, Interval(0.0, (wilson_interval(0, low[1], Z95)[1]) / (high[0] / high[1]))
    ratio = (low[0] / low[1]) / (high[0] / high[1])
    error = float(np.sqrt(1 / low[0] - 1 / low[1] + 1 / high[0] - 1 / high[1]))
    return ratio, Interval(ratio * float(np.exp(-Z95 * error)), ratio * float(np.exp(Z95 * error)))


def _gap(counts: Sequence[tuple[int, int]]) -> tuple[float, Interval]:
    """Largest difference of rates of (hits, rows), with Newcombe's hybrid interval."""
    low, high = (pick(counts, key=lambda each: each[0] / each[1]) for pick in (min, max))
    a, b = high[0] / high[1], low[0] / low[1]
    (a_low, a_high), (b_low, b_high) = wilson_interval(*high, Z95), wilson_interval(*low, Z95)
    gap = a - b
    below = float(np.hypot(a - a_low, b_high - b))
    above = float(np.hypot(a_high - a, b - b_low))
    return gap, Interval(gap - below, gap + above)


def _calibration_gap(sample: ScoredSample, group: np.ndarray, told: Sequence[str]) -> tuple[float, Interval]:
    """Largest ratio of observed / expected between two groups, with an interval from both errors on the log scale."""
    ratios = []
    for code in told:
        one = sample.take(group == code)
        span = ratio_interval(one)
        error = float(np.log(span.high / span.low)) / (2.0 * Z95)
        ratios.append((float(np.log(one.events / one.pd.sum())), error))
    ratios.sort()
    gap = ratios[-1][0] - ratios[0][0]
    reach = Z95 * float(np.hypot(ratios[-1][1], ratios[0][1]))
    return float(np.exp(gap)), Interval(float(np.exp(gap - reach)), float(np.exp(gap + reach)))


def _large(outcome: np.ndarray) -> bool:
    events = int(outcome.sum())
    return len(outcome) >= LEAST_ROWS and min(events, len(outcome) - events) >= LEAST_OF_EACH
