"""Who must not be approached, or not be profiled for marketing, on a day. Suppression beats consent."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

import numpy as np
import pandas as pd

#: A `channel` or `product` entry doesn't say which channel or product, so a ranked list respects every scope.
SCOPES = ("all", "channel", "product", "automated_marketing")

#: Refuses to be marketed to by automated decision (PIPL art. 24): on no list that a model ranks, but not beyond any approach.
REFUSES_PROFILING = "automated_marketing"

#: Scopes that keep a subject off every list, whatever orders it.
OTHER_SCOPES = tuple(scope for scope in SCOPES if scope != REFUSES_PROFILING)

#: Scopes that also bar marketing features and scores: who refuses marketing by automated decision (PIPL art. 24) isn't
#: scored for it.
PROFILING_SCOPES = ("all", REFUSES_PROFILING)


def suppressed(
    entries: pd.DataFrame, on: date, scopes: Collection[str] = SCOPES, until: date | None = None
) -> pd.DataFrame:
    """Suppressed subjects: subject_no (unique, sorted), scope and reason of the entry that began first.

    `entries` as `features.consent_registers.suppressions_of` gives them. An entry is in force from from_date to to_date, both
    days included; without to_date it has no end. With `until`, one that is in force on any day from `on` to it counts.
    """
    last = np.datetime64(until or on, "D")
    in_force = entries[
        entries["scope"].isin(list(scopes))
        & (entries["from_date"] <= last)
        & ((entries["to_date"] >= np.datetime64(on, "D")) | entries["to_date"].isna())
    ]
    first = in_force.sort_values(["subject_no", "from_date", "scope"], kind="stable")
    first = first.drop_duplicates("subject_no").reset_index(drop=True)
    return first[["subject_no", "scope", "reason"]]
