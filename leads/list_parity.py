"""PC14: would the same subjects stand on the list? The greatest expected values by either side's scores."""

from __future__ import annotations

import numpy as np
import pandas as pd

from leads.policy import LeadPolicy
from leads.value import expected_value
from sources.migration.finding import ParityFinding, judged
from sources.migration.tolerances import Tolerances


def top_subjects(scores: pd.DataFrame, policy: LeadPolicy, size: int) -> np.ndarray:
    """subject_no of the `size` greatest expected values among those within the policy's risk gate; ties by subject_no.

    `scores`: subject_no, pd, grade, propensity. Consent, holdout and capacity are left aside: they don't depend on the side.
    """
    frame = scores.assign(risk_consent=True, uplift=scores["propensity"])
    if policy.risk_gate is not None:
        frame = frame[frame["grade"] <= policy.risk_gate.worst_grade]
    frame = frame.assign(value=expected_value(frame, policy)).sort_values("subject_no")
    ranked = frame.sort_values("value", ascending=False, kind="stable")
    return np.sort(ranked["subject_no"].to_numpy()[:size])


def list_parity(
    old: pd.DataFrame, new: pd.DataFrame, policy: LeadPolicy, size: int, limits: Tolerances
) -> ParityFinding:
    """Jaccard overlap of the two tops: common subjects over all on either."""
    mine, theirs = top_subjects(old, policy, size), top_subjects(new, policy, size)
    common, all_ = len(np.intersect1d(mine, theirs)), len(np.union1d(mine, theirs))
    counts = {"common": common, "old": len(mine), "new": len(theirs)}
    share = common / all_ if all_ else 1.0
    return judged("PC14", policy.policy, "top_overlap", share, low=limits.pc14_jaccard, counts=counts)
