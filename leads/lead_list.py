"""A lead list: what a branch sees of each lead, and what the bank keeps to measure the campaign.

Grain: one row per subject, product and campaign. A row carries a token that only the bank's vault (or the platform, for pushes
in its own app) can resolve; no pseudonym, score, probability, amount or contact ever enters it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd

from core.definition_file import Bilingual
from core.errors import GsceneError
from core.subject import SubjectKind
from leads.eligibility import Rule, exclusion_reasons, standard_rules, waterfall
from leads.keyed_hash import LeadKey
from leads.non_personalised import NON_PERSONALISED, RANKED, drawn_in_branch, inside_arm
from leads.policy import LeadPolicy
from leads.selection import one_per_subject, rank_in_branch, within_capacity, would_be_listed
from leads.value import bands

#: Columns of a list in order, with the headings that people read.
FIELDS: dict[str, Bilingual] = {
    "lead_id": Bilingual(zh="线索编号", en="Lead"),
    "campaign_id": Bilingual(zh="营销活动", en="Campaign"),
    "lead_token": Bilingual(zh="客户令牌", en="Lead token"),
    "subject_type": Bilingual(zh="客户类型", en="Subject type"),
    "product_cd": Bilingual(zh="产品代码", en="Product"),
    "arm": Bilingual(zh="名单分组", en="Arm"),
    "branch_id": Bilingual(zh="网点", en="Branch"),
    "priority_rank": Bilingual(zh="网点内优先级", en="Rank in branch"),
    "propensity_band": Bilingual(zh="意向等级", en="Propensity band"),
    "expected_value_band": Bilingual(zh="预期价值等级", en="Expected value band"),
    "why_now_zh": Bilingual(zh="营销话术（中文）", en="Why now (Chinese)"),
    "why_now_en": Bilingual(zh="营销话术（英文）", en="Why now (English)"),
    "allowed_channels": Bilingual(zh="允许渠道", en="Allowed channels"),
    "valid_from": Bilingual(zh="生效日期", en="Valid from"),
    "expires_on": Bilingual(zh="失效日期", en="Expires on"),
    "opt_out_ref": Bilingual(zh="拒绝营销凭证", en="Opt-out reference"),
    "consent_id": Bilingual(zh="授权编号", en="Consent"),
    "model_version": Bilingual(zh="模型版本", en="Model version"),
    "list_version": Bilingual(zh="名单版本", en="List version"),
    "generated_at": Bilingual(zh="生成时间", en="Generated at"),
}

#: What the bank keeps per subject of the experiment; see `LeadList.assignments`.
ASSIGNMENT_COLUMNS = ("subject_no", "arm", "prob", "assigned_date", "lead_id", "expires_on")

_SUBJECT_TYPE = {SubjectKind.RESIDENT: "N", SubjectKind.ENTERPRISE: "E"}


@dataclass(frozen=True)
class LeadList:
    """One list. `rows` and `waitlist` have the columns of `FIELDS`; `rows` alone is exported: the ranked leads, then those of the
    non-personalised arm, which have neither bands nor sentences nor a model version.

    `waterfall`: reason, zh, en, excluded, remaining, from all candidates down to the ranked leads. `arms`: rows by arm, and how
    many of the non-personalised one found no room. `assignments` (internal, never exported): subject_no, arm {treat, waitlist,
    control, control_below_cut, global_holdout, non_personalised, non_personalised_waitlist}, prob (chance of not being held out
    of this campaign), assigned_date, lead_id and expires_on (missing where nobody is approached). `control` holds those of the
    campaign's holdout that would have been listed; the effect is treat against control.
    """

    campaign_id: str
    list_version: str
    subject: SubjectKind
    policy_sha256: str
    model_version: str
    generated_at: datetime
    rows: pd.DataFrame
    waitlist: pd.DataFrame
    waterfall: pd.DataFrame
    arms: Mapping[str, int]
    assignments: pd.DataFrame


def build_list(
    candidates: pd.DataFrame,
    policy: LeadPolicy,
    *,
    campaign_id: str,
    list_version: str,
    on: date,
    key: LeadKey,
    model_version: str,
    generated_at: datetime,
    why_now: pd.DataFrame | None = None,
    capacity: Mapping[str, int] | None = None,
    rules: list[Rule] | None = None,
) -> LeadList:
    """Make the list of one campaign on a day.

    `candidates`: from `leads.candidates.assemble`. `why_now`: from `leads.talking_points.talking_points` (empty texts when
    None). `capacity`: leads per branch_id, the policy's `leads_per_branch` for branches it doesn't name. `rules`: the policy's
    own when None. GsceneError when the policy isn't in force on that day.
    """
    if not policy.in_force(on):
        raise GsceneError(
            f"policy {policy.policy} isn't in force on {on}.",
            "Choose another day or another version of the policy.",
        )
    capacity = capacity or {}
    rules = standard_rules(policy, on) if rules is None else rules
    candidates = candidates.reset_index(drop=True)
    reasons = exclusion_reasons(candidates, rules)
    admitted = candidates[reasons.isna()]
    ranked = rank_in_branch(one_per_subject(admitted), key, campaign_id)
    inside = within_capacity(ranked, capacity, policy.leads_per_branch)
    listed, waiting = ranked[inside], ranked[~inside]
    held_out = one_per_subject(candidates[reasons == "campaign_holdout"])
    comparable = would_be_listed(held_out, listed, capacity, policy.leads_per_branch)
    drawn = drawn_in_branch(candidates, policy, on, key, campaign_id)
    fits = inside_arm(drawn, policy, capacity)

    stamp: dict[str, str | date] = {
        "campaign_id": campaign_id,
        "subject_type": _SUBJECT_TYPE[policy.subject],
        "product_cd": policy.product_cd,
        "allowed_channels": ";".join(policy.contact.channels),
        "valid_from": on,
        "expires_on": on + timedelta(days=policy.contact.lead_valid_days),
        "model_version": model_version,
        "list_version": list_version,
        "generated_at": generated_at,
    }
    ranked_rows = _rows(listed, policy, key, why_now, stamp)
    drawn_rows = _impersonal(drawn[fits], key, stamp)
    together = [part for part in (ranked_rows, drawn_rows) if len(part)] or [ranked_rows]
    assignments = pd.concat(
        [
            _arm(listed, "treat", policy, on, ranked_rows["lead_id"].tolist(), stamp["expires_on"]),
            _arm(
                drawn[fits], NON_PERSONALISED, policy, on, drawn_rows["lead_id"].tolist(), stamp["expires_on"]
            ),
            _arm(drawn[~fits], f"{NON_PERSONALISED}_waitlist", policy, on),
            _arm(waiting, "waitlist", policy, on),
            _arm(held_out[comparable], "control", policy, on),
            _arm(held_out[~comparable], "control_below_cut", policy, on),
            _arm(one_per_subject(candidates[reasons == "global_holdout"]), "global_holdout", policy, on),
        ],
        ignore_index=True,
    ).sort_values("subject_no", kind="stable", ignore_index=True)
    return LeadList(
        campaign_id=campaign_id,
        list_version=list_version,
        subject=policy.subject,
        policy_sha256=policy.sha256,
        model_version=model_version,
        generated_at=generated_at,
        rows=pd.concat(together, ignore_index=True),
        waitlist=_rows(waiting, policy, key, why_now, stamp),
        waterfall=_to_the_listed(waterfall(reasons, rules), len(ranked), len(listed)),
        arms={RANKED: len(listed), NON_PERSONALISED: int(fits.sum()), "over_capacity": int((~fits).sum())},
        assignments=assignments,
    )


def _rows(
    ranked: pd.DataFrame,
    policy: LeadPolicy,
    key: LeadKey,
    why_now: pd.DataFrame | None,
    stamp: Mapping[str, str | date],
) -> pd.DataFrame:
    frame = _stamped(ranked, key, stamp).assign(
        arm=RANKED,
        propensity_band=bands(ranked[policy.basis].to_numpy("float64"), policy.bands.propensity),
        expected_value_band=bands(ranked["expected_value"].to_numpy("float64"), policy.bands.expected_value),
    )
    if why_now is None:
        frame = frame.assign(why_now_zh="", why_now_en="")
    else:
        frame = frame.merge(why_now, on="subject_no", how="left", validate="one_to_one")
        frame = frame.fillna({"why_now_zh": "", "why_now_en": ""})
    return frame[list(FIELDS)]


def _impersonal(drawn: pd.DataFrame, key: LeadKey, stamp: Mapping[str, str | date]) -> pd.DataFrame:
    """Rows of the non-personalised arm: nothing on them comes from a model or from the subject's records."""
    personal = ("propensity_band", "expected_value_band", "why_now_zh", "why_now_en", "model_version")
    frame = _stamped(drawn, key, stamp).assign(arm=NON_PERSONALISED, **dict.fromkeys(personal, ""))
    return frame[list(FIELDS)]


def _stamped(members: pd.DataFrame, key: LeadKey, stamp: Mapping[str, str | date]) -> pd.DataFrame:
    """What rows of both arms have, beside subject_no."""
    ids = members["subject_id"].tolist()
    in_campaign = [f"{stamp['campaign_id']}|{stamp['valid_from']}|{subject_id}" for subject_id in ids]
    return pd.DataFrame(
        {
            "subject_no": members["subject_no"].to_numpy(),
            "lead_id": _texts("L" + text for text in key.tokens("lead_id", in_campaign, 20)),
            "lead_token": _texts(key.tokens("lead_token", ids)),
            "branch_id": _texts(members["branch_id"]),
            "priority_rank": members["priority_rank"].to_numpy("int32"),
            "opt_out_ref": _texts("X" + text for text in key.tokens("opt_out", in_campaign, 20)),
            "consent_id": _texts(members["consent_id"]),
        }
    ).assign(**stamp)


def _texts(values: Iterable[str]) -> pd.Series:
    """A text column, also where there is no row to tell the type from."""
    return pd.Series(list(values), dtype="str")


def _arm(
    members: pd.DataFrame,
    arm: str,
    policy: LeadPolicy,
    on: date,
    lead_ids: list[str] | None = None,
    expires_on: object = None,
) -> pd.DataFrame:
    rows = len(members)
    return pd.DataFrame(
        {
            "subject_no": members["subject_no"].to_numpy("int32"),
            "arm": np.full(rows, arm, dtype=object),
            "prob": np.full(rows, 0.0 if arm == "global_holdout" else 1.0 - policy.holdout.campaign_share),
            "assigned_date": np.full(rows, on, dtype=object),
            "lead_id": np.array(lead_ids if lead_ids is not None else [None] * rows, dtype=object),
            "expires_on": np.full(rows, expires_on, dtype=object),
        },
        columns=list(ASSIGNMENT_COLUMNS),
    )


def _to_the_listed(steps: pd.DataFrame, ranked: int, listed: int) -> pd.DataFrame:
    """The waterfall of eligibility, continued to the listed."""
    admitted = int(steps["remaining"].iloc[-1])
    more = pd.DataFrame(
        {
            "reason": ["second_offer", "over_capacity"],
            "zh": ["同一客户的其他推荐", "超出网点容量（候补）"],
            "en": ["Another offer to the same subject", "Over the branch's capacity (waiting list)"],
            "excluded": [admitted - ranked, ranked - listed],
            "remaining": [ranked, listed],
        }
    )
    return pd.concat([steps, more], ignore_index=True)
