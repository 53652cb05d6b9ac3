"""Realised against predicted, for vintages whose performance window has closed: by vintage and by grade.

An outcome that is immature or excluded is left out and counted, never taken as good. An indeterminate one isn't an event: it
counts as none for the rate, as in calibration, and is left out of AUC.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.discrimination import auc_interval
from models.labels import EVENTS, EXCLUDED, IMMATURE, NON_EVENTS
from models.monitoring.measure import Measure
from models.validation.grades import binomial, holm, jeffreys


@dataclass(frozen=True)
class Realised:
    """One vintage as it was scored then, joined to its outcomes. `pd` (n,), `grade` (n,) 1 = best; `event` (n,) 1, 0, or -1
    where indeterminate; `left_out`: scored subjects by why they don't count."""

    vintage: str
    pd: np.ndarray
    grade: np.ndarray
    event: np.ndarray
    left_out: dict[str, int]


def realised(vintage: str, scores: pd.DataFrame, outcomes: pd.DataFrame) -> Realised:
    """Join scores (subject_no, pd, grade) and outcomes (subject_no, outcome) of one vintage."""
    both = scores[["subject_no", "pd", "grade"]].merge(
        outcomes[["subject_no", "outcome"]], on="subject_no", how="left", validate="one_to_one"
    )
    unknown, dropped = both["outcome"].isna(), both["outcome"].isin([EXCLUDED, IMMATURE])
    left_out = {"no outcome": int(unknown.sum())} | {
        kind: int((both["outcome"] == kind).sum()) for kind in (IMMATURE, EXCLUDED)
    }
    used = both[~unknown & ~dropped]
    event = np.select([used["outcome"].isin(EVENTS), used["outcome"].isin(NON_EVENTS)], [1, 0], default=-1)
    return Realised(
        vintage,
        used["pd"].to_numpy(dtype=np.float64),
        used["grade"].to_numpy(dtype=np.int64),
        event.astype(np.int8),
        left_out,
    )


def backtest(one: Realised, trained_auc: float | None) -> list[Measure]:
    """Of one vintage: `vintage_predicted`, `vintage_observed`, `vintage_oe` (observed over expected events, both with Jeffreys'
    interval), `vintage_understated` (Jeffreys p, small where pd is too low), `vintage_auc` (DeLong), `vintage_auc_fall` (what
    even the upper end of that interval lies below the AUC at training), `vintage_left_out`, and its grades."""
    about, n, event = one.vintage, len(one.pd), one.event == 1
    left_out = [
        Measure("vintage_left_out", float(count), n, f"{about}/{why}") for why, count in one.left_out.items()
    ]
    if not n:
        return [Measure("vintage_observed", None, 0, about), *left_out]
    hits, predicted = int(event.sum()), float(one.pd.mean())
    low, high = rate_interval(hits, n)
    p = float(jeffreys(np.array([hits]), np.array([n]), np.array([predicted]))[0])
    told = [
        Measure("vintage_predicted", predicted, n, about),
        Measure("vintage_observed", hits / n, n, about, low=low, high=high, events=hits),
        Measure("vintage_oe", hits / n / predicted, n, about, low=low / predicted, high=high / predicted, events=hits),
        Measure("vintage_understated", p, n, about, events=hits),
        *_ranking(one, trained_auc),
    ]  # fmt: skip
    return [*told, *left_out, *grade_backtest(one)]


def rate_interval(hits: int, rows: int) -> tuple[float, float]:
    """Jeffreys' 95 % interval of a rate: quantiles of Beta(hits + 1/2, rows - hits + 1/2), 0 and 1 at the ends (Brown, Cai and
    DasGupta, Statistical Science 16 (2001) 101-133, sec. 3.1.1)."""
    from scipy.stats import beta

    low, high = beta.ppf((0.025, 0.975), hits + 0.5, rows - hits + 0.5)
    return (0.0 if hits == 0 else float(low)), (1.0 if hits == rows else float(high))


def grade_backtest(one: Realised) -> list[Measure]:
    """By grade, `about` vintage/grade: `grade_predicted`, `grade_observed`, `grade_jeffreys` with Holm's p as `chance`,
    `grade_binomial`; `vintage_grades_understated`: the smallest Holm p, since many grades are looked at."""
    size = np.bincount(one.grade)
    used = np.flatnonzero(size)
    rows, hits = (
        size[used].astype(np.float64),
        np.bincount(one.grade, one.event == 1, len(size))[used].astype(np.float64),
    )
    pd = np.bincount(one.grade, one.pd, len(size))[used] / rows
    p, exact = jeffreys(hits, rows, pd), binomial(hits, rows, pd)
    adjusted = holm(p)
    found = [
        Measure("vintage_grades_understated", float(adjusted.min()), len(one.pd), one.vintage, events=int(hits.sum()))
    ]  # fmt: skip
    for i, grade in enumerate(used):
        about, n, events = f"{one.vintage}/{grade}", int(rows[i]), int(hits[i])
        low, high = rate_interval(events, n)
        found += [
            Measure("grade_predicted", float(pd[i]), n, about, events=events),
            Measure("grade_observed", events / n, n, about, low=low, high=high, events=events),
            Measure("grade_jeffreys", float(p[i]), n, about, float(adjusted[i]), events=events),
            Measure("grade_binomial", float(exact[i]), n, about, events=events),
        ]
    return found


def _ranking(one: Realised, trained_auc: float | None) -> list[Measure]:
    decided = one.event >= 0
    target, pd = one.event[decided], one.pd[decided]
    names = ("vintage_auc", "vintage_auc_fall")
    # DeLong's variance needs two of each.
    if min((target == 1).sum(), (target == 0).sum()) < 2:
        return [Measure(name, None, len(pd), one.vintage, events=int(target.sum())) for name in names]
    told, events = auc_interval(target, pd), int(target.sum())
    fall = None if trained_auc is None else trained_auc - told.high
    return [
        Measure(names[0], told.auc, len(pd), one.vintage, low=told.low, high=told.high, events=events),
        Measure(names[1], fall, len(pd), one.vintage, events=events),
    ]
