"""From a table of delivered strings to canonical columns, as an adapter says.

Each different text of a column is read once (dictionary encoding), then spread over the rows. The first row
that can't be read refuses the delivery whole, with the line in the delivered file and the shape of the cell,
never its content.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import Refusal
from core.money import FEN_PER_UNIT, fen
from core.months import Month
from core.table_schema import Column, ColumnType, TableSchema
from sources import cells
from sources.adapter import Adapter, ColumnRule
from sources.shape import shape

#: The header is line 1, so the first row (position 0) is line 2.
FIRST_LINE = 2


@dataclass(frozen=True)
class Converted:
    """`rows`: canonical business columns without subject and period, then `row_no` (1 is the first row of the
    file); `subject_codes`: the normalised key of each row; `left_out`: rows by reason; `absorbed`: cells by what the adapter
    put up with. Delivered = rows + sum(left_out).
    """

    rows: pa.Table
    subject_codes: pa.Array
    left_out: dict[str, int]
    delivered: int
    absorbed: dict[str, int] = field(default_factory=dict)


class DeliveredRows:
    """The delivered strings, one dictionary-encoded column each; nothing is lost or changed here."""

    def __init__(self, delivered: pa.Table, file: str) -> None:
        self.file = file
        self.rows = delivered.num_rows
        self.columns: dict[str, pa.DictionaryArray] = {
            name: _encoded(delivered.column(name)) for name in delivered.column_names
        }

    def texts(self, column: str) -> pa.Array:
        """The different texts of a column."""
        return self.columns[column].dictionary

    def places(self, column: str) -> np.ndarray:
        """Which of the different texts each row has, int32 (rows,)."""
        return self.columns[column].indices.to_numpy()

    def refuse(self, code: str, row: int, column: str, what: str, remedy: str) -> Refusal:
        """A refusal that points at one cell."""
        text = self.texts(column)[int(self.places(column)[row])].as_py()
        return Refusal(
            code,
            f"{what} (a cell of the shape `{shape(text)}`).",
            file=self.file,
            line=row + FIRST_LINE,
            column=column,
            remedy=remedy,
        )


def convert(delivered: DeliveredRows, adapter: Adapter, schema: TableSchema, period: Month) -> Converted:
    """Canonical rows of one delivery. Raises Refusal REFUSED/CODE, TYPE, RANGE, PERIOD or KEY with file, line, column and
    remedy.

    Ranges and keys are the contract's. They are judged again on the whole partition later; a delivery that breaks them must
    not come in, because every accepted version stays and the next revision could not overcome it.
    """
    kept, left_out = _kept(delivered, adapter)
    columns: dict[str, pa.Array] = {}
    for column in schema.columns:
        if column.name == "subject_id":
            continue
        rule = adapter.columns.get(column.name)
        values = _column(delivered, adapter, column, rule, kept)
        if column.name == "period":
            _check_period(delivered, rule, values, kept, period)
        else:
            _check_range(delivered, rule, column, values, kept)
            columns[column.name] = values
    codes = _subject_codes(delivered, adapter, kept)
    _check_keys(delivered, schema, columns, codes, kept)
    columns["row_no"] = pa.array((kept + 1).astype(np.int32))
    return Converted(pa.table(columns), codes, left_out, delivered.rows)


def check_control_sums(delivered: DeliveredRows, adapter: Adapter, control_sums: Mapping[str, str]) -> None:
    """Compare sums over all delivered rows with the manifest's, exactly. Raises REFUSED/CONTROL_SUM or
    MANIFEST.
    """
    units = {rule.source_column: rule.unit for rule in adapter.columns.values() if rule.unit is not None}
    for column, stated in control_sums.items():
        unit = units.get(column)
        if unit is None:
            raise Refusal(
                "REFUSED/MANIFEST",
                f"a control sum of `{shape(column)}`, which isn't an amount of {adapter.adapter}.",
                remedy="Have the source name amount columns in its control sums.",
            )
        texts = delivered.texts(column)
        read = cells.money(texts, cells.missing(texts, adapter.nulls), unit)
        times = np.bincount(delivered.places(column), minlength=len(texts))
        _refuse_bad(delivered, adapter, column, read.bad, np.arange(delivered.rows), "TYPE", "not an amount")
        # Python integers: a sum of a whole country may pass 64 bits.
        total = sum(int(amount) * int(count) for amount, count in zip(fen(read.values), times, strict=True))
        if Decimal(total) != Decimal(stated) * FEN_PER_UNIT[unit]:
            raise Refusal(
                "REFUSED/CONTROL_SUM",
                "the amounts don't add up to the sum in the manifest.",
                file=delivered.file,
                column=column,
                remedy="Rows or amounts were lost on the way: have the source send the period again.",
            )


def _kept(delivered: DeliveredRows, adapter: Adapter) -> tuple[np.ndarray, dict[str, int]]:
    """Positions of the rows that count, and how many were left out under which reason; a row has one reason,
    the first.
    """
    keep = np.ones(delivered.rows, dtype=bool)
    left_out: dict[str, int] = {}
    for rule in adapter.leave_out:
        meant = pc.is_in(
            pc.utf8_trim_whitespace(delivered.texts(rule.column)),
            value_set=pa.array(list(rule.equals), pa.string()),
        )
        hit = keep & meant.to_numpy(zero_copy_only=False).astype(bool)[delivered.places(rule.column)]
        left_out[rule.reason] = left_out.get(rule.reason, 0) + int(hit.sum())
        keep &= ~hit
    if adapter.duplicates is not None:
        kept = np.flatnonzero(keep)
        first = _first_of_equal_rows(delivered, kept)
        left_out[adapter.duplicates.exact] = len(kept) - len(first)
        return first, {reason: rows for reason, rows in left_out.items() if rows}
    return np.flatnonzero(keep), {reason: rows for reason, rows in left_out.items() if rows}


def _first_of_equal_rows(delivered: DeliveredRows, kept: np.ndarray) -> np.ndarray:
    """Positions of the first of each set of rows that are equal in every column."""
    columns = {name: pa.array(delivered.places(name)[kept]) for name in delivered.columns}
    rows = pa.table({**columns, "": pa.array(kept)})
    return np.sort(rows.group_by(list(columns)).aggregate([("", "min")]).column("_min").to_numpy())


def _column(
    delivered: DeliveredRows, adapter: Adapter, column: Column, rule: ColumnRule | None, kept: np.ndarray
) -> pa.Array:
    kind = column.type.arrow()
    if rule is None:
        return pa.nulls(len(kept), kind)
    if rule.constant is not None:
        return pa.repeat(pa.scalar(rule.constant, kind), len(kept))
    source = rule.source_column
    assert source is not None
    read = _read(delivered.texts(source), adapter, column, rule)
    code = "CODE" if column.type is ColumnType.CODE or rule.codes else "TYPE"
    _refuse_bad(delivered, adapter, source, read.bad, kept, code, _WHAT[code].format(column.type))
    values = read.values.take(pa.array(delivered.places(source)[kept]))
    if values.null_count and not column.nullable:
        row = int(kept[int(pc.index(pc.is_null(values), True).as_py())])
        raise delivered.refuse(
            "REFUSED/TYPE",
            row,
            source,
            f"{column.name} may not be missing",
            "Have the source fill the cell and send the period again.",
        )
    return values


_WHAT = {"CODE": "a code that the adapter doesn't declare", "TYPE": "not a {} as declared"}
_REMEDY = {
    "CODE": "Ask the source what the code means and declare it under `codes` of this column in {}.yaml.",
    "TYPE": "Have the source correct the cell and send the period again, or correct the column in {}.yaml.",
}


def _read(texts: pa.Array, adapter: Adapter, column: Column, rule: ColumnRule) -> cells.Cells:
    texts = cells.normalised(texts, rule.normalise)
    absent = cells.missing(texts, adapter.nulls)
    match column.type:
        case ColumnType.MONEY:
            return cells.money(texts, absent, rule.unit or "CNY")
        case ColumnType.INT | ColumnType.LONG:
            return cells.whole_number(texts, absent, column.type.arrow())
        case ColumnType.FLOAT:
            return cells.number(texts, absent)
        case ColumnType.DATE:
            return cells.days(texts, absent, rule.parse, adapter.sentinels)
        case ColumnType.MONTH:
            return cells.months(texts, absent, rule.parse)
        case ColumnType.CODE | ColumnType.BOOL:
            codes = rule.codes or {code: code for code in column.codes}
            return cells.coded(texts, absent, codes, column.type.arrow())
        case ColumnType.SUBJECT:
            return cells.tokens(texts, absent)
        case _:
            return cells.text(texts, absent)


def _refuse_bad(
    delivered: DeliveredRows,
    adapter: Adapter,
    source: str,
    bad: np.ndarray,
    kept: np.ndarray,
    code: str,
    what: str,
) -> None:
    if not bad.any():
        return
    hits = bad[delivered.places(source)[kept]]
    if hits.any():
        row = int(kept[int(hits.argmax())])
        raise delivered.refuse(f"REFUSED/{code}", row, source, what, _REMEDY[code].format(adapter.adapter))


def _check_range(
    delivered: DeliveredRows, rule: ColumnRule | None, column: Column, values: pa.Array, kept: np.ndarray
) -> None:
    """Amounts and numbers lie within the contract's limits."""
    if rule is None or rule.source_column is None or (column.minimum is None and column.maximum is None):
        return
    scale = 100 if column.type is ColumnType.MONEY else 1
    numbers = fen(values) if scale == 100 else pc.fill_null(values, 0).to_numpy(zero_copy_only=False)
    outside = np.zeros(len(numbers), dtype=bool)
    if column.minimum is not None:
        outside |= numbers < column.minimum * scale
    if column.maximum is not None:
        outside |= numbers > column.maximum * scale
    outside &= values.is_valid().to_numpy(zero_copy_only=False)
    if outside.any():
        low, high = ("…" if limit is None else f"{limit:,.12g}" for limit in (column.minimum, column.maximum))
        raise delivered.refuse(
            "REFUSED/RANGE",
            int(kept[int(outside.argmax())]),
            rule.source_column,
            f"outside the contract's range of {column.name}, {low} to {high} {column.unit}".rstrip(),
            "Have the source check the value and its unit; if the range is wrong, raise it in the contract.",
        )


def _check_keys(
    delivered: DeliveredRows,
    schema: TableSchema,
    columns: dict[str, pa.Array],
    codes: pa.Array,
    kept: np.ndarray,
) -> None:
    """Each business key stands once in the delivery, where the contract says so."""
    key = [name for name in schema.business_key if name != "period"]
    if not key or not schema.unique_per_delivery or not len(kept):
        return
    rows = pa.table({name: codes if name == "subject_id" else columns[name] for name in key})
    rows = rows.append_column("row", pa.array(kept.astype(np.int64)))
    groups = rows.group_by(key).aggregate([("row", "count"), ("row", "max")])
    twice = groups.filter(pc.greater(groups.column("row_count"), 1))
    if twice.num_rows:
        raise Refusal(
            "REFUSED/KEY",
            f"{twice.num_rows} business keys ({', '.join(key)}) stand more than once with different content.",
            file=delivered.file,
            line=int(pc.min(twice.column("row_max")).as_py()) + FIRST_LINE,
            remedy="Have the source send one row a key, and corrections as a revision of their own.",
        )


def _check_period(
    delivered: DeliveredRows, rule: ColumnRule | None, values: pa.Array, kept: np.ndarray, period: Month
) -> None:
    """Every row belongs to the manifest's month; an adapter without a period column takes the manifest's
    word.
    """
    if rule is None:
        return
    other = pc.not_equal(values, str(period)).to_numpy(zero_copy_only=False).astype(bool)
    if not other.any():
        return
    remedy = "Have the source split the file by month, or correct the period in the manifest."
    if rule.source_column is None:
        raise Refusal(
            "REFUSED/PERIOD",
            f"the feed is of another month than {period}.",
            file=delivered.file,
            remedy=remedy,
        )
    row = int(kept[int(other.argmax())])
    raise delivered.refuse(
        "REFUSED/PERIOD", row, rule.source_column, f"a row of another month than {period}", remedy
    )


def _subject_codes(delivered: DeliveredRows, adapter: Adapter, kept: np.ndarray) -> pa.Array:
    """The normalised key of each row: a pseudonym, or the source's code where the adapter pseudonymises."""
    key = adapter.key
    texts = cells.normalised(delivered.texts(key.source_column), key.normalise)
    absent = cells.missing(texts, adapter.nulls)
    read = cells.text(texts, absent) if key.pseudonymise else cells.tokens(texts, absent)
    hits = (read.bad | absent)[delivered.places(key.source_column)[kept]]
    if hits.any():
        raise delivered.refuse(
            "REFUSED/TYPE",
            int(kept[int(hits.argmax())]),
            key.source_column,
            "no code of a subject"
            if key.pseudonymise
            else "not a pseudonym such as k1: and 40 hexadecimal digits",
            "Have the source send a pseudonym in every row"
            + (
                "."
                if key.pseudonymise
                else f", or let {adapter.adapter}.yaml pseudonymise its codes on entry."
            ),
        )
    return read.values.take(pa.array(delivered.places(key.source_column)[kept]))


def _encoded(column: pa.ChunkedArray) -> pa.DictionaryArray:
    if column.num_chunks == 0:
        return pa.array([], pa.string()).dictionary_encode()
    whole = column.combine_chunks()
    return whole.dictionary_encode() if isinstance(whole, pa.Array) else whole.chunk(0).dictionary_encode()
