"""Columns made of others, declared in the adapter; no Python of anyone's is run.

| entry | value |
|---|---|
| `{month_start: period}`, `{month_end: period}` | first and last day of a month or date column |
| `{month_of: paid_date}` | the month of a date |
| `{day_of: granted_at}` | the day (Chinese civil time) of a moment |
| `{days_between: [due_date, paid_date]}` | days from the first to the second |
| `{after: [paid_date, due_date]}` | whether the first is later than the second |
| `{sum: [a_amt, b_amt]}` | sum of columns; missing where all are |
| `{first_of: [a, b]}` | the first that isn't missing |
| `{is_zero: a_amt}`, `{is_missing: paid_date}` | whether a value is zero, or missing |
| `{envelope: period}` | what the delivery says of all its rows: period, revision, source, adapter |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import model_validator

from core.definition_file import Definition
from core.money import MONEY, fen, from_fen
from core.months import CHINA_TIME, Month
from core.table_schema import ColumnType

Two = tuple[str, str]

EnvelopeValue = Literal["period", "revision", "source", "adapter"]


class Derivation(Definition):
    """One of the entries above; arguments name canonical or working columns."""

    month_start: str | None = None
    month_end: str | None = None
    month_of: str | None = None
    day_of: str | None = None
    days_between: Two | None = None
    after: Two | None = None
    sum: tuple[str, ...] | None = None
    first_of: tuple[str, ...] | None = None
    is_zero: str | None = None
    is_missing: str | None = None
    envelope: EnvelopeValue | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Derivation:
        if len(self.model_fields_set) != 1:
            raise ValueError(f"a derivation is one of {', '.join(type(self).model_fields)}")
        return self

    @property
    def kind(self) -> str:
        """Which entry it is."""
        return next(iter(self.model_fields_set))

    @property
    def arguments(self) -> tuple[str, ...]:
        """Columns it is made of."""
        told = getattr(self, self.kind)
        if self.kind == "envelope":
            return ()
        return (told,) if isinstance(told, str) else tuple(told)


#: Types of the arguments that a derivation takes, and the types of what it makes.
ACCEPTS: dict[str, tuple[frozenset[ColumnType], frozenset[ColumnType]]] = {
    "month_start": (frozenset({ColumnType.MONTH, ColumnType.DATE}), frozenset({ColumnType.DATE})),
    "month_end": (frozenset({ColumnType.MONTH, ColumnType.DATE}), frozenset({ColumnType.DATE})),
    "month_of": (frozenset({ColumnType.MONTH, ColumnType.DATE}), frozenset({ColumnType.MONTH})),
    "day_of": (frozenset({ColumnType.TIME}), frozenset({ColumnType.DATE})),
    "days_between": (frozenset({ColumnType.DATE}), frozenset({ColumnType.INT, ColumnType.LONG})),
    "after": (frozenset({ColumnType.DATE, ColumnType.TIME}), frozenset({ColumnType.BOOL})),
    "is_zero": (
        frozenset({ColumnType.MONEY, ColumnType.INT, ColumnType.LONG, ColumnType.FLOAT}),
        frozenset({ColumnType.BOOL}),
    ),
    "is_missing": (frozenset(ColumnType), frozenset({ColumnType.BOOL})),
}
#: These keep the type of their arguments.
_SUMMED = frozenset({ColumnType.MONEY, ColumnType.INT, ColumnType.LONG, ColumnType.FLOAT})
_ENVELOPE = {
    "period": ColumnType.MONTH,
    "revision": ColumnType.INT,
    "source": ColumnType.STRING,
    "adapter": ColumnType.STRING,
}


def misfit(
    name: str, derivation: Derivation, made: ColumnType, types: Mapping[str, ColumnType]
) -> str | None:
    """What doesn't fit between a derived column `name`, its type, and the types of the columns it is made of."""
    if derivation.envelope is not None:
        told = _ENVELOPE[derivation.envelope]
        return None if made is told else f"{derivation.envelope} of the envelope is a {told}, {name} a {made}"
    strange = [argument for argument in derivation.arguments if argument not in types]
    if strange or name in derivation.arguments:
        return f"{name} is derived from {', '.join(strange) or 'itself'}, which nothing reads"
    given = {types[argument] for argument in derivation.arguments}
    if derivation.kind in ("sum", "first_of"):
        fits = given == {made} and (derivation.kind == "first_of" or made in _SUMMED)
        return None if fits else f"`{derivation.kind}` keeps the type of its columns; {name} is a {made}"
    takes, makes = ACCEPTS[derivation.kind]
    if not given <= takes or made not in makes:
        return f"`{derivation.kind}` makes a {'/'.join(sorted(makes))} of {'/'.join(sorted(takes))}; {name} is a {made}"
    return None


def derived(
    derivation: Derivation,
    columns: Mapping[str, pa.Array],
    kind: pa.DataType,
    rows: int,
    envelope: Mapping[str, object],
) -> pa.Array:
    """The column, shape (rows,), missing where an argument is."""
    if derivation.envelope is not None:
        return pa.repeat(pa.scalar(envelope[derivation.envelope], kind), rows)
    given = [columns[name] for name in derivation.arguments]
    match derivation.kind:
        case "month_start" | "month_end":
            return _per_value(given[0], kind, _first_day if derivation.kind == "month_start" else _last_day)
        case "month_of":
            return _per_value(given[0], kind, _month)
        case "day_of":
            return _per_value(given[0], kind, lambda value: value.astimezone(CHINA_TIME).date())
        case "days_between":
            days = pc.subtract(given[1].cast(pa.int32()), given[0].cast(pa.int32()))
            return days.cast(kind)
        case "after":
            return pc.greater(given[0], given[1])
        case "is_zero":
            return pc.equal(given[0], pa.scalar(0, given[0].type))
        case "is_missing":
            return pc.is_null(given[0])
        case "first_of":
            return pc.coalesce(*given)
        case _:
            return _sum(given, kind)


def _per_value(column: pa.Array, kind: pa.DataType, of: object) -> pa.Array:
    """`of` applied once to each different value."""
    encoded = column.dictionary_encode()
    made = [None if value is None else of(value) for value in encoded.dictionary.to_pylist()]  # type: ignore[operator]
    return pa.array(made, kind).take(encoded.indices)


def _as_month(value: object) -> Month:
    return Month.parse(value) if isinstance(value, str) else Month(value.year, value.month)  # type: ignore[attr-defined]


def _first_day(value: object) -> object:
    return _as_month(value).first_day


def _last_day(value: object) -> object:
    return _as_month(value).last_day


def _month(value: object) -> str:
    return str(_as_month(value))


def _sum(given: Sequence[pa.Array], kind: pa.DataType) -> pa.Array:
    missing = np.logical_and.reduce([column.is_null().to_numpy(zero_copy_only=False) for column in given])
    if kind == MONEY:
        return from_fen(np.sum([fen(column) for column in given], axis=0), null=missing)
    total = np.sum([pc.fill_null(column, 0).to_numpy(zero_copy_only=False) for column in given], axis=0)
    return pa.array(total, kind, mask=missing)
