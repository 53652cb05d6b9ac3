"""k-anonymity, l-diversity, t-closeness and alpha of a table, each one aggregate in DuckDB.

A *class* is a set of people who are equal in all quasi-identifiers.

| measure | of a class | of the table | source |
|---|---|---|---|
| k | people in it | the least | Sweeney 2002 |
| l, distinct | different sensitive values | the least | Machanavajjhala 2007 |
| l, entropy | exp of the entropy of its sensitive values | the least | the same |
| alpha | share of its commonest sensitive value | the greatest | Wong 2006 |
| t | total variation between its sensitive values and the whole table's | the greatest | Li 2007 |
| risk | 1 / people in it: chance to pick the right one | the greatest, and the average over people | GB/T 42460-2023, annex D |
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa

from sources.deidentification.people import People

#: Upper ends of the bands that classes are told in: never a class itself.
BANDS = (1, 4, 9, 19, 49)

_SIZES_OF_ROWS = "select class, count(*) as size from people group by class"
_SIZES_OF_SUBJECTS = "select class, count(distinct subject) as size from people group by class"

_SENSITIVE = """
with cells as ({cells}),
whole as (select value, sum(n) / sum(sum(n)) over () as share from cells group by value),
measured as (
    select class, n, n / sum(n) over (partition by class) as part, share
    from cells join whole using (value)
),
classes as (
    select class,
           count(*) as l,
           exp(-sum(part * ln(part))) as entropy_l,
           max(part) as alpha,
           (sum(abs(part - share)) + 1 - sum(share)) / 2 as t
    from measured group by class
)
select min(l), min(entropy_l), max(alpha), max(t), count(*) filter (where l = 1) from classes
"""
_ROWS_OF_CELLS = "select class, value, count(*)::double as n from people group by class, value"
_SUBJECTS_OF_CELLS = (
    "select class, value, count(distinct subject)::double as n from people group by class, value"
)


@dataclass(frozen=True)
class Band:
    """Classes of `least` to `most` people (None: no upper end), and how many people they hold."""

    least: int
    most: int | None
    classes: int
    people: int


@dataclass(frozen=True)
class Anonymity:
    """k and what follows from class sizes. `people` are subjects, or rows where no subject was named."""

    people: int
    classes: int
    k: int
    bands: tuple[Band, ...]
    under: dict[int, int]
    classes_under: dict[int, int]

    @property
    def uniques(self) -> int:
        """People who are alone in their class."""
        return self.bands[0].people

    @property
    def risk_max(self) -> float:
        """Chance of picking the right person in the smallest class."""
        return 1 / self.k if self.k else 0.0

    @property
    def risk_avg(self) -> float:
        """The same, averaged over people: classes per person."""
        return self.classes / self.people if self.people else 0.0


@dataclass(frozen=True)
class Diversity:
    """What classes give away about one sensitive column. `single`: classes with one value, whose people are all known."""

    column: str
    l: int  # noqa: E741 - its name in the literature
    entropy_l: float
    alpha: float
    t: float
    single: int


def anonymity(people: People, quasi: list[str], thresholds: tuple[int, ...] = (5, 10)) -> Anonymity:
    """k of the table by these quasi-identifiers; without any, everybody is in one class."""
    groups = people.groups(quasi)
    sql = _SIZES_OF_ROWS if people.subject is None else _SIZES_OF_SUBJECTS
    with _loaded(groups, people.subject, None) as connection:
        sizes = np.asarray(connection.execute(sql).fetchnumpy()["size"], dtype=np.int64)
    return of_sizes(sizes, thresholds)


def of_sizes(sizes: np.ndarray, thresholds: tuple[int, ...] = (5, 10)) -> Anonymity:
    """The same from the sizes of the classes."""
    bands, least = [], 1
    for most in (*BANDS, None):
        inside = sizes[(sizes >= least) & ((sizes <= most) if most is not None else True)]
        bands.append(Band(least, most, len(inside), int(inside.sum())))
        least = (most or 0) + 1
    return Anonymity(
        people=int(sizes.sum()),
        classes=len(sizes),
        k=int(sizes.min()) if len(sizes) else 0,
        bands=tuple(bands),
        under={threshold: int(sizes[sizes < threshold].sum()) for threshold in thresholds},
        classes_under={threshold: int((sizes < threshold).sum()) for threshold in thresholds},
    )


def diversity(people: People, quasi: list[str], sensitive: str) -> Diversity:
    """l, alpha and t of one sensitive column, which isn't one of the quasi-identifiers."""
    groups = people.groups(quasi)
    with _loaded(groups, people.subject, people.columns[sensitive].places) as connection:
        cells = _ROWS_OF_CELLS if people.subject is None else _SUBJECTS_OF_CELLS
        found = connection.execute(_SENSITIVE.format(cells=cells)).fetchone()
    if found is None or found[0] is None:
        return Diversity(sensitive, 0, 0.0, 0.0, 0.0, 0)
    l_, entropy_l, alpha, t, single = found
    # Shares that add up to one leave 1e-16 behind.
    return Diversity(sensitive, int(l_), float(entropy_l), float(alpha), max(0.0, float(t)), int(single))


@contextmanager
def _loaded(
    groups: np.ndarray, subject: np.ndarray | None, value: np.ndarray | None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB connection with the table `people`: class, subject and value as numbers."""
    nothing = np.zeros(len(groups), dtype=np.int8)
    people = pa.table(
        {
            "class": groups,
            "subject": nothing if subject is None else subject,
            "value": nothing if value is None else value,
        }
    )
    connection = duckdb.connect(config={"threads": 2, "memory_limit": "800MB"})
    try:
        connection.register("people", people)
        yield connection
    finally:
        connection.close()
