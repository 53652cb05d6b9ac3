"""Writing rows down as a feed's system does: codes, units, date forms, encoding, and the manifest beside the file."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from core.months import Month
from sources.delivery import write_manifest
from sources.province.feeds import Feed, Field
from sources.province.regions import REGION_CODES
from sources.province.rows import NO_AMOUNT, NO_CODE, NO_DAY, NO_MOMENT, Rows

#: Days that date texts are prepared for.
_FIRST_DAY = date(2010, 1, 1)
_DAYS = 40 * 366
_OFFSET = (_FIRST_DAY - date(1970, 1, 1)).days
#: Fen have none of their own digits after a point, two after that of a yuan and six after that of 万元.
_PLACES = {"FEN": 0, "CNY": 2, "CNY_10K": 6}

_DAY_OF_MONTH: Mapping[str, Callable[[Month], date]] = {
    "month": lambda month: month.first_day,
    "first_day": lambda month: month.first_day,
    "last_day": lambda month: month.last_day,
}


@dataclass(frozen=True)
class Sent:
    """A delivery as written: its folder and how many data rows the manifest tells of."""

    folder: Path
    rows: int


def to_frame(
    feed: Feed, rows: Rows, month: Month, pools: Mapping[str, pa.Array], region: np.ndarray
) -> pa.Table:
    """The feed's table of strings; nothing sent is an empty string. `region` (subjects,) indexes REGION_CODES."""
    columns = {feed.key: pools[str(feed.subject)].take(pa.array(rows.subject))}
    for field in feed.fields:
        if field.kind in _DAY_OF_MONTH:
            day = _DAY_OF_MONTH[field.kind](month.plus(field.shift))
            columns[field.header] = _constant(day.strftime(field.form), len(rows))
        elif field.kind == "region":
            columns[field.header] = pa.array(REGION_CODES).take(pa.array(region[rows.subject]))
        elif field.kind in ("fixed", "remark"):
            columns[field.header] = _constant(field.form, len(rows))
        else:
            columns[field.header] = _texts(field, rows.columns[field.column], pools)
    return pa.table(columns)


def write(
    frame: pa.Table,
    feed: Feed,
    month: Month,
    revision: int,
    inbox: Path,
    *,
    mode: Literal["full", "supplement"],
    stated_revision: int | None = None,
    truncate: float = 0.0,
    control_sums: Mapping[str, str] | None = None,
) -> Sent:
    """Write one delivery folder. `stated_revision` lies about the revision, `truncate` cuts the file after the manifest."""
    folder = inbox / feed.source / f"{feed.subject}.{feed.table}" / f"{month}-r{revision}"
    folder.mkdir(parents=True, exist_ok=True)
    data = (
        folder
        / f"{feed.table}_{month.first_day:%Y%m}_{revision:02d}.{'csv' if feed.delimiter == ',' else 'txt'}"
    )
    body = _encoded(frame, feed)
    data.write_bytes(body)
    write_manifest(
        data,
        source=feed.source,
        adapter=feed.adapter,
        subject=feed.subject,
        table=feed.table,
        period=str(month),
        rows=frame.num_rows,
        revision=stated_revision or revision,
        mode=mode,
        control_sums=control_sums,
    )
    if truncate:
        data.write_bytes(body[: int(len(body) * (1 - truncate))])
    return Sent(folder, frame.num_rows)


def amounts(whole_fen: np.ndarray) -> pa.Array:
    """Texts of fen as CNY, shape (rows,)."""
    return _amounts(whole_fen, _PLACES["CNY"])


def amount_text(whole_fen: int, unit: str) -> str:
    """A total of fen in a unit, for control sums; exact."""
    places = _PLACES[unit]
    sign, digits = "-" if whole_fen < 0 else "", f"{abs(whole_fen):0{places + 1}d}"
    return f"{sign}{digits[: len(digits) - places]}.{digits[len(digits) - places :]}".rstrip(".")


@cache
def _date_texts(form: str) -> pa.Array:
    days = (_FIRST_DAY + timedelta(days=number) for number in range(_DAYS))
    return pa.array([*(day.strftime(form) for day in days), ""], pa.string())


def _encoded(frame: pa.Table, feed: Feed) -> bytes:
    target = io.BytesIO()
    # Nothing of ours needs quotes; a delimiter that a fault brought into a cell makes every cell quoted.
    for style in ("none", "needed"):
        target = io.BytesIO()
        target.write((feed.delimiter.join(frame.column_names) + "\n").encode())
        options = pa_csv.WriteOptions(
            include_header=False, delimiter=feed.delimiter, quoting_style=style, batch_size=65_536
        )
        try:
            pa_csv.write_csv(frame, target, options)
            break
        except pa.ArrowInvalid:
            if style == "needed":
                raise
    body = ("\ufeff".encode() if feed.bom else b"") + target.getvalue()
    return body if feed.encoding == "utf-8" or body.isascii() else body.decode().encode(feed.encoding)


def _texts(field: Field, values: np.ndarray | pa.Array, pools: Mapping[str, pa.Array]) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    if field.kind == "code":
        texts = pa.array([*(code for code, _ in field.codes), ""], pa.string())
        return texts.take(pa.array(np.where(values == NO_CODE, len(field.codes), values)))
    if field.kind == "date":
        return _date_texts(field.form).take(pa.array(np.where(values == NO_DAY, _DAYS, values - _OFFSET)))
    if field.kind == "moment":
        moments = pa.array(np.asarray(values, dtype=np.int64), pa.int64()).cast(pa.timestamp("s"))
        return pc.if_else(pa.array(values != NO_MOMENT), pc.strftime(moments, format=field.form), "")
    if field.kind == "token":
        known = values != NO_CODE
        found = pools[field.form].take(pa.array(np.where(known, values, 0)))
        return found if known.all() else pc.if_else(pa.array(known), found, "")
    if field.kind == "money":
        return _amounts(values, _PLACES[field.form])
    if field.kind == "number":
        return _amounts(np.rint(np.asarray(values, dtype=np.float64) * 100).astype(np.int64), 2)
    return pc.cast(pa.array(values), pa.string())


def _amounts(whole: np.ndarray, places: int) -> pa.Array:
    """Whole numbers with the point moved `places` digits to the left; exact."""
    words = np.empty((len(whole), 2), dtype=np.int64)
    words[:, 0], words[:, 1] = whole, np.where(whole < 0, -1, 0)
    decimals = pa.Array.from_buffers(
        pa.decimal128(20, places), len(whole), [None, pa.py_buffer(words.tobytes())]
    )
    unknown = whole == NO_AMOUNT
    if not unknown.any():
        return pc.cast(decimals, pa.string())
    return pc.if_else(pa.array(unknown), "", pc.cast(decimals, pa.string()))


def _constant(text: str, rows: int) -> pa.Array:
    return pa.repeat(pa.scalar(text, pa.string()), rows)
