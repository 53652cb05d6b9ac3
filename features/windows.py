"""Window formulas by name: what the catalogue may ask for, and how far back each looks.

The arithmetic stands in `features.window_kernels`, which is compiled; definitions load without it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

Formula = Literal[
    "sum",
    "mean",
    "min",
    "max",
    "std",
    "cv",
    "slope",
    "last",
    "records",
    "positive",
    "positive_share",
    "any_positive",
    "longest_gap",
    "longest_run",
    "since_positive",
    "since_record",
    "change",
    "ratio_previous",
    "year_on_year",
    "best_quarter_share",
    "seasonal_strength",
    "share_of",
]

FORMULAS: tuple[str, ...] = get_args(Formula)

#: Formulas that tell no more than that a record exists; a contract may ask less consent for that (domain rule L9).
PRESENCE = frozenset({"any_positive"})

#: Formulas that look back over twice the window, or over the window a year earlier.
EXTRA_MONTHS: dict[str, Callable[[int], int]] = {
    "ratio_previous": lambda w: w,
    "year_on_year": lambda w: 12,
}
