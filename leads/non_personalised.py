"""The arm of a campaign in which no model has a say (PIPL art. 24): the same offer for those who refuse marketing by automated
decision, in an order drawn by a keyed hash.

They are on no ranked list, and no score of theirs is looked at: neither propensity nor value nor the risk grade decides whether
or where they stand. What holds for everybody holds for them too: consent, other suppressions, a branch, no such product yet, no
recent contact, no live lead, and the random holdouts.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np
import pandas as pd

from leads.eligibility import exclusion_reasons, rules_without_model
from leads.keyed_hash import LeadKey
from leads.policy import LeadPolicy
from leads.selection import within_capacity

#: Values of the column `arm` on lists.
RANKED, NON_PERSONALISED = "ranked", "non_personalised"


def drawn_in_branch(
    candidates: pd.DataFrame, policy: LeadPolicy, on: date, key: LeadKey, campaign_id: str
) -> pd.DataFrame:
    """Who may stand in the arm, sorted by branch_id and draw, with `priority_rank` 1..n inside the branch.

    `candidates`: from `leads.candidates.assemble`. Nobody where the policy has no such arm.
    """
    refusing = candidates[candidates["refuses_profiling"]].drop_duplicates("subject_no")
    if policy.non_personalised is None:
        refusing = refusing.iloc[:0]
    admitted = refusing[exclusion_reasons(refusing, rules_without_model(policy, on)).isna()]
    draws = key.draws("non_personalised", (f"{campaign_id}|{no}" for no in admitted["subject_no"]))
    drawn = (
        admitted.assign(_draw=draws).sort_values(["branch_id", "_draw"], kind="stable").drop(columns="_draw")
    )
    drawn["priority_rank"] = (drawn.groupby("branch_id").cumcount() + 1).astype("int32")
    return drawn.reset_index(drop=True)


def inside_arm(drawn: pd.DataFrame, policy: LeadPolicy, capacity: Mapping[str, int]) -> np.ndarray:
    """bool per drawn row: within the arm's own leads per branch; a branch that has no room for leads has none for these."""
    if policy.non_personalised is None:
        return np.zeros(len(drawn), dtype=bool)
    room = policy.non_personalised.leads_per_branch
    return within_capacity(drawn, {branch: min(room, most) for branch, most in capacity.items()}, room)
