"""Under which consent a subject may be approached: the rule is `features.entitlement`, here it meets a policy."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

import numpy as np
import pandas as pd

from core.purpose import ConsentKind, Purpose, strength
from features.consent_registers import Consents
from features.entitlement import ENTITLED, Demand, Entitlement, Question, in_force, reason_number

#: Kinds of consent that suffice to approach a subject unless a policy says otherwise.
SUFFICIENT_KINDS: tuple[ConsentKind, ...] = ("separate", "written")


def contact_demand(kinds: Collection[ConsentKind]) -> Demand:
    """What approaching a subject asks for: the weakest of the kinds a policy admits, for whatever source."""
    return Demand(min(kinds, key=strength))


def consented(
    consents: Consents,
    purpose: Purpose,
    on: date,
    kinds: Collection[ConsentKind] = SUFFICIENT_KINDS,
) -> pd.DataFrame:
    """Subjects with a consent in force on a day: subject_no (unique, sorted), consent_id, kind, valid_to of the youngest.

    `consents` as known at a moment: granted_at <= `on` < valid_to, not withdrawn, at least as strong as the weakest of `kinds`.
    """
    return in_force(consents, Question(purpose, contact_demand(kinds), on))


def may_be_approached(
    use: Entitlement, purpose: Purpose, kinds: Collection[ConsentKind], on: date
) -> pd.DataFrame:
    """`consented` by the registers as known at the month's cutoff, less whom the registers as known now take away."""
    then = use.earlier or use
    if then.registers.consents is None:
        return pd.DataFrame({"subject_no": pd.Series(dtype="int32"), "consent_id": pd.Series(dtype="str")})
    cited = consented(then.registers.consents, purpose, on, kinds)
    cited = cited[cited["subject_no"] < use.subjects]
    return cited[not_barred(use, purpose, contact_demand(kinds))[cited["subject_no"].to_numpy()]]


def not_barred(use: Entitlement, purpose: Purpose, demand: Demand) -> np.ndarray:
    """bool of shape (subjects,): entitled but for a suppression, which the rules of a list count under its own name."""
    reasons = use.judged(purpose, demand)
    return (reasons == ENTITLED) | (reasons == reason_number("suppressed"))
