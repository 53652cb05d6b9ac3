"""From the text of cells to typed values, once per different text.

Each reader takes the different texts of a column (shape (uniques,), no nulls) and gives their values, null
where nothing was sent, and a mask of the texts that can't be read. Whoever calls knows the rows and refuses.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.money import FEN_PER_UNIT, from_fen
from core.months import CHINA_AHEAD_US
from sources.written_dates import DateForm, read_moments, sentinel_days

#: decimal(18,2) holds this many digits of fen.
_MONEY_DIGITS = 18
_AHEAD_OF_UTC = np.timedelta64(CHINA_AHEAD_US, "us")
_NUMBER = r"^(?P<sign>[+-]?)(?P<whole>[0-9]{1,24})(?:\.(?P<part>[0-9]{0,24}))?$"
_TOKEN = r"^k(?:0|[1-9][0-9]{0,3}):[0-9a-f]{40}$"


@dataclass(frozen=True)
class Cells:
    """`values` per different text, `bad` where the text can't be read, `sentinel` where it stands for no date, `misplaced`
    where it stands for an open end in a column that has none; all of shape (uniques,).
    """

    values: pa.Array
    bad: np.ndarray
    sentinel: np.ndarray | None = None
    misplaced: np.ndarray | None = None


def normalised(texts: pa.Array, steps: Sequence[str]) -> pa.Array:
    """The texts after the declared steps, in their order."""
    for step in steps:
        texts = _STEPS[step](texts)
    return texts


_STEPS = {
    "nfkc": lambda texts: pc.utf8_normalize(texts, form="NFKC"),
    "strip": pc.utf8_trim_whitespace,
    "lower": pc.utf8_lower,
    "upper": pc.utf8_upper,
    "drop_hyphens": lambda texts: pc.replace_substring(texts, "-", ""),
    "drop_blanks": lambda texts: pc.replace_substring_regex(texts, r"[\s\x{3000}\x{a0}]+", ""),
    "org_code_of_uscc": lambda texts: pc.if_else(
        pc.equal(pc.utf8_length(texts), 18), pc.utf8_slice_codeunits(texts, 8, 17), texts
    ),
}


def missing(texts: pa.Array, nulls: Collection[str]) -> np.ndarray:
    """Which texts mean that nothing was sent; blanks around them don't matter."""
    return _mask(pc.is_in(pc.utf8_trim_whitespace(texts), value_set=pa.array(list(nulls), pa.string())))


def ungrouped(texts: pa.Array, separator: str) -> pa.Array:
    """Numbers written in groups of three (`5,000,000.00`) without their separators; others (`5,000000`) stay as they are, and
    are no numbers.
    """
    mark = re.escape(separator)
    grouped = pc.match_substring_regex(texts, rf"^\s*[+-]?[0-9]{{1,3}}({mark}[0-9]{{3}})+(\.[0-9]*)?\s*$")
    return pc.if_else(grouped, pc.replace_substring(texts, separator, ""), texts)


def money(texts: pa.Array, absent: np.ndarray, unit: str) -> Cells:
    """decimal(18,2) yuan, exact: digits are moved, never multiplied as floats.

    A unit of 10^p fen takes p digits after the point into the fen; what is finer than a fen must be zeros.
    """
    places = len(str(FEN_PER_UNIT[unit])) - 1
    trimmed = pc.utf8_trim_whitespace(texts)
    whole = _MONEY_DIGITS - places
    pattern = rf"^-?[0-9]{{1,{whole}}}(\.[0-9]{{1,{places}}})?$" if places else rf"^-?[0-9]{{1,{whole}}}$"
    usual = _mask(pc.match_substring_regex(trimmed, pattern)) & ~absent
    # As a decimal with p places the digits without their point are the fen.
    plain = pc.cast(pc.if_else(pa.array(usual), trimmed, "0"), pa.decimal128(_MONEY_DIGITS, places))
    fen = np.frombuffer(plain.buffers()[1], dtype=np.int64)[2 * plain.offset :: 2][: len(plain)]
    good = usual
    rest = np.flatnonzero(~usual & ~absent)
    if len(rest):
        fen, good = fen.copy(), usual.copy()
        fen[rest], good[rest] = _unusual_money(trimmed.take(pa.array(rest)), places)
    return Cells(from_fen(np.where(good, fen, 0), null=~good), ~good & ~absent)


def _unusual_money(texts: pa.Array, places: int) -> tuple[np.ndarray, np.ndarray]:
    """Fen of amounts with a plus, with leading or trailing zeros, with a point at the end; and which could be read."""
    sign, whole, part = _number_parts(texts)
    part = pc.utf8_rpad(pc.fill_null(part, ""), places, padding="0")
    taken = pc.utf8_slice_codeunits(part, 0, places) if places else pc.utf8_slice_codeunits(part, 0, 0)
    rest = pc.utf8_slice_codeunits(part, places)
    digits = pc.utf8_ltrim(pc.binary_join_element_wise(whole, taken, ""), characters="0")
    readable = pc.and_(pc.is_valid(whole), pc.equal(pc.utf8_trim(rest, characters="0"), ""))
    readable = pc.fill_null(pc.and_(readable, pc.less_equal(pc.utf8_length(digits), _MONEY_DIGITS)), False)
    good = _mask(readable)
    text = pc.if_else(pc.equal(digits, ""), "0", digits)
    fen = pc.cast(pc.if_else(pa.array(good), text, "0"), pa.int64()).to_numpy(zero_copy_only=False)
    return np.where(_mask(pc.fill_null(pc.equal(sign, "-"), False)), -fen, fen), good


def whole_number(
    texts: pa.Array, absent: np.ndarray, kind: pa.DataType, times: Fraction = Fraction(1)
) -> Cells:
    """int32 or int64; `12.0` is a whole number, `12.5` isn't. `times` turns the source's unit into the contract's: 1.5 of
    ten thousand persons is a whole number of persons.
    """
    if times != 1:
        return _scaled_whole(texts, absent, kind, times)
    sign, whole, part = _number_parts(texts)
    zeros = pc.equal(pc.utf8_trim(pc.fill_null(part, ""), characters="0"), "")
    digits = pc.utf8_ltrim(whole, characters="0")
    readable = pc.and_(pc.and_(pc.is_valid(whole), zeros), pc.less_equal(pc.utf8_length(digits), 18))
    good = _mask(pc.fill_null(readable, False)) & ~absent
    text = pc.if_else(pa.array(good), pc.if_else(pc.equal(digits, ""), "0", digits), "0")
    values = pc.cast(text, pa.int64()).to_numpy(zero_copy_only=False)
    values = np.where(_mask(pc.fill_null(pc.equal(sign, "-"), False)), -values, values)
    limit = np.iinfo(kind.to_pandas_dtype())
    good &= (values >= limit.min) & (values <= limit.max)
    return Cells(pa.array(np.where(good, values, 0), kind, mask=~good), ~good & ~absent)


def _scaled_whole(texts: pa.Array, absent: np.ndarray, kind: pa.DataType, times: Fraction) -> Cells:
    limit = np.iinfo(kind.to_pandas_dtype())
    readable = _mask(pc.match_substring_regex(pc.utf8_trim_whitespace(texts), _NUMBER)) & ~absent
    values = np.zeros(len(texts), dtype=np.int64)
    good = readable.copy()
    # Another unit than the contract's is rare, and only different texts come here.
    for position in np.flatnonzero(readable).tolist():
        scaled = Fraction(texts[position].as_py().strip().rstrip(".")) * times
        good[position] = scaled.denominator == 1 and limit.min <= scaled <= limit.max
        values[position] = int(scaled) if good[position] else 0
    return Cells(pa.array(values, kind, mask=~good), ~good & ~absent)


def number(texts: pa.Array, absent: np.ndarray, times: Fraction = Fraction(1)) -> Cells:
    """float64 from a plain decimal number; no exponents, no infinities. `times` turns the source's unit into the contract's."""
    trimmed = pc.utf8_trim_whitespace(texts)
    good = _mask(pc.match_substring_regex(trimmed, _NUMBER)) & ~absent
    values = pc.cast(pc.if_else(pa.array(good), trimmed, "0"), pa.float64())
    if times != 1:
        values = pc.divide(pc.multiply(values, float(times.numerator)), float(times.denominator))
    return Cells(pc.if_else(pa.array(good), values, pa.scalar(None, pa.float64())), ~good & ~absent)


def days(texts: pa.Array, absent: np.ndarray, forms: Sequence[str], sentinels: Sequence[str]) -> Cells:
    """date32 by the first form that fits; sentinel dates are null."""
    civil, bad, sentinel = _civil_times(texts, absent, forms, sentinels)
    return Cells(pa.array(civil.astype("datetime64[D]"), pa.date32()), bad, sentinel)


def moments(texts: pa.Array, absent: np.ndarray, forms: Sequence[str], sentinels: Sequence[str]) -> Cells:
    """UTC microseconds of Chinese civil time by the first form that fits; sentinel dates are null."""
    civil, bad, sentinel = _civil_times(texts, absent, forms, sentinels)
    utc = civil - _AHEAD_OF_UTC
    # The calendar of moments begins with the year 1.
    too_early = utc < np.datetime64("0001-01-01", "us")
    utc[too_early] = np.datetime64("NaT")
    return Cells(pa.array(utc, pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC")), bad, sentinel)


def _civil_times(
    texts: pa.Array, absent: np.ndarray, forms: Sequence[str], sentinels: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Chinese civil time (NaT where nothing, a sentinel or nothing readable is written), what can't be read, sentinels."""
    trimmed = pc.utf8_trim_whitespace(texts)
    civil = read_moments(trimmed, [DateForm.of(form) for form in forms])
    spelled = _mask(pc.is_in(trimmed, value_set=pa.array(list(sentinels), pa.string())))
    meant = np.array(sorted(sentinel_days(sentinels)), dtype="datetime64[D]")
    sentinel = (spelled | np.isin(civil.astype("datetime64[D]"), meant)) & ~absent
    bad = np.isnat(civil) & ~sentinel & ~absent
    civil[absent | sentinel] = np.datetime64("NaT")
    return civil, bad, sentinel


def months(texts: pa.Array, absent: np.ndarray, forms: Sequence[str]) -> Cells:
    """`2026-10` strings; a day in the form is read and dropped."""
    read = days(texts, absent, forms, ())
    return Cells(pc.strftime(read.values, format="%Y-%m"), read.bad)


def coded(texts: pa.Array, absent: np.ndarray, codes: Mapping[str, bool | str], kind: pa.DataType) -> Cells:
    """What the codes lead to (string or bool); a text that isn't a declared code is bad. Blanks around it
    don't matter.

    A declared code wins over a null token: where a source's code list has `无`, it means what the list says.
    """
    places = pc.index_in(pc.utf8_trim_whitespace(texts), value_set=pa.array(list(codes), pa.string()))
    values = pa.array(list(codes.values()), kind).take(places)
    return Cells(values, _mask(pc.is_null(places)) & ~absent)


def several(texts: pa.Array, separator: str, known: Collection[str]) -> dict[int, list[str]]:
    """Texts that hold several known codes, by position: `10201、10202`. A known code that holds the separator is one code."""
    candidates = _mask(pc.match_substring(texts, separator))
    found = {}
    for position in np.flatnonzero(candidates).tolist():
        whole = texts[position].as_py().strip()
        parts = [part.strip() for part in whole.split(separator)]
        if whole not in known and all(part in known for part in parts):
            found[position] = parts
    return found


def text(texts: pa.Array, absent: np.ndarray) -> Cells:
    """The text itself."""
    return Cells(
        pc.if_else(pa.array(~absent), texts, pa.scalar(None, pa.string())), np.zeros(len(texts), dtype=bool)
    )


def tokens(texts: pa.Array, absent: np.ndarray) -> Cells:
    """Pseudonyms of the form `k1:` and 40 hexadecimal digits; `k0` stands for erased parties."""
    good = _mask(pc.match_substring_regex(texts, _TOKEN))
    return Cells(text(texts, absent).values, ~good & ~absent)


def of_key(texts: pa.Array, key_ver: str) -> np.ndarray:
    """Which pseudonyms were made with this key."""
    return _mask(pc.starts_with(texts, f"{key_ver}:"))


#: What codes of enterprises look like: GB 32100 without the letters I, O, S, V, Z; organisation codes of GB 11714.
_FORMS = {"uscc": r"^[0-9A-HJ-NPQRTUWXY]{18}$", "org_code": r"^[0-9A-Z]{8}[0-9X]$"}


def of_form(texts: pa.Array, form: str) -> np.ndarray:
    """Which codes have the declared form, `uscc` or `org_code`."""
    return _mask(pc.match_substring_regex(texts, _FORMS[form]))


def _number_parts(texts: pa.Array) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Sign, whole digits and digits after the point; null where the text isn't a plain number."""
    found = pc.extract_regex(pc.utf8_trim_whitespace(texts), _NUMBER)
    sign, whole, part = (pc.struct_field(found, name) for name in ("sign", "whole", "part"))
    return sign, whole, part


def _mask(booleans: pa.Array) -> np.ndarray:
    return booleans.to_numpy(zero_copy_only=False).astype(bool)
