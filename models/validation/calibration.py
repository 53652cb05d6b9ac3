"""Do the probabilities mean what they say: in total, by grade, in spread and by group of scores."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.definition_file import Bilingual
from models.validation.declared import judge, unmeasured
from models.validation.discrimination import ONE_OUTCOME, Z95
from models.validation.finding import Finding, Interval, Table
from models.validation.logistic_recalibration import recalibrate
from models.validation.scored_sample import ScoredSample, log_odds_of

GROUPS = 10

CANT_FIT = Bilingual(
    zh="只有一种结果、一个分值，或分数完全分开两类，无法拟合。",
    en="One outcome, one score, or scores that separate the outcomes: nothing can be fitted.",
)


def calibration_findings(sample: ScoredSample, *, in_sample: bool = False) -> list[Finding]:
    """All of this family but the tests by grade. Totals and slope use all rows with errors that know of subjects; tests that
    take rows as independent use one vintage (`ScoredSample.independent`).
    """
    if not sample.both:
        return [expected_observed(sample), unmeasured("calibration.brier", ONE_OUTCOME, len(sample))]
    one = sample.independent()
    return [
        expected_observed(sample),
        *cox(sample),
        *brier(sample),
        expected_calibration_error(one),
        hosmer_lemeshow(one, in_sample=in_sample),
        spiegelhalter(one),
    ]


def expected_observed(sample: ScoredSample) -> Finding:
    """Observed events over expected: sum(y) / sum(pd), interval exp(ln ratio ± 1.96 se), se from sums of y - pd per subject.

    Debray et al., BMJ 356 (2017) i6460 (total O:E ratio). Why beside Hosmer-Lemeshow: it is a ratio with a size, so that a
    provision can be corrected by it; it is blind to errors that cancel out across the scores, which the slope sees.
    """
    expected = float(sample.pd.sum())
    if expected <= 0.0 or sample.events == 0:
        return unmeasured("calibration.observed_over_expected", ONE_OUTCOME, len(sample), sample.events)
    ratio = sample.events / expected
    rows = []
    for number, month in enumerate(sample.vintages):
        here = sample.vintage_no == number
        told, hits = float(sample.pd[here].sum()), int(sample.outcome[here].sum())
        rows.append((month, int(here.sum()), hits, told, hits / told if told else None))
    columns = ("vintage", "rows", "events", "expected", "observed_over_expected")
    return judge(
        "calibration.observed_over_expected",
        ratio,
        n=len(sample),
        events=sample.events,
        interval=ratio_interval(sample),
        details=(Table("by_vintage", columns, tuple(rows)),),
    )


def ratio_interval(sample: ScoredSample, confidence: float = 0.95) -> Interval:
    """Interval of sum(y) / sum(pd) on the log scale, errors by subject; needs events and a pd above 0."""
    from scipy.stats import norm

    expected = float(sample.pd.sum())
    ratio = sample.events / expected
    members = np.unique(sample.subject_no, return_inverse=True)[1].ravel()
    sums = np.bincount(members, sample.outcome - ratio * sample.pd)
    error = float(np.sqrt(sums @ sums * len(sums) / max(len(sums) - 1, 1))) / expected / ratio
    reach = float(norm.ppf(0.5 + confidence / 2.0)) * error
    return Interval(float(ratio * np.exp(-reach)), float(ratio * np.exp(reach)), confidence)


def cox(sample: ScoredSample) -> list[Finding]:
    """Slope b and level a of logit P(y = 1) = a + b logit(pd), and the joint test of (0, 1).

    Cox, Biometrika 45 (1958) 562-565; Van Calster et al., BMC Medicine 17 (2019) 230. Slope below 1: scores too extreme (an
    overfitted model); above 1: too flat. Why beside the tests by grade: each grade may pass while the spread is wrong. The
    verdict needs the whole interval outside the band, as with many rows a slope of 0.99 differs from 1 "significantly"; the
    joint likelihood-ratio test (2 degrees of freedom) tests the point and therefore only warns. It takes one vintage.
    """
    z = log_odds_of(sample.pd)
    fit = recalibrate(z, sample.outcome, sample.subject_no)
    names = ("calibration.cox_slope", "calibration.cox_level", "calibration.cox_joint")
    if fit is None:
        return [unmeasured(name, CANT_FIT, len(sample), sample.events) for name in names]
    slope = Interval(fit.slope - Z95 * fit.slope_error, fit.slope + Z95 * fit.slope_error)
    level = Interval(fit.level - Z95 * fit.level_error, fit.level + Z95 * fit.level_error)
    told: dict[str, Any] = {"n": len(sample), "events": sample.events}
    return [
        judge(names[0], fit.slope, interval=slope, **told),
        judge(names[1], fit.level, interval=level, **told),
        _cox_joint(sample.independent()),
    ]


def _cox_joint(sample: ScoredSample) -> Finding:
    from scipy.stats import chi2

    fit = recalibrate(log_odds_of(sample.pd), sample.outcome, sample.subject_no)
    if fit is None:
        return unmeasured("calibration.cox_joint", CANT_FIT, len(sample), sample.events)
    ratio = max(0.0, 2.0 * (fit.log_likelihood[0] - fit.log_likelihood[2]))
    return judge(
        "calibration.cox_joint",
        ratio,
        n=len(sample),
        events=sample.events,
        p_value=float(chi2.sf(ratio, 2)),
    )


def brier(sample: ScoredSample) -> list[Finding]:
    """Brier = mean (pd - y)^2, split by groups of scores into reliability - resolution + uncertainty + what binning hides.

    Murphy, J. Applied Meteorology 12 (1973) 595-600; within-bin terms by Stephenson, Coelho and Jolliffe, Weather and
    Forecasting 23 (2008) 752-757, so that the parts add up exactly. Why the skill beside it: with 2 % bad rate a model that says
    2 % of everybody has a Brier of 0.0196, so the number alone looks good for any model; skill = 1 - Brier / uncertainty
    is 0 for that one. Unlike AUC it punishes a wrong level too.
    """
    group = _groups(sample.pd, GROUPS)
    n, base = len(sample), sample.events / len(sample)
    size, hits, told = _sums(sample, group)
    rate, mean = hits / size, told / size
    score = float(((sample.pd - sample.outcome) ** 2).mean())
    reliability = float((size * (mean - rate) ** 2).sum() / n)
    resolution = float((size * (rate - base) ** 2).sum() / n)
    uncertainty = base * (1.0 - base)
    spread = sample.pd - mean[group]
    within = float((spread**2).mean())
    shared = 2.0 * float((spread * (sample.outcome - rate[group])).mean())
    parts = ("reliability", "resolution", "uncertainty", "within_variance", "within_covariance")
    values = (reliability, resolution, uncertainty, within, shared)
    table = Table("brier_parts", ("part", "value"), tuple(zip(parts, values, strict=True)))
    skill = 1.0 - score / uncertainty
    return [
        judge("calibration.brier", score, n=n, events=sample.events, details=(table,)),
        judge("calibration.brier_skill", skill, n=n, events=sample.events),
    ]


def expected_calibration_error(sample: ScoredSample) -> Finding:
    """Sum over ten groups of equal size of (rows / n) |observed rate - mean pd|.

    Naeini, Cooper and Hauskrecht, AAAI 2015. Why beside Hosmer-Lemeshow: it has a size in points of probability, not a
    p-value that shrinks with rows. But a perfectly calibrated model has an error above 0 too: under calibration each term is
    about a half-normal with mean sqrt(2 v / pi), v = pd (1 - pd) / rows, so the limit never lies below mean + 1.645 sd of that.
    """
    size, hits, told = _sums(sample, _groups(sample.pd, GROUPS))
    share, spread = size / len(sample), np.sqrt(_variance(sample, GROUPS)) / size
    value = float((share * np.abs(hits - told) / size).sum())
    expected = float((share * spread).sum() * np.sqrt(2.0 / np.pi))
    sd = float(np.sqrt(((share * spread) ** 2).sum() * (1.0 - 2.0 / np.pi)))
    rows = tuple(
        (i + 1, int(size[i]), int(hits[i]), told[i] / size[i], hits[i] / size[i]) for i in range(len(size))
    )
    return judge(
        "calibration.expected_calibration_error",
        value,
        n=len(sample),
        events=sample.events,
        chance=expected + 1.645 * sd,
        details=(Table("groups", ("group", "rows", "events", "predicted", "observed"), rows),),
    )


def hosmer_lemeshow(sample: ScoredSample, *, in_sample: bool = False, groups: int = GROUPS) -> Finding:
    """C = sum over G groups of (O - n p)^2 / (n p (1 - p)); chi-square with G degrees of freedom out of sample.

    Hosmer, Lemeshow and Sturdivant, Applied Logistic Regression (3rd ed., 2013), sec. 5.2.2. G - 2 holds only on the rows
    that a logistic model was fitted on (`in_sample`); out of sample nothing was estimated on these rows, and G - 2 would
    reject a right model too often. Why beside Spiegelhalter's: it sees errors that differ in sign between groups, at the
    price of arbitrary groups. With many rows it rejects trivial errors, so it only warns; the observed/expected ratio
    and the slope decide.
    """
    from scipy.stats import chi2

    group = _groups(sample.pd, groups)
    size, hits, told = _sums(sample, group)
    mean = told / size
    if len(size) < 3 or (mean <= 0.0).any() or (mean >= 1.0).any():
        few = Bilingual(zh="分数不同值太少，分不出三组。", en="Too few different scores for three groups.")
        return unmeasured("calibration.hosmer_lemeshow", few, len(sample), sample.events)
    statistic = float(((hits - told) ** 2 / (size * mean * (1.0 - mean))).sum())
    degrees = len(size) - 2 if in_sample else len(size)
    least = float(np.minimum(told, size - told).min())
    note = Bilingual(
        zh=f"自由度 {degrees}；最小期望数 {least:.1f}" + ("，小于 5，近似较差。" if least < 5 else "。"),
        en=f"{degrees} degrees of freedom; smallest expected count {least:.1f}"
        + (", below 5: the approximation is poor." if least < 5 else "."),
    )
    return judge(
        "calibration.hosmer_lemeshow",
        statistic,
        n=len(sample),
        events=sample.events,
        p_value=float(chi2.sf(statistic, degrees)),
        note=note,
    )


def spiegelhalter(sample: ScoredSample) -> Finding:
    """Z = sum((y - p)(1 - 2p)) / sqrt(sum(p (1 - p)(1 - 2p)^2)), two-sided normal.

    Spiegelhalter, Statistics in Medicine 5 (1986) 421-433, eq. 5-6: the Brier score against what it should be were the pd
    true. Why beside Hosmer-Lemeshow: it needs no groups; but it is blind to errors that cancel, and with small pd little
    more than a test of the total. It only warns, for the same reason.
    """
    from scipy.stats import norm

    weight = 1.0 - 2.0 * sample.pd
    spread = float((sample.pd * (1.0 - sample.pd) * weight**2).sum())
    if spread <= 0.0:
        return unmeasured("calibration.spiegelhalter", CANT_FIT, len(sample), sample.events)
    z = float(((sample.outcome - sample.pd) * weight).sum()) / float(np.sqrt(spread))
    return judge(
        "calibration.spiegelhalter",
        z,
        n=len(sample),
        events=sample.events,
        p_value=float(2.0 * norm.sf(abs(z))),
    )


def _groups(pd: np.ndarray, groups: int) -> np.ndarray:
    """Group 0, 1, … (n,) of equal size by rising pd; rows of one pd stay together."""
    order = np.sort(pd)
    edges = np.unique(order[(np.arange(1, groups) * len(order)) // groups])
    return np.unique(np.searchsorted(edges, pd, side="right"), return_inverse=True)[1].ravel()


def _sums(sample: ScoredSample, group: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, events and expected events per group."""
    return (
        np.bincount(group).astype(np.float64),
        np.bincount(group, sample.outcome),
        np.bincount(group, sample.pd),
    )


def _variance(sample: ScoredSample, groups: int) -> np.ndarray:
    return np.bincount(_groups(sample.pd, groups), sample.pd * (1.0 - sample.pd))
