"""PC09 history depth, PC10 lateness, PC11 restatement: how far back, how soon and how often again? All three warn.

History that the new platform lacks stays with the bank, since subjects keep their numbers; it is missing where the platform
brings people that the bank never had. So PC09 names the features that look further back than the new platform reaches.
"""

from __future__ import annotations

import numpy as np

from core.months import Month
from sources.migration.finding import ParityFinding, judged
from sources.migration.sides import TableSides
from sources.migration.tolerances import Tolerances


def history_depth(sides: TableSides, limits: Tolerances, cut_over: Month) -> list[ParityFinding]:
    """PC09: months within the look-back before the cut-over that the old side has of a region and the new one lacks; the worst
    region is told. Months."""
    start = cut_over.plus(-limits.pc09_look_back_months)
    missing: dict[str, int] = {}
    for region, first in sides.old.first_months.items():
        wanted = max(start, Month.parse(first))
        told = sides.new.first_months.get(region)
        reached = cut_over if told is None else Month.parse(told)
        missing[region] = max(0, reached.index - wanted.index)
    worst = max(missing, key=lambda region: (missing[region], region), default="")
    counts = {"regions": len(missing), "regions_short": sum(months > 0 for months in missing.values())}
    return [
        judged(
            "PC09", sides.table.name, "months_missing", float(missing.get(worst, 0)), high=0.0,
            column=worst if missing.get(worst) else "", counts=counts,
        )
    ]  # fmt: skip


def lateness(sides: TableSides, limits: Tolerances) -> list[ParityFinding]:
    """PC10: shift of the median and of the 95 % point of days from month end to first receipt, new minus old. Days, either
    way: features that look at how fresh a record is shift with both."""
    old, new = sides.old.days_late, sides.new.days_late
    found = []
    for measure, quantile, limit in (
        ("median_shift_days", 0.5, limits.pc10_median_days),
        ("p95_shift_days", 0.95, limits.pc10_p95_days),
    ):
        both = len(old) and len(new)
        shift = float(np.quantile(new, quantile) - np.quantile(old, quantile)) if both else 0.0
        counts = {"records_old": len(old), "records_new": len(new)}
        found.append(judged("PC10", sides.table.name, measure, shift, low=-limit, high=limit, counts=counts))
    return found


def restatement(sides: TableSides, limits: Tolerances) -> list[ParityFinding]:
    """PC11: share of records that came again with other content, new minus old."""
    old, new = (float(side.restated.mean()) if len(side.restated) else 0.0 for side in (sides.old, sides.new))
    limit = limits.pc11_restated_difference
    counts = {"restated_old": int(sides.old.restated.sum()), "restated_new": int(sides.new.restated.sum())}
    return [
        judged(
            "PC11",
            sides.table.name,
            "restated_share_difference",
            new - old,
            low=-limit,
            high=limit,
            counts=counts,
        )
    ]
