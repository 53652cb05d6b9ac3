"""Dates and moments as sources write them, read strictly by declared form.

`strptime` would read `2020111` as a day of November; here a number has all its digits unless something other
than a digit stands on both sides of it (`2017/7/18`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import cache

from core.months import CHINA_TIME

_PARTS = {
    "%Y": ("year", 4),
    "%m": ("month", 2),
    "%d": ("day", 2),
    "%H": ("hour", 2),
    "%M": ("minute", 2),
    "%S": ("second", 2),
    "%f": ("fraction", 6),
    "%q": ("quarter", 1),
}
_TOKEN = re.compile(r"(%[A-Za-z]|[^%]+|%)")
_WRITTEN_DAY = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})")


@dataclass(frozen=True)
class DateForm:
    """One form such as `%Y%m` or `%Y-%m-%d %H:%M:%S`; without a day it is the first of the month.

    `%f` are one to six digits of a second; `%q` is a quarter (`%YQ%q`), which stands for its last month.
    """

    form: str
    pattern: re.Pattern[str]

    @staticmethod
    @cache
    def of(form: str) -> DateForm:
        """Compile a form; ValueError names what it can't hold."""
        tokens = _TOKEN.findall(form)
        pieces: list[str] = []
        for position, token in enumerate(tokens):
            if not token.startswith("%"):
                pieces.append(re.escape(token))
                continue
            if token not in _PARTS:
                raise ValueError(f"a date form is made of {', '.join(_PARTS)}, not {token}")
            part, digits = _PARTS[token]
            alone = not any(
                0 <= beside < len(tokens)
                and (tokens[beside].startswith("%") or tokens[beside][edge].isdigit())
                for beside, edge in ((position - 1, -1), (position + 1, 0))
            )
            count = f"1,{digits}" if (alone and digits == 2) or part == "fraction" else str(digits)
            pieces.append(f"(?P<{part}>[0-9]{{{count}}})")
        if "%Y" not in tokens or ("%m" in tokens) == ("%q" in tokens):
            raise ValueError("a date form has at least a year (%Y) and a month (%m) or a quarter (%q)")
        return DateForm(form, re.compile("".join(pieces)))

    def read(self, text: str) -> date | None:
        """The day, or None where the text isn't of this form or no such day exists."""
        written = self._written(text)
        return None if written is None else written.date()

    def read_moment(self, text: str) -> datetime | None:
        """The moment in UTC of Chinese civil time; without hours it is the beginning of the day."""
        written = self._written(text)
        if written is None:
            return None
        try:
            return written.replace(tzinfo=CHINA_TIME).astimezone(UTC)
        except OverflowError:
            return None

    def _written(self, text: str) -> datetime | None:
        match = self.pattern.fullmatch(text)
        if match is None:
            return None
        found = match.groupdict()
        fraction = (found.pop("fraction", None) or "0").ljust(6, "0")
        parts = {name: int(value) for name, value in found.items()}
        if "quarter" in parts:
            parts["month"] = 3 * parts["quarter"] if 1 <= parts["quarter"] <= 4 else 0
        hour, minute, second = (parts.get(name, 0) for name in ("hour", "minute", "second"))
        # A leap second may be written; no clock here has it.
        second = 59 if second == 60 else second
        try:
            day = date(parts["year"], parts["month"], parts.get("day", 1))
            return datetime.combine(day, time(hour, minute, second, int(fraction)))
        except ValueError:
            return None


def read_day(text: str, forms: Sequence[DateForm]) -> date | None:
    """The day by the first form that fits."""
    return next((day for form in forms if (day := form.read(text)) is not None), None)


def read_moment(text: str, forms: Sequence[DateForm]) -> datetime | None:
    """The moment in UTC by the first form that fits."""
    return next((moment for form in forms if (moment := form.read_moment(text)) is not None), None)


def sentinel_days(sentinels: Sequence[str]) -> frozenset[date]:
    """Sentinels that are days, so that `9999-9-9` also stands for `99990909`."""
    days = set()
    for text in sentinels:
        match = _WRITTEN_DAY.fullmatch(text)
        if match is not None:
            try:
                days.add(date(int(match[1]), int(match[2]), int(match[3])))
            except ValueError:
                continue
    return frozenset(days)
