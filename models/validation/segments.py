"""The same questions inside each segment: a model that is right on average may be wrong for a county or a thin file."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.definition_file import Bilingual
from models.discrimination import clustered_auc_interval
from models.validation.calibration import ratio_interval
from models.validation.declared import judge, unmeasured
from models.validation.finding import Cell, Finding, Interval, Table
from models.validation.scored_sample import ScoredSample

#: Rows, and events and non-events, below which a segment isn't told: 10 is the least count that may leave the bank's room
#: (domain rules, outbound manifest), and an AUC of fewer events says nothing.
LEAST_ROWS = 50
LEAST_OF_EACH = 10

SMALL = Bilingual(
    zh="没有足够大的分组（至少 50 行，好坏各 10）。",
    en="No segment is large enough (50 rows, 10 of each outcome).",
)


def segment_findings(sample: ScoredSample) -> list[Finding]:
    """Two findings for each kind of segment: the largest loss of AUC, and the observed/expected ratio farthest from 1."""
    return [
        found
        for kind in sample.segments
        for found in _of_kind(sample, kind, np.unique(sample.segments[kind]))
    ]


def _of_kind(sample: ScoredSample, kind: str, codes: np.ndarray) -> list[Finding]:
    """AUC by segment (DeLong or clustered) and sum(y) / sum(pd).

    Domain choices of the project sec. 10; BCBS WP 14 (2005). Why intervals at 1 - 5 % / segments (Bonferroni): the worst of many
    segments is looked at, and of twenty equal ones the worst always looks bad. Part of the AUC is lost by segmenting
    itself: inside a segment scores differ less; so the limits are wide.
    """
    told = [code for code in codes if _large(sample.outcome[sample.segments[kind] == code])]
    rows: list[tuple[Cell, ...]] = []
    names = ("segments.auc_loss", "segments.observed_over_expected")
    losses, ratios = [], []
    level = 1.0 - 0.05 / max(len(told), 1)
    whole = clustered_auc_interval(sample.outcome, sample.pd, sample.subject_no) if told else None
    for code in told:
        assert whole is not None
        one = sample.take(sample.segments[kind] == code)
        estimate = clustered_auc_interval(one.outcome, one.pd, one.subject_no, level)
        ratio = ratio_interval(one, level)
        losses.append((whole.auc - estimate.auc, whole.auc - estimate.high, whole.auc - estimate.low))
        ratios.append((ratio.low, float(one.outcome.sum() / one.pd.sum()), ratio.high))
        rows.append(
            (str(code) or "-", len(one), one.events, estimate.auc, estimate.low, estimate.high, float(one.pd.mean()),
             one.events / len(one), ratios[-1][1], ratio.low, ratio.high)
        )  # fmt: skip
    hidden = len(codes) - len(told)
    if hidden:
        rest = ~np.isin(sample.segments[kind], told)
        # The sum of the suppressed ones is itself told only where it is large enough.
        shown = int(rest.sum()) if rest.sum() >= LEAST_ROWS else None
        rows.append((f"{hidden} suppressed / 略去", shown, *([None] * 9)))
    if not told:
        return [unmeasured(name, SMALL, len(sample), sample.events, about=kind) for name in names]
    columns = ("segment", "rows", "events", "auc", "auc_low", "auc_high", "predicted", "observed",
               "observed_over_expected", "ratio_low", "ratio_high")  # fmt: skip
    table = (Table(f"by_{kind}", columns, tuple(rows)),)
    # The worst is the one that is proven to be worst, not the smallest segment with the widest interval.
    loss = max(losses, key=lambda each: each[1])
    far = max(ratios, key=lambda each: max(np.log(each[0]), -np.log(each[2])))
    size: dict[str, Any] = {"n": len(sample), "events": sample.events, "about": kind}
    return [
        judge(names[0], loss[0], interval=Interval(loss[1], loss[2], level), details=table, **size),
        judge(names[1], far[1], interval=Interval(far[0], far[2], level), **size),
    ]


def _large(outcome: np.ndarray) -> bool:
    events = int(outcome.sum())
    return len(outcome) >= LEAST_ROWS and min(events, len(outcome) - events) >= LEAST_OF_EACH
