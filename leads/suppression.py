"""Who must not be approached on a day, as far as the bank knew. Suppression beats consent."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime

import pandas as pd
import pyarrow as pa

from leads.register import as_known, day

#: A `channel` or `product` entry doesn't say which channel or product, so a ranked list respects every scope.
SCOPES = ("all", "channel", "product", "automated_marketing")

_KEY = ("subject_no", "scope", "from_date")


def suppressed(
    register: pa.Table, on: date, cutoff: datetime, scopes: Collection[str] = SCOPES
) -> pd.DataFrame:
    """Suppressed subjects: subject_no (unique, sorted), scope and reason of the entry that began first.

    `register` holds rows of raw/<subject>/suppression of all months. An entry is in force from from_date to to_date, both
    days included; without to_date it has no end.
    """
    entries = as_known(register, _KEY, cutoff)
    in_force = entries[
        entries["scope"].isin(list(scopes))
        & (entries["from_date"] <= day(on))
        & ((entries["to_date"] >= day(on)) | entries["to_date"].isna())
    ]
    first = in_force.sort_values(["subject_no", "from_date", "scope"], kind="stable")
    first = first.drop_duplicates("subject_no").reset_index(drop=True)
    return first[["subject_no", "scope", "reason"]]
