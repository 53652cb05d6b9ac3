"""The table that eligibility and selection work on: one row per subject with all that decides about a lead.

It lives in memory only and is never exported: it holds scores.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

import pandas as pd

from leads.holdout import campaign_holdout, global_holdout
from leads.keyed_hash import LeadKey
from leads.policy import LeadPolicy
from leads.value import expected_value

#: Columns of the result beside `subject_no` and `subject_id`.
COLUMNS = (
    "branch_id",
    "consent_id",
    "risk_consent",
    "suppressed",
    "refuses_profiling",
    "holds_product",
    "last_contact",
    "live_lead",
    "propensity",
    "uplift",
    "pd",
    "grade",
    "expected_value",
    "campaign_holdout",
    "global_holdout",
)


def assemble(
    subjects: pd.DataFrame,
    policy: LeadPolicy,
    *,
    campaign_id: str,
    on: date,
    key: LeadKey,
    acquisition: pd.DataFrame,
    marketing_consent: pd.DataFrame,
    suppressions: pd.DataFrame,
    branches: pd.DataFrame,
    risk: pd.DataFrame | None = None,
    risk_consent: pd.DataFrame | None = None,
    holders: Collection[int] = (),
    contacts: pd.DataFrame | None = None,
    live_leads: Collection[int] = (),
    refusing: Collection[int] = (),
) -> pd.DataFrame:
    """One row per row of `subjects` (subject_no, subject_id), in its order, with the columns in `COLUMNS`.

    Each input has one row per subject_no at most: `acquisition` (propensity or uplift), `marketing_consent` and `risk_consent`
    (from `leads.consent`), `suppressions` (from `features.suppression.suppressed`), `branches` (branch_id), `risk` (pd, grade),
    `contacts` (last_contact, the last day on which any campaign approached the subject). `holders` have one of the policy's
    holder products; `live_leads` stand on another list that hasn't expired; `refusing`: subjects who refuse marketing by
    automated decision, but not all of it. Scores of these, and a risk score without risk consent, are dropped here, so that
    nothing further on can see them. Grade and PD stay missing without a risk gate.
    """
    frame = subjects[["subject_no", "subject_id"]].reset_index(drop=True)
    frame = _join(frame, branches, ["branch_id"])
    frame = _join(frame, marketing_consent, ["consent_id"])
    frame["risk_consent"] = _among(frame, () if risk_consent is None else risk_consent["subject_no"])
    frame["suppressed"] = _among(frame, suppressions["subject_no"])
    frame["refuses_profiling"] = _among(frame, refusing)
    frame["holds_product"] = _among(frame, holders)
    frame["live_lead"] = _among(frame, live_leads)
    frame = _join(frame, _or_empty(contacts, ["last_contact"]), ["last_contact"])
    frame["last_contact"] = pd.to_datetime(frame["last_contact"])
    for name in ("propensity", "uplift"):
        known = acquisition if name in acquisition.columns else None
        frame = _join(frame, _or_empty(known, [name]), [name])
    frame = _join(
        frame, _or_empty(risk if policy.risk_gate is not None else None, ["pd", "grade"]), ["pd", "grade"]
    )
    numbers = ["propensity", "uplift", "pd", "grade"]
    frame[numbers] = frame[numbers].astype("float64")
    frame.loc[~frame["risk_consent"], ["pd", "grade"]] = float("nan")
    frame.loc[frame["refuses_profiling"], numbers] = float("nan")
    frame["expected_value"] = expected_value(frame, policy)
    who, shares = (policy.subject, frame["subject_no"].tolist()), policy.holdout
    frame["campaign_holdout"] = campaign_holdout(key, campaign_id, *who, shares.campaign_share)
    frame["global_holdout"] = global_holdout(key, on, *who, shares.global_share)
    return frame[["subject_no", "subject_id", *COLUMNS]]


def _join(frame: pd.DataFrame, other: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    return frame.merge(other[["subject_no", *columns]], on="subject_no", how="left", validate="many_to_one")


def _or_empty(other: pd.DataFrame | None, columns: list[str]) -> pd.DataFrame:
    if other is not None:
        return other
    return pd.DataFrame(
        {"subject_no": pd.Series(dtype="int32")} | {name: pd.Series(dtype="float64") for name in columns}
    )


def _among(frame: pd.DataFrame, numbers: Collection[int] | pd.Series) -> pd.Series:
    return frame["subject_no"].isin(list(numbers))
