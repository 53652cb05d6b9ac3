"""From eligible candidates to the leads that branches can work: ranked by value inside each branch, cut at its capacity."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from leads.keyed_hash import LeadKey


def one_per_subject(eligible: pd.DataFrame) -> pd.DataFrame:
    """The most valuable row of each subject (the first of equals); order and index are kept."""
    best = eligible.sort_values("expected_value", ascending=False, kind="stable").drop_duplicates(
        "subject_no"
    )
    return eligible.loc[eligible.index.isin(best.index)]


def rank_in_branch(eligible: pd.DataFrame, key: LeadKey, campaign_id: str) -> pd.DataFrame:
    """Sorted by branch_id and falling expected value, with `priority_rank` 1..n inside the branch.

    Equal values are ordered by a keyed hash of the number, which a change of pseudonyms leaves alone: an order by id would favour
    the same subjects in every campaign.
    """
    texts = [f"{campaign_id}|{number}" for number in eligible["subject_no"]]
    ranked = eligible.assign(_tie=key.tokens("tie", texts))
    ranked = ranked.sort_values(
        ["branch_id", "expected_value", "_tie"], ascending=[True, False, True], kind="stable"
    ).drop(columns="_tie")
    ranked["priority_rank"] = (ranked.groupby("branch_id").cumcount() + 1).astype("int32")
    return ranked.reset_index(drop=True)


def within_capacity(ranked: pd.DataFrame, capacity: Mapping[str, int], default: int) -> np.ndarray:
    """bool per ranked row: inside the branch's number of leads (`default` where the mapping doesn't name the branch)."""
    limits = np.array([capacity.get(branch, default) for branch in ranked["branch_id"]], dtype=np.int64)
    return np.asarray(ranked["priority_rank"].to_numpy("int64") <= limits)


def would_be_listed(
    held_out: pd.DataFrame, listed: pd.DataFrame, capacity: Mapping[str, int], default: int
) -> np.ndarray:
    """bool per held-out row: whether it, alone, would stand on the list if it weren't held out.

    True where the branch has room left, else where its value reaches the least value listed there. Only these compare with
    the listed: the others are worth less by construction and would make any campaign look good.
    """
    of_branch = listed.groupby("branch_id")["expected_value"]
    least, count = of_branch.min().to_dict(), of_branch.size().to_dict()

    def needed(branch: str) -> float:
        if count.get(branch, 0) < capacity.get(branch, default):
            return -np.inf
        return float(least.get(branch, np.inf))

    cut = np.array([needed(branch) for branch in held_out["branch_id"]], dtype=np.float64)
    return np.asarray(held_out["expected_value"].to_numpy("float64") >= cut)
