"""The probes themselves: pure functions (months, column) -> how many rows or series are not plausible, of how many.

Each docstring says what it is for and how it differs from its neighbours. All are one pass over arrays.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.months import CHINA_AHEAD_US
from expectations.regions import RETIRED
from expectations.seen_months import SeenMonths

#: Decimal powers by which units differ: 元 and 万元, 元 and 分; and how far from the power an amount may lie. A household's
#: own months differ by a factor of two or three, seldom of ten.
UNIT_POWERS = ((4.0, 0.6), (2.0, 0.15))
#: Months before the judged one in which a series must have a value, so that its history says anything.
HISTORY = 2
#: Months of one year, the judged one included, from which a cumulative column shows: five random values rise one by one
#: with a chance of 1 in 120.
RISING_MONTHS = 4
#: A region is missing when less than this part of its share of accounts is there.
REGION_SHARE = 0.5
#: Fewer accounts than this say nothing of a region.
REGION_ACCOUNTS = 5
#: Accounts that one subject may hold in a month without being a shared key.
MOST_ACCOUNTS = 5
#: kWh or m³ by which readings may miss the consumption, for rounding.
READING_TOLERANCE = 0.011


@dataclass(frozen=True)
class Counted:
    """`rows` that are not plausible, of the `of` rows or series that could be judged."""

    rows: int
    of: int


NOTHING = Counted(0, 0)


def unit_of_history(seen: SeenMonths, column: str) -> Counted:
    """Series whose amount lies 10^4 or 10^2 from the median of their own earlier months.

    A part of the rows in 万元 moves no mean and no PSI (0.0008 at 1 % of rows); against the account's own history each of
    them stands out. Zeros and series without history aren't judged.
    """
    if column not in seen.now.column_names:
        return NOTHING
    wide = seen.side_by_side(column)
    now, usual, enough = wide[-1], _median(wide[:-1]), np.count_nonzero(wide[:-1] > 0, axis=0) >= HISTORY
    judged = enough & (now > 0) & (usual > 0)
    distance = np.abs(np.log10(now[judged] / usual[judged]))
    hit = np.zeros(len(distance), dtype=bool)
    for power, tolerance in UNIT_POWERS:
        hit |= np.abs(distance - power) <= tolerance
    return Counted(int(hit.sum()), int(judged.sum()))


def year_to_date(seen: SeenMonths, column: str) -> Counted:
    """Series that rose in every month of the judged month's year: what a cumulative column does, and hardly any other.

    Needs four months of one year. Unlike `unit_of_history` it doesn't look at the size of a step, so a cumulative column
    is found in the months in which it is only twice the month's value.
    """
    year = seen.months[-1].year
    rows = [place for place, month in enumerate(seen.months) if month.year == year]
    if column not in seen.now.column_names or len(rows) < RISING_MONTHS:
        return NOTHING
    wide = seen.side_by_side(column)[rows]
    whole = ~np.isnan(wide).any(axis=0) & (wide[-1] > 0)
    rising = (np.diff(wide[:, whole], axis=0) > 0).all(axis=0)
    return Counted(int(rising.sum()), int(whole.sum()))


def repeated_month(seen: SeenMonths, column: str) -> Counted:
    """Series with exactly the value of the month before, in a column that changes every month: the same month sent under
    two periods (belongs-to period and corresponding period mixed up)."""
    if column not in seen.now.column_names or len(seen.months) < 2:
        return NOTHING
    wide = seen.side_by_side(column)
    both = ~np.isnan(wide[-1]) & ~np.isnan(wide[-2]) & (wide[-1] != 0)
    return Counted(int((wide[-1, both] == wide[-2, both]).sum()), int(both.sum()))


def same_column_twice(seen: SeenMonths, column: str) -> Counted:
    """Rows in which this column holds the subject's own pseudonym: one source column mapped to both."""
    there = seen.column(column)
    if there is None or seen.subject_ids is None:
        return NOTHING
    same = pc.equal(there.combine_chunks(), seen.subject_ids)
    return Counted(int(pc.sum(pc.fill_null(same, False)).as_py() or 0), int(pc.count(there).as_py()))


def region_missing(seen: SeenMonths, column: str) -> Counted:
    """Accounts of regions that are missing: there in the two months before, and hardly any of the region's now.

    A region is compared with all accounts of the same month, not with its own past, so that a month of which only the first
    delivery has come looks like every other such month.
    """
    if seen.regions is None or len(seen.months) < 3:
        return NOTHING
    before = seen.present[-3:-1].all(axis=0)
    if not before.any():
        return NOTHING
    region = _region_of_series(seen)
    judged = before & (region >= 0)
    accounts = np.bincount(region[judged], minlength=1)
    there = np.bincount(region[judged & seen.present[-1]], minlength=len(accounts))
    overall = there.sum() / max(accounts.sum(), 1)
    lost = (accounts >= REGION_ACCOUNTS) & (there < REGION_SHARE * overall * accounts)
    return Counted(int((accounts - there)[lost].sum()), int(accounts.sum()))


def retired_region(seen: SeenMonths, column: str) -> Counted:
    """Rows with the code of a county that was merged or renamed before the month."""
    there = seen.column(column)
    if there is None:
        return NOTHING
    period = str(seen.months[-1])
    gone = [code for code, retired in RETIRED.items() if retired.since <= period]
    found = pc.is_in(there, value_set=pa.array(gone, pa.string()))
    return Counted(int(pc.sum(found).as_py() or 0), int(pc.count(there).as_py()))


def estimated_reads(seen: SeenMonths, column: str) -> Counted:
    """Bills whose reading was estimated. Some are normal; many mean that consumption tells little this month."""
    there = seen.column(column)
    if there is None:
        return NOTHING
    return Counted(int(pc.sum(there).as_py() or 0), int(pc.count(there).as_py()))


def meter_identity(seen: SeenMonths, column: str) -> Counted:
    """Bills whose readings don't give the consumption (`column`): current less previous, as a meter that went once round
    or was changed."""
    readings = [seen.column(name) for name in ("prev_reading", "curr_reading", column)]
    if any(reading is None for reading in readings):
        return NOTHING
    before, after, used = (
        pc.fill_null(r.cast(pa.float64()), np.nan).to_numpy() for r in readings if r is not None
    )
    whole = ~np.isnan(before) & ~np.isnan(after) & ~np.isnan(used)
    off = np.abs(after[whole] - before[whole] - used[whole]) > READING_TOLERANCE
    return Counted(int(off.sum()), int(whole.sum()))


def split_key(seen: SeenMonths, column: str) -> Counted:
    """Accounts (the series) that belong to another subject than the last time: moved house, or one person under two
    pseudonyms (15- and 18-digit number hashed).

    Subjects with more accounts than anyone has are `shared_key`'s; they aren't counted here too.
    """
    if len(seen.months) < 2 or "subject_no" in seen.key:
        return NOTHING
    wide = seen.codes_side_by_side("subject_no")
    shared = np.zeros(int(wide.max(initial=-1)) + 2, dtype=bool)
    last = np.full(wide.shape[1], -1, dtype=np.int64)
    for month in wide[:-1]:
        shared[np.flatnonzero(np.bincount(month[month >= 0]) > MOST_ACCOUNTS)] = True
        last = np.where(month >= 0, month, last)
    shared[np.flatnonzero(np.bincount(wide[-1][wide[-1] >= 0]) > MOST_ACCOUNTS)] = True
    both = (wide[-1] >= 0) & (last >= 0) & ~shared[wide[-1]] & ~shared[last]
    return Counted(int((wide[-1, both] != last[both]).sum()), int(both.sum()))


def shared_key(seen: SeenMonths, column: str) -> Counted:
    """Rows of subjects with more accounts than anyone has: several persons hashed from one number (a shared phone)."""
    numbers = seen.now.column("subject_no").to_numpy()
    _, place, count = np.unique(numbers, return_inverse=True, return_counts=True)
    return Counted(int((count[place.reshape(-1)] > MOST_ACCOUNTS).sum()), len(numbers))


def unreconciled_day(seen: SeenMonths, column: str) -> Counted:
    """Payments of days that the three books don't agree on, or that nobody has reconciled. `column` is their moment."""
    moments = seen.column(column)
    if moments is None or seen.days is None:
        return NOTHING
    lines = seen.days.group_by("recon_date").aggregate([("settled_flag", "all")])
    settled = lines.filter(lines.column("settled_flag_all")).column("recon_date")
    china = pc.add(moments.cast(pa.int64()), CHINA_AHEAD_US).cast(pa.timestamp("us")).cast(pa.date32())
    open_yet = pc.invert(pc.is_in(china, value_set=settled.combine_chunks()))
    return Counted(int(pc.sum(open_yet).as_py() or 0), len(moments))


def _region_of_series(seen: SeenMonths) -> np.ndarray:
    """Region code of each series by the subject of its latest row, int64 (series,); -1 where unknown."""
    assert seen.regions is not None
    subject = np.full(seen.present.shape[1], -1, dtype=np.int64)
    first = 0
    for month in seen.months:
        rows = seen.rows[str(month)]
        subject[seen.series[first : first + rows.num_rows]] = rows.column("subject_no").to_numpy()
        first += rows.num_rows
    known = (subject >= 0) & (subject < len(seen.regions))
    return np.where(known, seen.regions[np.where(known, subject, 0)], -1)


def _median(wide: np.ndarray) -> np.ndarray:
    """Median over months of what is there and positive; nan where nothing is."""
    if not len(wide):
        return np.full(wide.shape[1], np.nan)
    with warnings.catch_warnings():
        # A series without any value is nan, as meant.
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmedian(np.where(wide > 0, wide, np.nan), axis=0)
