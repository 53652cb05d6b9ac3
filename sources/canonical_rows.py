"""From read columns to canonical rows: judging them, spreading values over rows, deriving, summing, and the business key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.table_schema import Column
from sources.adapter import Adapter
from sources.adapter_lint import derivation_order
from sources.column_reader import ColumnReader, ReadColumn, outside
from sources.column_rule import Reading
from sources.derived_columns import derived
from sources.grain import group_numbers, repeated, taken
from sources.hold_reasons import Reason
from sources.holding import Holding
from sources.row_checks import inconsistent


@dataclass(frozen=True)
class Shape:
    """How the columns of one kind of canonical row are read; an adapter without `unpivot` has one. `own`: those whose source
    columns are this shape's.
    """

    rules: Mapping[str, Reading]
    own: tuple[str, ...] = ()


def variants(adapter: Adapter) -> list[Shape]:
    """The rules of each canonical row that a source row is told as."""
    base: dict[str, Reading] = {**adapter.working, **adapter.columns}
    if adapter.unpivot is None:
        return [Shape(base)]
    shapes: list[Shape] = []
    for row in adapter.unpivot.rows:
        constants = {name: Reading(constant=value) for name, value in row.constants.items()}
        sources = {
            name: adapter.columns[name].model_copy(update={"source_column": source})
            for name, source in row.source_columns.items()
        }
        shapes.append(Shape({**base, **constants, **sources}, tuple(sources)))
    return shapes


@dataclass
class Rows:
    """Canonical rows in the making: `columns` and `codes` by row, `source` the position of the delivered row of each."""

    columns: dict[str, pa.Array]
    codes: pa.Array | None
    source: np.ndarray
    deleted: np.ndarray | None
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.source)

    @property
    def withdrawing(self) -> int:
        """How many of them withdraw their key."""
        return 0 if self.deleted is None else int(self.deleted.sum())

    def keep(self, hit: np.ndarray) -> None:
        """Leave only the hit rows."""
        if hit.all():
            return
        where = pa.array(np.flatnonzero(hit))
        self.columns = {name: column.take(where) for name, column in self.columns.items()}
        self.codes = None if self.codes is None else self.codes.take(where)
        self.source = self.source[hit]
        self.deleted = None if self.deleted is None else self.deleted[hit]

    def table(self) -> pa.Table:
        """The contract's columns without subject and period, then `row_no`."""
        numbers = self.source + 1
        if self.deleted is not None:
            numbers = np.where(self.deleted, -numbers, numbers)
        columns = {name: self.columns[name] for name in self.names if name != "period"}
        return pa.table({**columns, "row_no": pa.array(numbers.astype(np.int32))})


class CanonicalRows:
    """Makes the rows of one delivery. `deleted`: which delivered rows withdraw their key."""

    def __init__(
        self,
        reader: ColumnReader,
        holding: Holding,
        envelope: Mapping[str, object],
        deleted: np.ndarray | None,
    ) -> None:
        self._reader = reader
        self._holding = holding
        self._envelope = envelope
        self._deleted = deleted
        self._adapter = reader.adapter
        self._schema = reader.schema
        self._key = [name for name in self._schema.business_key if name != "subject_id"]
        contract = [column for column in self._schema.columns if column.name != "subject_id"]
        working = [Column(name, told.type, nullable=True) for name, told in self._adapter.working.items()]
        self._columns = {column.name: column for column in [*contract, *working]}
        self._names = [column.name for column in contract]

    def told_by(self, shape: Shape, rows: np.ndarray) -> np.ndarray:
        """Which of the rows say anything in this shape; always all where nothing is unpivoted."""
        unpivot = self._adapter.unpivot
        if unpivot is None or not unpivot.skip_empty:
            return np.ones(len(rows), dtype=bool)
        says = np.zeros(len(rows), dtype=bool)
        for name in shape.own:
            rule = shape.rules[name]
            assert rule.source_column is not None
            says |= ~self._reader.absent(rule.source_column, rule)[rows]
        return says if self._deleted is None else says | self._deleted[rows]

    def judge(self, shape: Shape, rows: np.ndarray) -> None:
        """Hold or refuse rows for what single cells say; a row that withdraws its key is judged by its key alone."""
        if self._adapter.key is not None:
            key = self._reader.key
            self._judge_cells(key, rows, None, None)
        named: dict[str, np.ndarray] = {}
        for name, column in self._columns.items():
            rule = shape.rules.get(name)
            if rule is None or rule.source_column is None:
                continue
            read = self._reader.read(column, rule)
            mine = rows
            if self._deleted is not None and name not in self._schema.business_key:
                mine = mine[~self._deleted[mine]]
            for source, texts in rule.where.items():
                hit = self._reader.delivered.holds(source, texts)
                named[source] = named.get(source, np.zeros(len(hit), dtype=bool)) | hit
                mine = mine[hit[mine]]
            self._judge_cells(read, mine, rule, column)
        for source, hit in named.items():
            # A row whose name nothing takes would be lost without a word.
            faults = np.where(hit[rows], Reason.GOOD, Reason.UNKNOWN_CODE).astype(np.uint8)
            self._holding.judge(rows, faults, source)

    def _judge_cells(
        self, read: ReadColumn, rows: np.ndarray, rule: Reading | None, column: Column | None
    ) -> None:
        if read.faults is not None:
            faults = read.faults[self._at(read.source, rows)]
            self._holding.judge(rows, faults, read.source, rule, column)

    def keys(self, rows: np.ndarray) -> pa.Table:
        """Business keys of delivered rows, missing where they can't be read; of several shapes the first's."""
        made = self._spread(variants(self._adapter)[0], rows, explode=False)
        return self._key_table(made)

    def made(self, shapes: Sequence[Shape], rows: Sequence[np.ndarray]) -> Rows:
        """The rows of all shapes, without the held ones, at the contract's grain, with keys that stand once."""
        grain = self._adapter.grain
        if grain is not None and grain.take:
            rows = [self._hold_groups(shapes[0], rows[0])]
        kept = [one[~self._holding.held(one)] if self._holding.any else one for one in rows]
        pieces = [self._spread(shape, one) for shape, one in zip(shapes, kept, strict=True)]
        made = pieces[0] if len(pieces) == 1 else _joined(pieces)
        self._judge_rows(made)
        if grain is not None and grain.take:
            if self._holding.any:
                self._hold_groups(shapes[0], rows[0])
                made.keep(~self._holding.held(made.source))
            made = self._summed(made)
        self._judge_keys(made)
        if self._holding.any:
            made.keep(~self._holding.held(made.source))
        return made

    def _spread(self, shape: Shape, rows: np.ndarray, explode: bool = True) -> Rows:
        """Values of the rows (positions): read ones, constants, then derived ones."""
        source, several = self._exploded(shape, rows) if explode else (rows, None)
        deleted = None if self._deleted is None else self._deleted[source]
        columns: dict[str, pa.Array] = {}
        for name, column in self._columns.items():
            rule, kind = shape.rules.get(name), column.type.arrow()
            if rule is None or rule.derive is not None:
                columns[name] = pa.nulls(len(source), kind)
            elif rule.constant is not None:
                columns[name] = pa.repeat(pa.scalar(rule.constant, kind), len(source))
            else:
                columns[name] = self._values(column, rule, source, several.get(name) if several else None)
        period = shape.rules.get("period")
        if period is None:
            columns["period"] = pa.repeat(pa.scalar(self._envelope["period"], pa.string()), len(source))
        wanted = {
            name: rule.derive.arguments for name, rule in shape.rules.items() if rule.derive is not None
        }
        for name in derivation_order(wanted) or ():
            derive, kind = shape.rules[name].derive, self._columns[name].type.arrow()
            assert derive is not None
            columns[name] = derived(derive, columns, kind, len(source), self._envelope)
        if deleted is not None and deleted.any():
            for name in columns:
                if name not in self._schema.business_key:
                    columns[name] = pc.if_else(
                        pa.array(deleted), pa.scalar(None, columns[name].type), columns[name]
                    )
        codes = None
        if self._adapter.key is not None:
            key = self._reader.key
            codes = key.values.take(pa.array(self._at(key.source, source)))
        return Rows(columns, codes, source, deleted, self._names)

    def _values(
        self, column: Column, rule: Reading, source: np.ndarray, places: np.ndarray | None
    ) -> pa.Array:
        read = self._reader.read(column, rule)
        values = read.values.take(pa.array(self._at(read.source, source) if places is None else places))
        for other, texts in rule.where.items():
            hit = self._reader.delivered.holds(other, texts)[source]
            values = pc.if_else(pa.array(hit), values, pa.scalar(None, values.type))
        return values

    def _exploded(self, shape: Shape, rows: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray] | None]:
        """Rows told as several because one of their cells holds several codes, and the places of those codes' values."""
        for name, rule in shape.rules.items():
            if rule.split is None or rule.split.rule != "explode":
                continue
            read = self._reader.read(self._columns[name], rule)
            places = self._at(read.source, rows)
            if not read.parts or not np.isin(places, list(read.parts)).any():
                return rows, None
            parts = [
                read.parts.get(place, [place])
                for place in range(len(self._reader.delivered.texts(read.source)))
            ]
            counts = np.array([len(part) for part in parts])[places]
            starts = np.cumsum([0, *(len(part) for part in parts)])[:-1]
            flat = np.concatenate([np.asarray(part, dtype=np.int64) for part in parts])
            within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
            return np.repeat(rows, counts), {name: flat[np.repeat(starts[places], counts) + within]}
        return rows, None

    def _judge_rows(self, made: Rows) -> None:
        """What only whole rows show: derived values that are missing or out of range, and values that don't fit."""
        for name, rule in {**self._adapter.working, **self._adapter.columns}.items():
            column = self._columns[name]
            if rule.derive is None or name not in self._names:
                continue
            faults = np.zeros(len(made), dtype=np.uint8)
            faults[outside(column, made.columns[name])] = Reason.OUT_OF_RANGE
            if not column.nullable:
                faults[made.columns[name].is_null().to_numpy(zero_copy_only=False)] = Reason.MISSING
            self._judge_made(made, faults, name, column)
            if name == "period":
                other = pc.not_equal(made.columns[name], str(self._envelope["period"]))
                hit = pc.fill_null(other, False).to_numpy(zero_copy_only=False)
                self._judge_made(made, np.where(hit, Reason.OTHER_PERIOD, Reason.GOOD), name, column)
        for check in self._adapter.checks:
            broken = inconsistent(check, made.columns)
            self._judge_made(made, np.where(broken, Reason.INCONSISTENT, Reason.GOOD), check.columns[0], None)

    def _judge_made(self, made: Rows, faults: np.ndarray, name: str, column: Column | None) -> None:
        if made.deleted is not None:
            faults = np.where(made.deleted & (name not in self._schema.business_key), Reason.GOOD, faults)
        if faults.any():
            self._holding.judge(made.source, faults.astype(np.uint8), self._source_of(name), None, column)
            made.keep(~self._holding.held(made.source))

    def _source_of(self, name: str) -> str:
        """The source column that a column comes from, by way of the first it is derived from; else its own name."""
        rules: Mapping[str, Reading] = {**self._adapter.working, **self._adapter.columns}
        rule = rules.get(name)
        while rule is not None and rule.derive is not None and rule.derive.arguments:
            rule = rules.get(rule.derive.arguments[0])
        return rule.source_column if rule is not None and rule.source_column is not None else name

    # -- business keys and grain -----------------------------------------------------------------------------------

    def _key_table(self, made: Rows) -> pa.Table:
        columns = {name: made.columns[name] for name in self._key if name != "period"}
        if "subject_id" in self._schema.business_key and made.codes is not None:
            columns["subject_id"] = made.codes
        return pa.table(columns) if columns else pa.table({"": pa.array(np.zeros(len(made), dtype=np.int8))})

    def _hold_groups(self, shape: Shape, rows: np.ndarray) -> np.ndarray:
        """Hold rows that would be summed with a held one: a sum without it would be wrong. Returns the rows."""
        held = self._holding.held(rows)
        if held.any():
            keys = self._key_table(self._spread(shape, rows, explode=False))
            known = np.logical_and.reduce(
                [column.is_valid().to_numpy().astype(bool) for column in keys.columns]
            )
            groups, count = group_numbers(keys)
            spoilt = np.zeros(count, dtype=bool)
            spoilt[groups[held & known]] = True
            with_it = known & ~held & spoilt[groups]
            faults = np.where(with_it, Reason.HELD_WITH_GROUP, Reason.GOOD).astype(np.uint8)
            self._holding.judge(
                rows, faults, self._adapter.key.source_column if self._adapter.key else self._key[0]
            )
        return rows

    def _summed(self, made: Rows) -> Rows:
        """One row for each business key."""
        grain = self._adapter.grain
        assert grain is not None
        keys = self._key_table(made)
        groups, count = group_numbers(keys)
        order = np.arange(len(made))
        if grain.order_by is not None:
            read = self._reader.moments(grain.order_by.source_column, grain.order_by.parse)
            moments = read.values.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
            order = np.argsort(moments[self._at(read.source, made.source)], kind="stable")
        columns, ambiguous = taken(made.columns, grain.take, groups, count, order)
        faults = np.where(ambiguous[groups], Reason.DUPLICATE_KEY, Reason.GOOD).astype(np.uint8)
        for name in grain.take:
            column = self._columns[name]
            if name in self._names and not column.nullable:
                empty = columns[name].is_null().to_numpy(zero_copy_only=False)
                faults[(faults == Reason.GOOD) & empty[groups]] = Reason.MISSING
        last = np.zeros(count, dtype=np.int64)
        last[groups] = np.arange(len(made))
        if faults.any():
            self._holding.judge(made.source, faults, self._source_of(next(iter(grain.take))))
        where = pa.array(last)
        rest = {name: column.take(where) for name, column in made.columns.items() if name not in grain.take}
        codes = None if made.codes is None else made.codes.take(where)
        return Rows({**rest, **columns}, codes, made.source[last], None, self._names)

    def _judge_keys(self, made: Rows) -> None:
        """Each business key stands once in the delivery, where the contract says so."""
        if not self._key_columns_there() or not self._schema.unique_per_delivery or not len(made):
            return
        keys = self._key_table(made)
        places, different = self._key_places(made, keys)
        several = repeated(places, different)
        if not several.any():
            return
        faults = np.where(several, Reason.DUPLICATE_KEY, Reason.GOOD).astype(np.uint8)
        if "duplicate_key" not in self._adapter.quarantine.hold:
            # The place told is that of the first repetition, not of the row that it repeats.
            numbers, _ = group_numbers(keys)
            _, first = np.unique(numbers, return_index=True)
            faults[first] = Reason.GOOD
        names = keys.column_names
        self._holding.judge(
            made.source, faults, self._source_of(names[0] if names[0] in self._columns else "")
        )

    def _key_places(self, made: Rows, keys: pa.Table) -> tuple[list[np.ndarray], list[int]]:
        """A number for each row's value in each column of the key, and how many different ones there are."""
        rules: Mapping[str, Reading] = {**self._adapter.working, **self._adapter.columns}
        told = []
        for name, column in zip(keys.column_names, keys.columns, strict=True):
            rule = rules.get(name)
            read = None
            if self._adapter.unpivot is None and not any(one.split for one in rules.values()):
                if name == "subject_id":
                    read = self._reader.key
                elif rule is not None and rule.source_column is not None:
                    read = self._reader.read(self._columns[name], rule)
            if read is not None:
                numbers, different = read.numbered(self._reader.delivered.texts(read.source))
                told.append((numbers[self._at(read.source, made.source)], different))
            else:
                encoded = pc.dictionary_encode(column).combine_chunks()
                encoded = encoded.chunk(0) if isinstance(encoded, pa.ChunkedArray) else encoded
                numbers = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
                told.append((numbers, len(encoded.dictionary)))
        return [numbers for numbers, _ in told], [different for _, different in told]

    def _key_columns_there(self) -> bool:
        return any(name != "period" for name in self._schema.business_key)

    def _at(self, source: str, rows: np.ndarray) -> np.ndarray:
        """Places among the different texts of a column; the whole column isn't copied where all rows are asked for."""
        places = self._reader.delivered.places(source)
        return places if len(rows) == len(places) and self._whole(rows) else places[rows]

    @staticmethod
    def _whole(rows: np.ndarray) -> bool:
        return bool(len(rows) == 0 or (rows[0] == 0 and rows[-1] == len(rows) - 1))


def _joined(pieces: Sequence[Rows]) -> Rows:
    columns = {
        name: pa.concat_arrays([piece.columns[name] for piece in pieces]) for name in pieces[0].columns
    }
    codes = None
    if pieces[0].codes is not None:
        codes = pa.concat_arrays([piece.codes for piece in pieces])
    deleted = None
    if pieces[0].deleted is not None:
        deleted = np.concatenate([piece.deleted for piece in pieces if piece.deleted is not None])
    return Rows(columns, codes, np.concatenate([piece.source for piece in pieces]), deleted, pieces[0].names)
