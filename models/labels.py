"""Labels: what became of a subject after an as-of month. Pure functions over outcome tables; no feature is
seen here.

Definitions follow domain choices of the project: performance window T+1..T+window; bad, indeterminate,
excluded; and immature is never good: where part of the window is unknown, only a bad outcome can be known
already.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from core.months import CUTOFF_DAYS, Month, knowledge_cutoff
from models.definition import AccountDpdLabel, CampaignResponseLabel

GOOD, BAD, INDETERMINATE, EXCLUDED, IMMATURE = "good", "bad", "indeterminate", "excluded", "immature"
RESPONDED, NO_RESPONSE = "responded", "no_response"

#: Outcomes that count as the predicted event, and those that count as its absence.
EVENTS = (BAD, RESPONDED)
NON_EVENTS = (GOOD, NO_RESPONSE)


@dataclass(frozen=True)
class Outcomes:
    """`table`: one row per subject and as-of month (subject_no, as_of, outcome). `steps`: subjects at each
    step, in order.
    """

    table: pd.DataFrame
    steps: dict[str, int]


def account_outcomes(
    account_months: pd.DataFrame,
    as_of: Month,
    rule: AccountDpdLabel,
    known_months: Collection[Month] | None = None,
) -> Outcomes:
    """Outcome of every subject with an account by `as_of`: the worst over all its accounts.

    `account_months` has one row per account and month (subject_no, period, acct_id, dpd, max_dpd_m,
    five_class, writeoff_flag, months_on_book; days and months). `known_months` are the months delivered; by
    default those in the table. Excluded, as far as the rule says so: closed at `as_of`, written off or in a bad class by then,
    `indeterminate_dpd` or more days past due at `as_of`, or on book for less than `min_months_on_book`. An
    account that ends inside the window was closed; a month missing between two others, or without a known
    DPD, leaves the subject immature unless it is bad.
    """
    index = _month_index(account_months["period"])
    known = set(np.unique(index)) if known_months is None else {month.index for month in known_months}
    window = range(as_of.index + 1, as_of.index + rule.window_months + 1)
    rows = pd.DataFrame(
        {
            "subject_no": account_months["subject_no"].to_numpy(),
            "acct_id": account_months["acct_id"].to_numpy(),
            "month": index,
            "end_dpd": account_months["dpd"].to_numpy(dtype="float64", na_value=np.nan),
            "worst_dpd": account_months[["dpd", "max_dpd_m"]].astype("float64").max(axis=1).to_numpy(),
            "lost": _lost(account_months, rule),
            "months_on_book": account_months["months_on_book"].to_numpy(dtype="float64", na_value=np.nan),
        }
    )
    subjects = pd.Index(np.unique(rows.loc[rows["month"] <= as_of.index, "subject_no"]), name="subject_no")
    at = rows[rows["month"] == as_of.index].groupby("subject_no")
    before = rows[rows["month"] <= as_of.index].groupby("subject_no")["lost"].max().reindex(subjects)
    oldest = at["months_on_book"].max().reindex(subjects)
    late = at["end_dpd"].max().reindex(subjects)
    inside = rows[(rows["month"] > as_of.index) & (rows["month"] <= window[-1])]
    after = inside.groupby("subject_no")
    worst = after["worst_dpd"].max().reindex(subjects)
    bad = (worst >= rule.bad_dpd) | after["lost"].max().reindex(subjects).eq(True)
    covered = all(month in known for month in window)
    since = rows[(rows["month"] >= as_of.index) & (rows["month"] <= window[-1])]
    unclear = pd.Series(not covered, index=subjects) | _gaps(since).reindex(subjects).eq(True)

    open_at = pd.Series(subjects.isin(list(at.groups)), index=subjects)
    drops = [
        ("closed", "closed at the as-of month", ~open_at),
        ("lost_before", "written off or in a bad class already", before.eq(True)),
        (
            "late_at_as_of",
            f"{rule.indeterminate_dpd} or more days past due already",
            late >= rule.indeterminate_dpd,
        ),
        (
            "too_young",
            f"less than {rule.min_months_on_book} months on book",
            oldest < rule.min_months_on_book,
        ),
    ]
    outcome = np.select(
        [bad, unclear, worst >= rule.indeterminate_dpd], [BAD, IMMATURE, INDETERMINATE], default=GOOD
    ).astype(object)
    steps = {"subjects with an account": len(subjects)}
    left = pd.Series(True, index=subjects)
    for kind, reason, hit in drops:
        if kind not in rule.excluded:
            continue
        steps[f"excluded: {reason}"] = int((left & hit).sum())
        left &= ~hit
    outcome[~left.to_numpy()] = EXCLUDED
    table = _table(subjects.to_numpy(), as_of, outcome)
    return Outcomes(table, steps | _counts(table, (IMMATURE, INDETERMINATE, GOOD, BAD)))


def bank_outcomes(outcome: pd.DataFrame, as_of: Month) -> Outcomes:
    """Outcome as the bank states it (subject_no, default_flag); a missing flag is no outcome. The rating is
    never read.
    """
    known = outcome[outcome["default_flag"].notna()]
    subjects = known.groupby("subject_no")["default_flag"].max()
    table = _table(
        subjects.index.to_numpy(), as_of, np.where(subjects.to_numpy(dtype=bool), BAD, GOOD).astype(object)
    )
    steps = {"subjects with a row": int(outcome["subject_no"].nunique()), "without a stated outcome": 0}
    steps["without a stated outcome"] = steps["subjects with a row"] - len(table)
    return Outcomes(table, steps | _counts(table, (GOOD, BAD)))


def campaign_outcomes(
    assignment: pd.DataFrame,
    response: pd.DataFrame,
    rule: CampaignResponseLabel,
    known_until: date,
    cutoff_days: int = CUTOFF_DAYS,
) -> Outcomes:
    """Response of treated subjects within `response_days` after assignment.

    `assignment`: subject_no, campaign_id, arm, assigned_date; `response`: subject_no, campaign_id, event,
    event_date. The as-of month is the last one whose knowledge cutoff lies before the assignment, so that
    nothing known later can enter the features. A window that ends after `known_until` is immature unless a
    response is there already. A subject with several assignments for one as-of month counts once, with its
    best outcome.
    """
    treated = assignment[assignment["arm"] == "treat"].copy()
    treated["assigned_date"] = pd.to_datetime(treated["assigned_date"])
    wanted = response[response["event"].isin(rule.events)]
    first = wanted.assign(event_date=pd.to_datetime(wanted["event_date"])).merge(
        treated[["subject_no", "campaign_id", "assigned_date"]], on=["subject_no", "campaign_id"]
    )
    days = (first["event_date"] - first["assigned_date"]).dt.days
    first = first[(days >= 0) & (days <= rule.response_days)]
    hits = pd.MultiIndex.from_frame(first[["subject_no", "campaign_id"]].drop_duplicates())
    responded = pd.MultiIndex.from_frame(treated[["subject_no", "campaign_id"]]).isin(hits)
    ends = treated["assigned_date"] + pd.Timedelta(days=rule.response_days)
    mature = ends <= pd.Timestamp(known_until)
    treated["as_of"] = [str(_as_of_before(day.date(), cutoff_days)) for day in treated["assigned_date"]]
    treated["rank"] = np.select([responded, mature], [2, 0], default=1)
    best = treated.groupby(["subject_no", "as_of"], as_index=False)["rank"].max()
    best["outcome"] = np.array([NO_RESPONSE, IMMATURE, RESPONDED], dtype=object)[
        best["rank"].to_numpy(dtype=int)
    ]
    table = pd.DataFrame(best, columns=["subject_no", "as_of", "outcome"])
    steps = {
        "assignments": len(assignment),
        "not treated": len(assignment) - len(treated),
        "treated subjects and months": len(table),
    }
    return Outcomes(table, steps | _counts(table, (IMMATURE, NO_RESPONSE, RESPONDED)))


def _lost(account_months: pd.DataFrame, rule: AccountDpdLabel) -> np.ndarray:
    written_off = account_months["writeoff_flag"].fillna(False).to_numpy(dtype=bool)
    return np.asarray(written_off | account_months["five_class"].isin(rule.bad_classes).to_numpy())


def _gaps(since: pd.DataFrame) -> pd.Series:
    """True for subjects with an account that misses a month it later returns from, or has a month without any
    DPD.
    """
    accounts = since.groupby(["subject_no", "acct_id"])["month"].agg(["min", "max", "nunique"])
    holes = accounts["max"] - accounts["min"] + 1 > accounts["nunique"]
    unknown = since["worst_dpd"].isna().groupby(since["subject_no"]).max()
    return holes.groupby("subject_no").max().eq(True) | unknown.eq(True)


def _month_index(period: pd.Series) -> np.ndarray:
    """`2026-10` strings as months since year 0; each distinct month is parsed once."""
    codes, months = pd.factorize(period)
    return np.array([Month.parse(str(month)).index for month in months], dtype=np.int64)[codes]


def _as_of_before(day: date, cutoff_days: int) -> Month:
    month = Month(day.year, day.month).plus(-1)
    # The cutoff is a moment in UTC; its day in Chinese civil time is month end plus the cutoff days.
    while knowledge_cutoff(month, cutoff_days).date() >= day:
        month = month.plus(-1)
    return month


def _table(subjects: np.ndarray, as_of: Month, outcome: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"subject_no": subjects, "as_of": str(as_of), "outcome": outcome})


def _counts(table: pd.DataFrame, kinds: tuple[str, ...]) -> dict[str, int]:
    return {kind: int((table["outcome"] == kind).sum()) for kind in kinds}
