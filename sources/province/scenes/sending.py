"""Sending a scene's rows: one delivery folder a month, written in the feed's dialect, and when it arrived."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from core.months import CHINA_TIME, Month
from sources.arrivals import Arrival
from sources.province import dialect
from sources.province.feeds import Feed
from sources.province.rows import Rows

#: Scene feeds arrive on the third of the next month, at noon.
_DAY, _HOUR = 3, 12


def send(
    feed: Feed, rows: Rows, month: Month, pools: Mapping[str, pa.Array], inbox: Path, *, days_later: int = 0
) -> Arrival:
    """Write the month's rows as a full delivery with control sums of its amounts; returns its arrival."""
    region = np.zeros(len(pools[str(feed.subject)]), dtype=np.int64)
    frame = dialect.to_frame(feed, rows, month, pools, region)
    sent = dialect.write(frame, feed, month, 1, inbox, mode="full", control_sums=_sums(feed, rows))
    noon = datetime.combine(month.plus(1).first_day, datetime.min.time(), CHINA_TIME)
    at = noon + timedelta(days=_DAY - 1 + days_later, hours=_HOUR)
    return Arrival(sent.folder, at, "replayed")


def rows_of_month(rows: Rows, moments: np.ndarray, month: Month) -> Rows:
    """The rows whose moment (seconds since 1970, China's civil time) lies in the month."""
    days = np.asarray(moments, dtype="datetime64[s]").astype("datetime64[M]").astype(np.int64)
    return rows.take(days == month.index - Month(1970, 1).index)


def _sums(feed: Feed, rows: Rows) -> dict[str, str]:
    sums = {}
    for amount in feed.of_kind("money"):
        total = int(np.asarray(rows.columns[amount.column]).sum())
        sums[amount.header] = dialect.amount_text(total, amount.form)
    return sums
