"""Registers of events (consents, suppressions) as they were known at a cutoff.

An entry is sent again when it changes: a withdrawal is a new version of the same consent in a later month. So readers look at
all months at once and take, for each key, the version that was received last.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

#: Later wins in this order; the same rule as for every other table.
_VERSION_ORDER = ("received_at", "revision", "row_no")


def as_known(register: pa.Table, key: Sequence[str], cutoff: datetime) -> pd.DataFrame:
    """The latest version of each entry among the rows received by `cutoff` (aware), one row per `key`.

    `register` holds raw canonical rows of any number of months. Dates come back as datetime64, missing ones as NaT.
    """
    known = register.filter(
        pc.less_equal(register.column("received_at"), pa.scalar(cutoff, pa.timestamp("us", tz="UTC")))
    )
    known = known.sort_by([(name, "ascending") for name in _VERSION_ORDER])
    frame = known.to_pandas(date_as_object=False).drop_duplicates(list(key), keep="last")
    return frame.sort_values(list(key), kind="stable").reset_index(drop=True)


def day(on: date) -> np.datetime64:
    """A date in the form that date columns of `as_known` compare with."""
    return np.datetime64(on, "D")
