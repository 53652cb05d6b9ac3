"""Dates and moments as sources write them, read strictly by declared form.

`strptime` would read `2020111` as a day of November; here a number has all its digits unless something other
than a digit stands on both sides of it (`2017/7/18`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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


def read_moments(texts: pa.Array, forms: Sequence[DateForm]) -> np.ndarray:
    """Each text's moment in Chinese civil time by the first form that fits it, datetime64[us] (texts,); NaT where none does.

    Without hours it is the beginning of the day. All texts of a form at once: of a moment nearly every text is another one.
    """
    found = np.full(len(texts), np.datetime64("NaT", "us"))
    open_yet = np.arange(len(texts))
    for form in forms:
        if not len(open_yet):
            break
        left = texts if len(open_yet) == len(texts) else texts.take(pa.array(open_yet))
        found[open_yet] = _of_form(left, form)
        open_yet = open_yet[np.isnat(found[open_yet])]
    return found


def _of_form(texts: pa.Array, form: DateForm) -> np.ndarray:
    """Moments of the texts that have this form and exist in the calendar."""
    written = pc.extract_regex(texts, f"^(?:{form.pattern.pattern})$")
    names = [field.name for field in written.type]
    fits = written.is_valid().to_numpy(zero_copy_only=False)

    def part(name: str, otherwise: int) -> np.ndarray:
        if name not in names:
            return np.full(len(texts), otherwise, dtype=np.int64)
        digits = pc.struct_field(written, name)
        if name == "fraction":
            digits = pc.utf8_rpad(digits, 6, "0")
        return pc.cast(pc.fill_null(digits, "0"), pa.int64()).to_numpy()

    quarter = part("quarter", 0)
    fits &= (quarter >= 1) & (quarter <= 4) if "quarter" in names else True
    year, month, day = part("year", 0), part("month", 0) + 3 * quarter, part("day", 1)
    hour, minute, second = (part(name, 0) for name in ("hour", "minute", "second"))
    fits &= (year >= 1) & (month >= 1) & (month <= 12) & (hour <= 23) & (minute <= 59) & (second <= 60)
    months = np.where(fits, (year - 1970) * 12 + month - 1, 0)
    first = months.astype("datetime64[M]").astype("datetime64[D]")
    length = (months + 1).astype("datetime64[M]").astype("datetime64[D]") - first
    fits &= (day >= 1) & (day <= length.astype(np.int64))
    # A leap second may be written; no clock here has it.
    seconds = (hour * 60 + minute) * 60 + np.minimum(second, 59)
    whole = first.astype("datetime64[us]") + (
        ((day - 1) * 86_400 + seconds) * 1_000_000 + part("fraction", 0)
    )
    return np.where(fits, whole, np.datetime64("NaT", "us"))


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
