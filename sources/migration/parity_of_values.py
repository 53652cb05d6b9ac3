"""PC04 amounts, PC05 units, PC06 codes, PC07 dates: does the same record say the same on both sides?

Distributions can't tell: with every key joined wrongly the population stability index is 0. So cells of the same record are
compared, pair by pair; a cell that is missing on either side is PC08's business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.money import MONEY, fen
from core.months import CHINA_AHEAD_US
from core.table_schema import ColumnType
from sources.migration.finding import ParityFinding, Verdict, judged, not_row_verifiable
from sources.migration.sides import TableSides
from sources.migration.tolerances import Tolerances

_NUMBERS = (ColumnType.MONEY, ColumnType.INT, ColumnType.LONG, ColumnType.FLOAT)
#: Counts have no unit that could be ten thousand times another.
_WITH_UNIT = (ColumnType.MONEY, ColumnType.LONG, ColumnType.FLOAT)
_CODES = (ColumnType.CODE, ColumnType.BOOL)
_DATES = (ColumnType.DATE, ColumnType.MONTH, ColumnType.TIME)

#: Powers of ten that a forgotten unit leaves behind (分/百, 千, 万元), and how near the ratio must come.
UNIT_POWERS = (2, 3, 4)
UNIT_WIDTH = 0.02


@dataclass(frozen=True)
class UnitProbe:
    """Share of pairs whose ratio looks like a forgotten unit, and the power of ten seen most (0: none)."""

    share: float
    power: int
    pairs: int


def matched_equal(old: np.ndarray, new: np.ndarray, absolute: float = 0.01, relative: float = 0.005) -> float:
    """Share of pairs with |new - old| ≤ max(absolute, relative x |old|), arrays of shape (pairs,); 1.0 of no pairs.

    Finds 1 % of rows left in 万元 (0.990) where their population stability index is 0.0008, and 5 % of keys joined wrongly
    (0.951) where it is 0.
    """
    if not len(old):
        return 1.0
    # The slack keeps a difference of exactly 0.01 yuan inside, whatever its binary form.
    allowed = np.maximum(absolute, relative * np.abs(old)) * (1 + 1e-9) + 1e-9
    return float((np.abs(new - old) <= allowed).mean())


def unit_probe(old: np.ndarray, new: np.ndarray) -> UnitProbe:
    """Pairs with |log10(new / old)| within UNIT_WIDTH of a power in UNIT_POWERS; pairs with a zero or unlike signs can't tell."""
    usable = (old * new) > 0
    if not usable.any():
        return UnitProbe(0.0, 0, 0)
    logs = np.log10(new[usable] / old[usable])
    hits = {
        sign * power: int((np.abs(logs - sign * power) <= UNIT_WIDTH).sum())
        for power in UNIT_POWERS
        for sign in (1, -1)
    }
    most = max(hits, key=lambda power: hits[power])
    return UnitProbe(sum(hits.values()) / len(logs), most if hits[most] else 0, len(logs))


def numbers_equal(sides: TableSides, limits: Tolerances) -> list[ParityFinding]:
    """PC04 per numeric column; in total (ratio of sums) where rows can't be matched."""

    def compare(name: str) -> ParityFinding:
        old, new = _numbers(*sides.paired(name))
        share = matched_equal(old, new, limits.pc04_absolute, limits.pc04_relative)
        share = share if len(old) or not _told(sides, name) else 0.0
        return judged(
            "PC04", sides.table.name, "matched_equal", share, low=limits.pc04_equal, column=name,
            counts={"pairs": len(old), "equal": round(share * len(old))},
        )  # fmt: skip

    def in_total(name: str) -> ParityFinding:
        old, new = (float(_values(side.rows.column(name)).sum()) for side in (sides.old, sides.new))
        return not_row_verifiable(
            "PC04", sides.table.name, "ratio_of_sums", new / old if old else None, column=name
        )

    return _each(sides, _NUMBERS, compare, in_total)


def units_kept(sides: TableSides, limits: Tolerances) -> list[ParityFinding]:
    """PC05 per numeric column with a unit; ratio of medians where rows can't be matched."""

    def compare(name: str) -> ParityFinding:
        probe = unit_probe(*_numbers(*sides.paired(name)))
        counts = {"pairs": probe.pairs, "power_of_ten": probe.power, "rows": round(probe.share * probe.pairs)}
        return judged(
            "PC05",
            sides.table.name,
            "unit_ratio_share",
            probe.share,
            high=limits.pc05_share,
            column=name,
            counts=counts,
        )

    def in_total(name: str) -> ParityFinding:
        old, new = (_values(side.rows.column(name)) for side in (sides.old, sides.new))
        ratio = float(np.median(new) / np.median(old)) if len(old) and len(new) and np.median(old) else None
        return not_row_verifiable("PC05", sides.table.name, "ratio_of_medians", ratio, column=name)

    return _each(sides, _WITH_UNIT, compare, in_total)


def codes_determined(sides: TableSides, limits: Tolerances) -> list[ParityFinding]:
    """PC06 per code column: each old code leads to one new code (the share of its commonest, the worst code of the column), and
    no code is lost or held back as unmapped. A code that leads to *another* one is told beside it, as a warning."""
    findings = []

    def compare(name: str) -> ParityFinding:
        table = code_table(*sides.paired(name))
        share = min((top / all_ for top, all_, _, _ in table.values()), default=1.0)
        counts = {"codes": len(table), "pairs": sum(all_ for _, all_, _, _ in table.values())}
        unmapped = sum(lost for _, _, lost, _ in table.values()) + sides.new.unmapped.get(name, 0)
        findings.append(
            judged(
                "PC06",
                sides.table.name,
                "unmapped_rows",
                float(unmapped),
                high=0.0,
                column=name,
                counts=counts,
            )
        )
        renamed = sum(other for _, _, _, other in table.values())
        if renamed:
            findings.append(
                ParityFinding(
                    "PC06", sides.table.name, "codes_renamed", Verdict.WARN, float(renamed), column=name
                )
            )
        return judged(
            "PC06",
            sides.table.name,
            "determinism",
            share,
            low=limits.pc06_determinism,
            column=name,
            counts=counts,
        )

    def in_total(name: str) -> ParityFinding:
        shares = [_shares(side.rows.column(name)) for side in (sides.old, sides.new)]
        codes = set(shares[0]) | set(shares[1])
        gap = max((abs(shares[0].get(code, 0.0) - shares[1].get(code, 0.0)) for code in codes), default=0.0)
        return not_row_verifiable("PC06", sides.table.name, "greatest_share_difference", gap, column=name)

    found = _each(sides, _CODES, compare, in_total)
    return found + findings


def code_table(old: pa.Array, new: pa.Array) -> dict[str, tuple[int, int, int, bool]]:
    """By old code: rows of its commonest new code, rows with any new code, rows with none, and whether the commonest is
    another code than the old one."""
    told = pa.table({"old": old.cast(pa.string()), "new": new.cast(pa.string())}).filter(old.is_valid())
    sizes = told.group_by(["old", "new"]).aggregate([([], "count_all")]).to_pylist()
    found: dict[str, tuple[int, int, int, bool]] = {}
    for code in sorted({row["old"] for row in sizes}):
        counts = {row["new"]: row["count_all"] for row in sizes if row["old"] == code}
        lost = counts.pop(None, 0)
        if not counts:
            found[code] = (0, 0, lost, False)
            continue
        top = max(sorted(counts), key=lambda new_code: counts[new_code])
        found[code] = (counts[top], sum(counts.values()), lost, top != code)
    return {code: row for code, row in found.items() if row[1] or row[2]}


def dates_kept(sides: TableSides, limits: Tolerances) -> list[ParityFinding]:
    """PC07 per date column: share of pairs at most a day apart, and share of pairs that are apart by one and the same number
    of days (a constant offset, even of one day, is no noise)."""
    findings = []

    def compare(name: str) -> ParityFinding:
        shifts = day_shifts(*sides.paired(name))
        near = float((np.abs(shifts) <= 1).mean()) if len(shifts) else (0.0 if _told(sides, name) else 1.0)
        offset, share = commonest_shift(shifts)
        findings.append(
            judged(
                "PC07", sides.table.name, "constant_offset_share", share, high=limits.pc07_offset_share, column=name,
                counts={"pairs": len(shifts), "offset_days": offset},
            )
        )  # fmt: skip
        return judged(
            "PC07", sides.table.name, "within_a_day", near, low=limits.pc07_within_a_day, column=name,
            counts={"pairs": len(shifts)},
        )  # fmt: skip

    def in_total(name: str) -> ParityFinding:
        old, new = (_days(side.rows.column(name).combine_chunks()) for side in (sides.old, sides.new))
        shift = float(np.median(new) - np.median(old)) if len(old) and len(new) else None
        return not_row_verifiable("PC07", sides.table.name, "median_shift_days", shift, column=name)

    found = _each(sides, _DATES, compare, in_total)
    return found + findings


def day_shifts(old: pa.Array, new: pa.Array) -> np.ndarray:
    """Days from old to new of pairs that have both, int64."""
    both = pc.and_(old.is_valid(), new.is_valid())
    return _days(new.filter(both)) - _days(old.filter(both))


def commonest_shift(shifts: np.ndarray) -> tuple[int, float]:
    """The commonest shift other than 0, and the share of all pairs that have it; (0, 0.0) where there is none."""
    moved = shifts[shifts != 0]
    if not len(moved):
        return 0, 0.0
    values, counts = np.unique(moved, return_counts=True)
    return int(values[counts.argmax()]), float(counts.max() / len(shifts))


def _each(
    sides: TableSides,
    kinds: tuple[ColumnType, ...],
    compare: Callable[[str], ParityFinding],
    in_total: Callable[[str], ParityFinding],
) -> list[ParityFinding]:
    """One finding per column of these types: row by row where rows can be matched, else in total."""
    return [(compare if sides.row_verifiable else in_total)(name) for name in sides.compared(*kinds)]


def _told(sides: TableSides, name: str) -> bool:
    """Whether the old side says anything in this column: no pair at all is then no parity."""
    column = sides.old.rows.column(name)
    return column.null_count < len(column) and not len(sides.pairs)


def _numbers(old: pa.Array, new: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Pairs that have both, float64."""
    both = pc.and_(old.is_valid(), new.is_valid())
    return _values(old.filter(both)), _values(new.filter(both))


def _values(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Cells that are there, float64; amounts in yuan."""
    there = column.drop_null()
    if there.type == MONEY:
        return np.asarray(fen(there) / 100)
    return np.asarray(there.to_numpy(zero_copy_only=False), dtype=np.float64)


def _days(column: pa.Array) -> np.ndarray:
    """Days since 1970 of cells that are there, int64; a month is its first day, a moment its day in China."""
    there = column.drop_null()
    if pa.types.is_string(there.type):
        return (
            there.to_numpy(zero_copy_only=False)
            .astype("datetime64[M]")
            .astype("datetime64[D]")
            .astype(np.int64)
        )
    if pa.types.is_timestamp(there.type):
        return (there.cast(pa.int64()).to_numpy() + CHINA_AHEAD_US) // 86_400_000_000
    return there.cast(pa.int32()).to_numpy().astype(np.int64)


def _shares(column: pa.ChunkedArray) -> dict[str, float]:
    told = column.drop_null().cast(pa.string()).value_counts()
    counts = {row["values"].as_py(): row["counts"].as_py() for row in told}
    return {code: rows / sum(counts.values()) for code, rows in counts.items()}
