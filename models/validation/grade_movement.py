"""How grades move and crowd: migration between months with mobility, concentration and its change."""

from __future__ import annotations

import numpy as np

from core.definition_file import Bilingual
from models.validation.declared import judge, unmeasured
from models.validation.finding import Finding, Table
from models.validation.scored_sample import ScoredSample
from models.validation.stability import ONE_VINTAGE, paired


def movement_findings(sample: ScoredSample) -> list[Finding]:
    """Migration between the last two vintages, and concentration of the last one with its change since the first."""
    return [*migration(sample), *concentration(sample)]


def migration(sample: ScoredSample) -> list[Finding]:
    """Mobility (K - trace P) / (K - 1) of the grade migration matrix P, and the share that moves two grades or more.

    Shorrocks, Econometrica 46 (1978) 1013-1024, eq. 6; K grades that have subjects. 0: nobody moves; 1: the next grade is
    independent of this one (equal rows). Why the second beside it: mobility counts a move of one grade, which a PD near a bound
    makes by itself, like a move across the whole scale.
    """
    names = ("stability.grade_mobility", "stability.grade_jumps")
    last = len(sample.vintages) - 1
    a, b = paired(sample, last - 1, last) if last > 0 else (np.empty(0, int), np.empty(0, int))
    if not len(a):
        return [unmeasured(name, ONE_VINTAGE, len(sample)) for name in names]
    counts = migration_matrix(sample.grade[a], sample.grade[b], sample.grades)
    jumps = float((np.abs(sample.grade[a].astype(int) - sample.grade[b].astype(int)) >= 2).mean())
    columns = ("from_grade", *(f"to_{grade}" for grade in range(1, sample.grades + 1)))
    rows = tuple((i + 1, *(int(count) for count in counts[i])) for i in range(sample.grades))
    return [
        judge(names[0], mobility(counts), n=len(a), details=(Table("migration", columns, rows),)),
        judge(names[1], jumps, n=len(a)),
    ]


def migration_matrix(before: np.ndarray, after: np.ndarray, grades: int) -> np.ndarray:
    """Subjects (grades, grades) by grade before (rows) and after (columns)."""
    places = (before.astype(np.int64) - 1) * grades + after.astype(np.int64) - 1
    return np.bincount(places, minlength=grades * grades).reshape(grades, grades)


def mobility(counts: np.ndarray) -> float | None:
    """Shorrocks' mobility of a matrix of counts, over grades with subjects; None with fewer than two of them."""
    there = counts.sum(axis=1) > 0
    if there.sum() < 2:
        return None
    stay = np.diag(counts)[there] / counts.sum(axis=1)[there]
    return float((there.sum() - stay.sum()) / (there.sum() - 1))


def concentration(sample: ScoredSample) -> list[Finding]:
    """HI = 1 + ln(sum of squared shares) / ln K of the last vintage, and the test that it rose since the first.

    ECB, Instructions for reporting the validation results of internal models (2019), sec. 2.5.5. 0: subjects lie evenly over
    the K grades, 1: all in one. With the coefficient of variation c = sqrt(K sum (share - 1/K)^2) the test is
    1 - Phi(sqrt(K - 1) (c - c0) / sqrt(c^2 (0.5 + c^2))). Why normalised: the plain Herfindahl of 10 and of 7 grades don't
    compare. Why beside the PSI: a PSI is blind to where the rows went. The variance of the test grows with c: of ten grades it
    proves 40 % in one, and has no power where nearly all lie in one (p = 0.16). Hence the level is judged by itself.
    """
    shares = [
        np.bincount(sample.grade[sample.vintage_no == number], minlength=sample.grades + 1)[1:]
        for number in range(len(sample.vintages))
    ]
    if not shares:
        return [unmeasured("stability.grade_concentration", ONE_VINTAGE)]
    now, then = shares[-1] / shares[-1].sum(), shares[0] / shares[0].sum()
    rows = tuple((i + 1, float(then[i]), float(now[i])) for i in range(sample.grades))
    table = Table("grade_shares", ("grade", "first_share", "last_share"), rows)
    found = [
        judge(
            "stability.grade_concentration",
            herfindahl(now),
            n=int(shares[-1].sum()),
            details=(table,),
        )
    ]
    if len(shares) < 2:
        return [*found, unmeasured("stability.concentration_change", ONE_VINTAGE, len(sample))]
    p = concentration_p(now, then)
    change = herfindahl(now) - herfindahl(then)
    note = None
    if p is None:
        note = Bilingual(zh="等级分布完全均匀，检验无定义。", en="Grades are even: the test isn't defined.")
    return [
        *found,
        judge("stability.concentration_change", change, n=int(shares[-1].sum()), p_value=p, note=note),
    ]


def herfindahl(shares: np.ndarray) -> float:
    """Normalised Herfindahl index of shares (K,) that add up to 1."""
    return float(1.0 + np.log(float(shares @ shares)) / np.log(len(shares)))


def concentration_p(now: np.ndarray, then: np.ndarray) -> float | None:
    """One-sided p of the ECB's test that `now` is more concentrated than `then` (both (K,) shares); None where now is even."""
    from scipy.stats import norm

    grades = len(now)
    c, c0 = (float(np.sqrt(grades * ((shares - 1.0 / grades) ** 2).sum())) for shares in (now, then))
    if c <= 0.0:
        return None
    return float(norm.sf(np.sqrt(grades - 1) * (c - c0) / np.sqrt(c * c * (0.5 + c * c))))
