"""Who may stand on a list: small named rules, each with the reason it gives, applied in order.

A subject is left out under the first rule that it fails, so that reasons add up to the number left out. The order is part of
the meaning: law first, then the bank's relation to the subject, then risk and value, the holdout last - those held out are
exactly those who would otherwise have been approached, which makes them a fair control group.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from core.definition_file import Bilingual
from core.errors import GsceneError
from leads.policy import LeadPolicy


@dataclass(frozen=True)
class Rule:
    """One reason to leave subjects out. `fails` gives a bool per candidate from the `columns` it names."""

    reason: str
    title: Bilingual
    columns: tuple[str, ...]
    fails: Callable[[pd.DataFrame], pd.Series]


def no_marketing_consent() -> Rule:
    """No consent for the marketing purpose is in force."""
    return Rule(
        "no_marketing_consent",
        Bilingual(zh="无有效营销授权", en="No marketing consent in force"),
        ("consent_id",),
        lambda c: c["consent_id"].isna(),
    )


def suppressed() -> Rule:
    """Refused all approach, complained, deceased, ... - whatever the consent says."""
    return Rule(
        "suppressed",
        Bilingual(zh="在禁止营销名单中", en="Suppressed"),
        ("suppressed",),
        lambda c: c["suppressed"],
    )


def refuses_profiling() -> Rule:
    """Refuses marketing by automated decision: on no list that a model ranks (PIPL art. 24, `leads.non_personalised`)."""
    return Rule(
        "refuses_profiling",
        Bilingual(zh="拒绝自动化决策营销", en="Refuses marketing by automated decision"),
        ("refuses_profiling",),
        lambda c: c["refuses_profiling"],
    )


def no_branch() -> Rule:
    """No branch could work the lead."""
    return Rule(
        "no_branch",
        Bilingual(zh="无对应网点", en="No branch in charge"),
        ("branch_id",),
        lambda c: c["branch_id"].isna(),
    )


def product_holder() -> Rule:
    """Has the product already."""
    return Rule(
        "product_holder",
        Bilingual(zh="已持有该产品", en="Holds the product"),
        ("holds_product",),
        lambda c: c["holds_product"],
    )


def contacted_recently(on: date, cool_off_days: int) -> Rule:
    """Approached by any campaign fewer than `cool_off_days` days before `on`."""
    oldest = np.datetime64(on - timedelta(days=cool_off_days), "D")
    return Rule(
        "contacted_recently",
        Bilingual(zh=f"{cool_off_days} 天内已联系", en=f"Contacted within {cool_off_days} days"),
        ("last_contact",),
        lambda c: c["last_contact"] > oldest,
    )


def live_lead() -> Rule:
    """Stands on another list that hasn't expired: one live lead per subject."""
    return Rule(
        "live_lead",
        Bilingual(zh="已有有效线索", en="Has a live lead elsewhere"),
        ("live_lead",),
        lambda c: c["live_lead"],
    )


def no_risk_consent() -> Rule:
    """The policy gates by risk grade, which needs consent for the risk purpose."""
    return Rule(
        "no_risk_consent",
        Bilingual(zh="无风险评估授权", en="No consent to risk assessment"),
        ("risk_consent",),
        lambda c: ~c["risk_consent"],
    )


def unscored() -> Rule:
    """No acquisition score, or no risk score where the policy needs one."""
    return Rule(
        "unscored",
        Bilingual(zh="无模型评分", en="Not scored"),
        ("expected_value",),
        lambda c: c["expected_value"].isna(),
    )


def worse_grade(worst_grade: int) -> Rule:
    """Risk grade worse than the cut-off (grade 1 is best); a missing grade fails too."""
    return Rule(
        "risk_gate",
        Bilingual(zh=f"风险等级低于 {worst_grade} 级", en=f"Risk grade worse than {worst_grade}"),
        ("grade",),
        lambda c: ~(c["grade"] <= worst_grade),
    )


def below_value(minimum_amt: float) -> Rule:
    """Expected value at or below the least amount (CNY) that an approach must bring."""
    return Rule(
        "below_value",
        Bilingual(zh="预期价值不足", en="Expected value too low"),
        ("expected_value",),
        lambda c: ~(c["expected_value"] > minimum_amt),
    )


def in_global_holdout() -> Rule:
    """Held out of all campaigns of the year."""
    return Rule(
        "global_holdout",
        Bilingual(zh="全局对照组", en="Global holdout"),
        ("global_holdout",),
        lambda c: c["global_holdout"],
    )


def in_campaign_holdout() -> Rule:
    """Held out of this campaign."""
    return Rule(
        "campaign_holdout",
        Bilingual(zh="活动对照组", en="Campaign holdout"),
        ("campaign_holdout",),
        lambda c: c["campaign_holdout"],
    )


def standard_rules(policy: LeadPolicy, on: date) -> list[Rule]:
    """The rules of a policy on a day, in the order of the module's docstring."""
    rules = [no_marketing_consent(), suppressed(), refuses_profiling(), *_relation(policy, on)]
    if policy.risk_gate is not None:
        rules.append(no_risk_consent())
    rules.append(unscored())
    if policy.risk_gate is not None:
        rules.append(worse_grade(policy.risk_gate.worst_grade))
    if policy.minimum_value_amt is not None:
        rules.append(below_value(policy.minimum_value_amt))
    return [*rules, in_global_holdout(), in_campaign_holdout()]


def rules_without_model(policy: LeadPolicy, on: date) -> list[Rule]:
    """What holds in the arm in which no model has a say: none of these rules looks at a score."""
    return [
        no_marketing_consent(),
        suppressed(),
        *_relation(policy, on),
        in_global_holdout(),
        in_campaign_holdout(),
    ]


def _relation(policy: LeadPolicy, on: date) -> list[Rule]:
    return [
        no_branch(),
        product_holder(),
        contacted_recently(on, policy.contact.cool_off_days),
        live_lead(),
    ]


def exclusion_reasons(candidates: pd.DataFrame, rules: Sequence[Rule]) -> pd.Series:
    """The first reason per candidate, in the candidates' order and index; missing where none applies."""
    reasons = np.full(len(candidates), None, dtype=object)
    left = np.ones(len(candidates), dtype=bool)
    for rule in rules:
        missing = set(rule.columns) - set(candidates.columns)
        if missing:
            raise GsceneError(
                f"the rule {rule.reason} needs the columns {', '.join(sorted(missing))}.",
                "Make candidates with leads.candidates.assemble.",
            )
        fails = rule.fails(candidates).to_numpy(dtype=bool) & left
        reasons[fails] = rule.reason
        left &= ~fails
    return pd.Series(reasons, index=candidates.index, name="reason", dtype=object)


def waterfall(reasons: pd.Series, rules: Sequence[Rule]) -> pd.DataFrame:
    """One row per step: reason, zh, en, excluded, remaining. The first row, `candidates`, excludes nobody."""
    counts = reasons.value_counts()
    excluded = [0, *(int(counts.get(rule.reason, 0)) for rule in rules)]
    return pd.DataFrame(
        {
            "reason": ["candidates", *(rule.reason for rule in rules)],
            "zh": ["候选客户", *(rule.title.zh for rule in rules)],
            "en": ["Candidates", *(rule.title.en for rule in rules)],
            "excluded": excluded,
            "remaining": len(reasons) - np.cumsum(excluded),
        }
    )
