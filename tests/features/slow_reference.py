"""Folds and window formulas once more, in plain Python over rows and pandas over months: slow, and written from what the
definitions say, not from how the engine does it.

A known row is a dict of canonical columns: amounts as whole fen, dates as `date`, moments as aware `datetime`, None = not given;
`subject` is its number, `period_end` the last day of the month that is folded.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date, datetime, timedelta, timezone
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd

from features.derived_columns import DaysAfterNewYear, DaysBeforeNewYear, DaysBetween, Derived, TaxRate
from features.fact_definition import Adverse, Comparison, FactDefinition, Measure

Row = dict[str, Any]
NAN = float("nan")
CHINA = timezone(timedelta(hours=8))

#: Chinese New Year's days of the years that tests live in.
NEW_YEARS = [date(2024, 2, 10), date(2025, 1, 29), date(2026, 2, 17), date(2027, 2, 6)]


def month_measure(
    measure: Measure,
    rows: list[Row],
    facts: FactDefinition,
    money: set[str],
    before: dict[int, list[Row]] | None = None,
) -> float:
    """One measure of one subject and month. `money`: columns in fen; `before`: rows by months ago, None = never delivered."""
    kept = [row for row in rows if _meets(row, measure.where, facts, money)]
    if measure.adverse is not None:
        kept = [row for row in kept if _counts_still(row, measure.adverse)]
    if measure.back:
        return _looking_back(measure, kept, facts, money, before or {})
    if measure.agg == "count":
        return len(kept)
    values = [(row, _value(row, measure.column, facts)) for row in kept]
    values = [(row, value) for row, value in values if value is not None]
    if measure.agg == "sum":
        signed = [
            (-1 if measure.minus and _meets(row, measure.minus, facts, money) else 1) * v for row, v in values
        ]
        return (
            round(sum(round(v * 10_000) for v in signed) / 10_000, 4)
            if any(isinstance(v, float) for v in signed)
            else sum(signed)
        )
    if measure.agg == "distinct":
        return len({value for _, value in values})
    if measure.agg in ("top_share", "hhi"):
        totals: Counter[Any] = Counter()
        for row, value in values:
            totals[value] += _value(row, measure.by, facts) or 0
        whole = sum(totals.values())
        if whole <= 0:
            return NAN
        largest = sorted(totals.values(), reverse=True)
        return (
            sum(largest[: measure.top]) / whole
            if measure.agg == "top_share"
            else sum(v * v for v in largest) / whole**2
        )
    if not values:
        return NAN
    if measure.agg == "max":
        return max(value for _, value in values)
    if measure.agg == "min":
        return min(value for _, value in values)
    if measure.agg == "max_gap":
        days = sorted(value for _, value in values)
        return max([(b - a).days for a, b in zip(days, days[1:], strict=False)], default=0)
    if measure.agg == "identity":
        return min(_identity(value) for _, value in values)
    if measure.agg == "code_rank":
        return max([measure.ranks.index(value) for _, value in values if value in measure.ranks], default=NAN)
    raise NotImplementedError(measure.agg)


def _identity(pseudonym: str) -> int:
    """Version of the key above 48 bits, and these the first twelve digits."""
    version, digits = pseudonym[1:].split(":")
    return int(version) * 2**48 + int(digits[:12], 16)


def _counts_still(row: Row, adverse: Adverse) -> bool:
    """An event of its own month always; else by its end, by its date where no end is told, and where neither is: still."""
    if adverse.own_month:
        return True
    told = [row[name] for name in (adverse.end, adverse.date) if name is not None and row[name] is not None]
    if not told:
        return True
    now = row["period_end"]
    return bool((now.year - told[0].year) * 12 + now.month - told[0].month < adverse.months)


def _looking_back(
    measure: Measure, kept: list[Row], facts: FactDefinition, money: set[str], before: dict[int, list[Row]]
) -> float:
    if any(before.get(age) is None for age in range(1, measure.back + 1)):
        return NAN
    column = measure.column
    sets = {0: {row[column] for row in kept} - {None}}
    for age in range(1, measure.back + 1):
        rows = [row for row in before[age] if _meets(row, measure.where, facts, money)]
        sets[age] = {row[column] for row in rows} - {None}
    earlier = set().union(*(sets[age] for age in range(1, measure.back + 1)))
    since = set().union(*(sets[age] for age in range(measure.back)))
    if measure.agg == "first_seen":
        return len(sets[0] - earlier)
    if measure.agg == "returning":
        return len(sets[0] & earlier)
    if measure.agg == "lapsed":
        return len(sets[measure.back] - since)
    if measure.agg == "returning_sum":
        return sum(row[measure.by] or 0 for row in kept if row[column] in earlier)
    raise NotImplementedError(measure.agg)


def _value(row: Row, name: str | None, facts: FactDefinition) -> Any:
    derived = facts.derive.get(name or "")
    return row[name] if derived is None else _derived(row, derived)


def _derived(row: Row, derived: Derived) -> float | None:
    if any(row[column] is None for column in derived.sources):
        return None
    if isinstance(derived, DaysBetween):
        return (_day(row[derived.to]) - _day(row[derived.days_from])).days
    if isinstance(derived, DaysAfterNewYear):
        day = row[derived.days_after_new_year]
        return min((day - feast).days for feast in NEW_YEARS if feast <= day)
    if isinstance(derived, DaysBeforeNewYear):
        day = row[derived.days_before_new_year]
        return min((feast - day).days for feast in NEW_YEARS if feast > day)
    assert isinstance(derived, TaxRate)
    tax, net = row[derived.tax], row[derived.net]
    if net == 0:
        return None
    tax, net = (-tax, -net) if net < 0 else (tax, net)
    apart = {rate: abs(tax - net * Fraction(str(rate)) / 100) for rate in derived.rates}
    nearest = min(derived.rates, key=apart.__getitem__)
    return nearest if apart[nearest] <= max(net * Fraction(str(derived.tolerance)) / 100, 1) else None


def _day(told: date) -> date:
    """A date, or the day in China on which a moment falls."""
    return told.astimezone(CHINA).date() if isinstance(told, datetime) else told


def _meets(row: Row, where: dict[str, Any], facts: FactDefinition, money: set[str]) -> bool:
    return all(
        _passes(_value(row, name, facts), test, 100 if name in money else 1) for name, test in where.items()
    )


def _passes(value: Any, test: Any, scale: int) -> bool:
    if isinstance(test, Comparison) and test.missing is not None:
        return (value is None) == test.missing
    if value is None:
        return False
    if isinstance(test, bool | str):
        return bool(value == test)
    if isinstance(test, list):
        return value in test
    if test.among is not None:
        return value in [bound * scale for bound in test.among]
    if test.gt is not None:
        return bool(value > test.gt * scale)
    if test.ge is not None:
        return bool(value >= test.ge * scale)
    if test.lt is not None:
        return bool(value < test.lt * scale)
    return bool(value <= test.le * scale)


def formula(name: str, months: pd.Series, over: pd.Series | None = None) -> float:
    """A window formula over one subject's months, oldest first, NaN = no record."""
    if over is not None:
        return _of_two(name, list(months), list(over))
    s = months.reset_index(drop=True).astype(float)
    there = s.dropna()
    total = s.sum(min_count=1)
    n = len(s)
    if name == "records":
        return len(there)
    if name == "ratio_previous":
        return _over(s[n // 2 :].sum(min_count=1), s[: n // 2].sum(min_count=1))
    if name == "year_on_year":
        return _over(s[12:].sum(min_count=1), s[: n - 12].sum(min_count=1))
    if name in ("worst_on_year", "down_on_year"):
        return _on_year(name, list(s))
    if there.empty:
        return NAN
    if name in ("changes", "held"):
        return _of_identity(name, there)
    steps = [b - a for a, b in zip(there, there.iloc[1:], strict=False)]
    if name in ("rises", "falls", "level_change"):
        answers = {"rises": sum(d > 0 for d in steps), "falls": sum(d < 0 for d in steps)}
        return answers.get(name, there.iloc[-1] - there.iloc[0]) if steps else NAN
    if name == "current_run":
        return len("".join("x" if v > 0 else " " for v in there).split(" ")[-1])
    if name == "peak_share":
        return _over(there.max(), total)
    if name == "last_of_peak":
        return _over(there.iloc[-1], there.max())
    simple = {
        "sum": total,
        "mean": there.mean(),
        "min": there.min(),
        "max": there.max(),
        "last": there.iloc[-1],
    }
    if name in simple:
        return float(simple[name])
    if name in ("std", "cv"):
        spread = there.std(ddof=0) if len(there) > 1 else NAN
        return spread if name == "std" else _over(spread, abs(there.mean()))
    if name == "slope":
        if len(there) < 3:
            return NAN
        t = there.index.to_numpy(dtype=float)
        b = ((t - t.mean()) * (there - there.mean())).sum() / ((t - t.mean()) ** 2).sum()
        return _over(b, abs(there.mean()))
    above = [at for at in range(n) if s[at] > 0]
    if name == "positive":
        return len(above)
    if name == "positive_share":
        return len(above) / len(there)
    if name == "any_positive":
        return float(bool(above))
    if name == "longest_gap":
        if not above:
            return NAN
        stops = [*above, n]
        return max(b - a - 1 for a, b in zip(stops, stops[1:], strict=False))
    if name == "longest_run":
        text = "".join("x" if at in above else " " for at in range(n))
        return max(len(run) for run in text.split(" "))
    if name == "since_positive":
        return n - 1 - above[-1] if above else NAN
    if name == "since_record":
        return n - 1 - there.index[-1]
    if name == "change":
        return _over(there.iloc[-1] - there.iloc[0], abs(there.iloc[0])) if len(there) > 1 else NAN
    if name == "best_quarter_share":
        if len(there) < 3 or total <= 0:
            return NAN
        return float(s.fillna(0.0).rolling(3).sum().max() / total)
    if name == "seasonal_strength":
        if len(there) < 13:
            return NAN
        groups = there.groupby(there.index % 12)
        between = (groups.count() * (groups.mean() - there.mean()) ** 2).sum()
        return _over(between, ((there - there.mean()) ** 2).sum())
    raise NotImplementedError(name)


def _of_two(name: str, x: list[float], y: list[float]) -> float:
    if name == "share_of":
        return _over(pd.Series(x).sum(min_count=1), pd.Series(y).sum(min_count=1))
    both = [(v, w) for v, w in zip(x, y, strict=True) if not np.isnan(v) and not np.isnan(w)]
    if name == "months_below":
        return sum(v < w for v, w in both) if both else NAN
    if name == "co_movement":
        left, right = [_exact(v) for v, _ in both], [_exact(w) for _, w in both]
        if len(both) < 6 or len(set(left)) == 1 or len(set(right)) == 1:
            return NAN
        a, b = ([v - sum(side) / len(side) for v in side] for side in (left, right))
        squares = sum(v * v for v in a) * sum(v * v for v in b)
        return float(sum(v * w for v, w in zip(a, b, strict=True))) / float(squares) ** 0.5
    raise NotImplementedError(name)


def _on_year(name: str, x: list[float]) -> float:
    """Of the months from the thirteenth on, those with a record whose month a year before was above 0."""
    pairs = [
        (_exact(x[m]), _exact(x[m - 12])) for m in range(12, len(x)) if not np.isnan(x[m]) and x[m - 12] > 0
    ]
    if name == "worst_on_year":
        return float(min((now / before for now, before in pairs), default=NAN))
    return sum((before - now) / before > Fraction(3, 10) for now, before in pairs) if pairs else NAN


def _of_identity(name: str, there: pd.Series) -> float:
    """`there`: identities by month; what stands above 48 bits is the key."""
    known = list(there.items())
    others = [
        month
        for (_, before), (month, now) in zip(known, known[1:], strict=False)
        if now != before and now // 2**48 == before // 2**48
    ]
    if name == "changes":
        return len(others)
    since = others[-1] if others else known[0][0]
    return float(known[-1][0] - since + 1)


def _exact(value: float) -> Fraction:
    return Fraction(str(value))


def _over(part: float, whole: float) -> float:
    return NAN if whole == 0 or np.isnan(whole) else part / whole


def by_subject(rows: list[Row]) -> dict[int, list[Row]]:
    """Rows of each subject."""
    found: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["subject"]].append(row)
    return found
