"""How identifiable the rows of a table still are: k-anonymity, l-diversity, t-closeness, small classes, in DuckDB.

Rows with the same quasi-identifiers are a class. k: the smallest class. l (distinct, and entropy exp(H)): how many different
sensitive values a class holds. t: the largest distance of a class's distribution of the sensitive value from that of all rows
(total variation, half the sum of absolute differences). alpha: the largest share that one sensitive value has in a class.
Re-identification risk of a row: 1 / size of its class. Sweeney 2002; Machanavajjhala et al. 2007; Li et al. 2007; grades after
GB/T 42460-2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from core.errors import GateRefused, GsceneError

Release = Literal["internal", "marketing", "public"]

#: Smallest class that may leave: inside the bank, to marketers, to the public.
LEAST_K: dict[str, int] = {"internal": 5, "marketing": 10, "public": 10}

#: Class sizes are counted up to these borders.
BORDERS = (1, 2, 4, 9, 49)


@dataclass(frozen=True)
class DeidReport:
    """Counts and ratios only. `l_distinct`, `l_entropy`, `t`, `alpha` are None without a sensitive column. `sizes`: rows by the
    size of their class, from "1" (unique) to "50+". `grade` after GB/T 42460-2023: 1 direct identifiers are left, 2 unique rows
    are left, 3 every class has two rows or more, 4 aggregates (every class has ten or more).
    """

    rows: int
    classes: int
    k: int
    under_5: int
    under_10: int
    unique: int
    risk_mean: float
    risk_max: float
    l_distinct: int | None
    l_entropy: float | None
    t: float | None
    alpha: float | None
    sizes: dict[str, int]
    direct: tuple[str, ...]

    @property
    def grade(self) -> int:
        """GB/T 42460-2023, 1 to 4."""
        if self.direct:
            return 1
        return 2 if self.unique else 4 if self.k >= 10 else 3


def deid_report(
    table: pa.Table, quasi: Sequence[str], sensitive: str | None = None, direct: Sequence[str] = ()
) -> DeidReport:
    """Report on the rows of `table`; `direct`: columns in which identifiers were found. GsceneError for a missing column."""
    import duckdb

    wanted = [*quasi, *([sensitive] if sensitive else [])]
    missing = [name for name in wanted if name not in table.column_names]
    if missing or not quasi:
        raise GsceneError(
            f"there is no column {missing[0]}." if missing else "no quasi-identifier is named.",
            f"Choose from {', '.join(table.column_names)}.",
        )
    if not table.num_rows:
        raise GsceneError("the table has no rows.", "Choose a month that was delivered.")
    # Columns are renamed before they reach SQL: no name of a file is ever part of a statement.
    names = [f"q{place}" for place in range(len(quasi))] + (["s"] if sensitive else [])
    rows = table.select(list(dict.fromkeys(wanted))).select(wanted).rename_columns(names)
    connection = duckdb.connect(config={"threads": 2})
    connection.register("given", rows)
    keys = ", ".join(names[: len(quasi)])
    classes = connection.sql(f"SELECT count(*) AS n FROM given GROUP BY {keys}").to_arrow_table()  # noqa: S608
    connection.register("classes", classes)
    bands = ", ".join(
        f"coalesce(sum(n) FILTER (n > {low} AND n <= {high}), 0)"
        for low, high in zip((0, *BORDERS), (*BORDERS, 2**62), strict=True)
    )
    counted = connection.execute(
        "SELECT sum(n), count(*), min(n), coalesce(sum(n) FILTER (n < 5), 0), coalesce(sum(n) FILTER (n < 10), 0), "  # noqa: S608
        f"coalesce(sum(n) FILTER (n = 1), 0), {bands} FROM classes"
    ).fetchone()
    total, number, k, under_5, under_10, unique, *sizes = (int(count) for count in counted or ())
    l_distinct, l_entropy, t, alpha = _spread(connection, keys) if sensitive else (None, None, None, None)
    return DeidReport(
        rows=total,
        classes=number,
        k=k,
        under_5=under_5,
        under_10=under_10,
        unique=unique,
        risk_mean=number / total,
        risk_max=1.0 / k,
        l_distinct=l_distinct,
        l_entropy=l_entropy,
        t=t,
        alpha=alpha,
        sizes=dict(zip(_LABELS, sizes, strict=True)),
        direct=tuple(direct),
    )


_LABELS = ("1", "2", "3-4", "5-9", "10-49", "50+")


def _spread(connection: Any, keys: str) -> tuple[int, float, float, float]:
    """l distinct, l entropy, t and alpha over all classes; a missing sensitive value is a value."""
    found = connection.execute(
        f"""
        WITH cells AS (SELECT {keys}, coalesce(CAST(s AS VARCHAR), '\\N') AS v, count(*) AS c FROM given GROUP BY ALL),
        sized AS (SELECT *, sum(c) OVER (PARTITION BY {keys}) AS n FROM cells),
        overall AS (SELECT v, sum(c)::DOUBLE / (SELECT count(*) FROM given) AS p FROM cells GROUP BY v),
        each AS (
            SELECT {keys}, count(*) AS l, exp(-sum(c / n * ln(c / n))) AS entropy, max(c / n) AS alpha,
                   (sum(abs(c / n - p)) + 1 - sum(p)) / 2 AS t
            FROM sized JOIN overall USING (v) GROUP BY {keys}
        )
        SELECT min(l), min(entropy), max(t), max(alpha) FROM each
        """  # noqa: S608
    ).fetchone()
    return int(found[0]), float(found[1]), float(found[2]), float(found[3])


def require_release(report: DeidReport, release: Release) -> None:
    """GateRefused where the table may not be released so far."""
    if report.direct:
        raise GateRefused(
            f"direct identifiers stand in {', '.join(report.direct)} (grade 1).",
            "Pseudonymise them first: gscene pseudonymise.",
        )
    least = LEAST_K[release]
    if report.k < least:
        below = report.under_5 if least == 5 else report.under_10
        raise GateRefused(
            f"{below:,} rows lie in classes of fewer than {least} (k = {report.k}); a {release} release needs {least}.",
            "Generalise a quasi-identifier (district to city, industry to section, day to month) or leave small classes out.",
        )


def generalised(table: pa.Table, column: str, digits: int) -> pa.Table:
    """The first `digits` characters of a code column: 4 digits of a region are its city, 1 of an industry its section."""
    import pyarrow.compute as pc

    texts = pc.utf8_slice_codeunits(table.column(column).cast(pa.string()), 0, digits)
    return table.set_column(table.schema.get_field_index(column), column, texts)
