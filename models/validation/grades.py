"""Is the PD of each grade right: Jeffreys and exact binomial tests, traffic light, and what many tests at once mean."""

from __future__ import annotations

import numpy as np

from core.definition_file import Bilingual
from models.validation.declared import judge, unmeasured
from models.validation.finding import Finding, Table
from models.validation.scored_sample import ScoredSample

#: Traffic light by the one-sided Jeffreys p-value: below the first yellow, below the second red.
YELLOW, RED = 0.05, 0.01


def jeffreys(hits: np.ndarray, rows: np.ndarray, pd: np.ndarray) -> np.ndarray:
    """P(rate <= pd) under Beta(hits + 1/2, rows - hits + 1/2): small where the pd understates the risk.

    ECB, Instructions for reporting the validation results of internal models (2019), sec. 2.5.3.1; Brown, Cai and DasGupta,
    Statistical Science 16 (2001) 101-133. Why beside the binomial test: without events that one is 1 whatever the rows, and
    being discrete it rejects too seldom; Jeffreys' p lies strictly between P(X > hits) and P(X >= hits).
    """
    from scipy.stats import beta

    return np.asarray(beta.cdf(pd, hits + 0.5, rows - hits + 0.5))


def binomial(hits: np.ndarray, rows: np.ndarray, pd: np.ndarray) -> np.ndarray:
    """P(X >= hits), X binomial (rows, pd): small where the pd understates the risk (BCBS WP 14, 2005, ch. III, binomial test).

    It takes defaults as independent; with an asset correlation of even 0.05 it rejects far more often than 5 %.
    """
    from scipy.stats import binom

    return np.asarray(binom.sf(hits - 1, rows, pd))


def holm(p: np.ndarray) -> np.ndarray:
    """P-values made fit for many tests at once (Holm, Scandinavian J. Statistics 6 (1979) 65-70), same order; at most 1.

    Why not Bonferroni's: Holm's never rejects less and keeps the same promise under any dependence.
    """
    order = np.argsort(p, kind="stable")
    raised = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    found = np.empty(len(p))
    found[order] = np.minimum(raised, 1.0)
    return found


def traffic_light(p: float) -> str:
    """`green`, `yellow` or `red` of a one-sided p-value."""
    return "red" if p < RED else "yellow" if p < YELLOW else "green"


def grade_findings(sample: ScoredSample) -> list[Finding]:
    """Two findings on one vintage: pd understated, and ranks turned round between neighbouring grades."""
    one = sample.independent()
    return [grade_tests(one), grade_order(one)]


def grade_tests(sample: ScoredSample) -> Finding:
    """Smallest Holm-adjusted Jeffreys p over the grades with rows; the table has every grade with its traffic light.

    Lights are by grade and unadjusted, as supervisors read them: of ten green-worthy grades one shows yellow or red in 40 %
    of all validations (1 - 0.95^10). The verdict therefore stands on the adjusted p.
    """
    size = np.bincount(sample.grade, minlength=sample.grades + 1)[1:].astype(np.float64)
    used = np.flatnonzero(size)
    if not len(used):
        empty = Bilingual(zh="没有行。", en="There are no rows.")
        return unmeasured("calibration.grades_understated", empty)
    rows = size[used]
    hits = np.bincount(sample.grade, sample.outcome, sample.grades + 1)[1:][used]
    pd = np.bincount(sample.grade, sample.pd, sample.grades + 1)[1:][used] / rows
    p, exact = jeffreys(hits, rows, pd), binomial(hits, rows, pd)
    adjusted = holm(p)
    table = tuple(
        (
            int(used[i]) + 1, int(rows[i]), int(hits[i]), float(pd[i]), float(hits[i] / rows[i]), float(p[i]), float(exact[i]),
            float(adjusted[i]), traffic_light(float(p[i])),
        )
        for i in range(len(used))
    )  # fmt: skip
    columns = (
        "grade",
        "rows",
        "events",
        "predicted",
        "observed",
        "jeffreys_p",
        "binomial_p",
        "holm_p",
        "light",
    )
    by_chance = 1.0 - (1.0 - YELLOW) ** len(used)
    shown = sum(row[-1] != "green" for row in table)
    note = Bilingual(
        zh=f"{len(used)} 个等级中 {shown} 个非绿；全部正确时，至少一个非绿的概率为 {by_chance:.0%}。",
        en=f"{shown} of {len(used)} grades not green; were all right, at least one would be so in {by_chance:.0%} of cases.",
    )
    return judge(
        "calibration.grades_understated",
        int(sum(row[-1] != "green" for row in table)),
        n=len(sample),
        events=sample.events,
        p_value=float(adjusted.min()),
        details=(Table("grades", columns, table),),
        note=note,
    )


def grade_order(sample: ScoredSample) -> Finding:
    """Pairs of neighbouring grades (by rising pd) whose observed rates fall, proven by Fisher's exact test after Holm.

    BCBS WP 14 (2005), ch. III. Why the test: in grades of few defaults rates turn round by luck all the time. The verdict
    stands on the smallest adjusted p.
    """
    from scipy.stats import fisher_exact

    grades = np.unique(sample.grade)
    told = [
        (
            float(sample.pd[sample.grade == grade].mean()),
            int((sample.grade == grade).sum()),
            int(sample.outcome[sample.grade == grade].sum()),
            int(grade),
        )
        for grade in grades
    ]
    rising = sorted(told)
    if len(rising) < 2:
        one = Bilingual(zh="只有一个等级有样本。", en="Only one grade has rows.")
        return unmeasured("calibration.grades_inverted", one, len(sample), sample.events)
    p, inverted = [], 0
    for (_, rows_a, hits_a, _), (_, rows_b, hits_b, _) in zip(rising, rising[1:], strict=False):
        inverted += hits_a / rows_a > hits_b / rows_b
        table = [[hits_a, rows_a - hits_a], [hits_b, rows_b - hits_b]]
        p.append(float(fisher_exact(table, alternative="greater").pvalue))
    return judge(
        "calibration.grades_inverted",
        int(inverted),
        n=len(sample),
        events=sample.events,
        p_value=float(holm(np.array(p)).min()),
    )
