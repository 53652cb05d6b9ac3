"""Cohorts: what became of the subjects of each vintage, and whether the base rate has shifted between the sides."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.labels import EVENTS, EXCLUDED, IMMATURE, INDETERMINATE, NON_EVENTS
from models.sample import Sample
from models.vintages import VintagePlan

#: Ratios of event rates between these are of no matter to a provision; the whole interval must lie beyond one of them.
IMMATERIAL = (0.8, 1.25)

Z95 = 1.959963984540054

#: Events on each side from which an alarm can be raised.
LEAST_EVENTS = 10


@dataclass(frozen=True)
class Cohort:
    """One vintage: outcomes by kind, rows that came into the sample, its side (`training`, `out_of_time`, `between`, `all`).

    `rate` is events / (events + non-events) of the sample's rows; None where there are none.
    """

    vintage: str
    side: str
    outcomes: int
    events: int
    non_events: int
    indeterminate: int
    immature: int
    excluded: int
    in_sample: int
    rate: float | None


@dataclass(frozen=True)
class BaseShift:
    """Event rate of the later side over that of the training side with a 95 % interval (errors by subject).

    `alarmed`: the whole interval lies outside IMMATERIAL, and both sides have LEAST_EVENTS events.
    """

    training_rate: float
    later_rate: float
    training_rows: int
    later_rows: int
    ratio: float
    low: float
    high: float
    alarmed: bool


def cohorts(sample: Sample, outcomes: pd.DataFrame, plan: VintagePlan | None) -> tuple[Cohort, ...]:
    """One cohort a vintage, in order. `outcomes`: subject_no, as_of, outcome, those that never came into the sample too."""
    vintages = outcomes["as_of"].astype(str).to_numpy()
    kinds = pd.crosstab(vintages, outcomes["outcome"].to_numpy())
    sides = _sides(plan)
    found = []
    for vintage in sorted({*vintages, *sample.as_of}):
        own = sample.target[sample.as_of == vintage]
        events, decided = int((own == 1).sum()), int((own >= 0).sum())
        counted = kinds.loc[vintage] if vintage in kinds.index else pd.Series(dtype=np.int64)
        found.append(
            Cohort(
                vintage=str(vintage),
                side=sides.get(str(vintage), "between") if plan is not None else "all",
                outcomes=int(counted.sum()),
                events=_count(counted, EVENTS),
                non_events=_count(counted, NON_EVENTS),
                indeterminate=_count(counted, (INDETERMINATE,)),
                immature=_count(counted, (IMMATURE,)),
                excluded=_count(counted, (EXCLUDED,)),
                in_sample=len(own),
                rate=events / decided if decided else None,
            )
        )
    return tuple(found)


def base_shift(training: Sample, later: Sample) -> BaseShift | None:
    """Ratio of event rates of the decided rows; None where a side has no event or no row without one.

    Interval exp(ln ratio ± 1.96 se) with se from sums of y - rate per subject on each side (Katz et al., Biometrics 34 (1978)
    469-474, with errors by cluster as rows of one subject share most of their windows).
    """
    sides = [side.take(side.decided) for side in (training, later)]
    if any(not 0 < side.events < len(side) for side in sides):
        return None
    rates = [side.events / len(side) for side in sides]
    error = math.hypot(*(_log_error(side, rate) for side, rate in zip(sides, rates, strict=True)))
    ratio = rates[1] / rates[0]
    low, high = ratio * float(np.exp(-Z95 * error)), ratio * float(np.exp(Z95 * error))
    enough = min(side.events for side in sides) >= LEAST_EVENTS
    alarmed = enough and (high < IMMATERIAL[0] or low > IMMATERIAL[1])
    return BaseShift(rates[0], rates[1], len(sides[0]), len(sides[1]), ratio, low, high, alarmed)


def _log_error(side: Sample, rate: float) -> float:
    members = np.unique(side.subject_no, return_inverse=True)[1].ravel()
    sums = np.bincount(members, side.target - rate)
    return float(np.sqrt(sums @ sums * len(sums) / max(len(sums) - 1, 1))) / len(side) / rate


def _sides(plan: VintagePlan | None) -> Mapping[str, str]:
    if plan is None:
        return {}
    return {str(month): "training" for month in plan.training} | {
        str(month): "out_of_time" for month in plan.out_of_time
    }


def _count(counted: pd.Series, kinds: Sequence[str]) -> int:
    return sum(int(counted.get(kind, 0)) for kind in kinds)
