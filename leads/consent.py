"""Who has agreed to what, on a day, as far as the bank knew.

Consent is per purpose and can be taken back at any time (PIPL art. 15); passing data from a platform to a bank needs separate
consent (art. 23, domain rule L2), so a general notice doesn't count.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime

import pandas as pd
import pyarrow as pa

from core.purpose import Purpose
from leads.register import as_known, day

#: Kinds of consent that allow a platform's data to be used by the bank.
SUFFICIENT_KINDS = ("separate", "written")


def consented(
    register: pa.Table,
    purpose: Purpose,
    on: date,
    cutoff: datetime,
    kinds: Collection[str] = SUFFICIENT_KINDS,
) -> pd.DataFrame:
    """Subjects with a consent in force: subject_no (unique, sorted), consent_id, kind, valid_to.

    `register` holds rows of raw/<subject>/consent_register of all months. In force: the latest version known at `cutoff` has
    granted_at <= `on` < valid_to, isn't withdrawn, and is of one of `kinds`. Three points are decided against marketing:
    a withdrawal counts from the moment the bank knows it, even if dated later than `on`; it ends every consent of the same
    purpose granted up to that day, not only the one it names; and of several consents the youngest is cited.
    """
    entries = as_known(register, ["consent_id"], cutoff)
    entries = entries[entries["purpose"] == str(purpose)]
    refused_up_to = entries.groupby("subject_no")["withdrawn_at"].transform("max")
    open_ended = entries["valid_to"].isna()
    in_force = entries[
        entries["kind"].isin(list(kinds))
        & (entries["granted_at"] <= day(on))
        & ((entries["valid_to"] > day(on)) | open_ended)
        & entries["withdrawn_at"].isna()
        & (refused_up_to.isna() | (entries["granted_at"] > refused_up_to))
    ]
    youngest = in_force.sort_values(["subject_no", "granted_at", "consent_id"], kind="stable")
    youngest = youngest.drop_duplicates("subject_no", keep="last").reset_index(drop=True)
    return youngest[["subject_no", "consent_id", "kind", "valid_to"]]
