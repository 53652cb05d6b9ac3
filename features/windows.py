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
    "rises",
    "falls",
    "level_change",
    "current_run",
    "peak_share",
    "worst_on_year",
    "down_on_year",
    "last_of_peak",
    "changes",
    "held",
    "share_of",
    "months_below",
    "co_movement",
]

FORMULAS: tuple[str, ...] = get_args(Formula)

#: Formulas of two measures, `measure` and `over`.
OF_TWO = frozenset({"share_of", "months_below", "co_movement"})

#: Formulas of identities, and the only ones that an identity may be put into.
OF_IDENTITY = frozenset({"changes", "held"})

#: Formulas that tell no more than that a record exists; a contract may ask less consent for that (domain rule L9).
PRESENCE = frozenset({"any_positive"})

#: Formulas whose result has no unit of money even when the measure has.
DIMENSIONLESS = frozenset(
    {
        "cv", "slope", "records", "positive", "positive_share", "any_positive", "longest_gap", "longest_run",
        "since_positive", "since_record", "change", "ratio_previous", "year_on_year", "rises", "falls", "current_run",
        "peak_share", "worst_on_year", "down_on_year", "months_below", "co_movement",
        "last_of_peak", "changes", "held",
    }
)  # fmt: skip

#: A month counts as down where it is at least this share below the same month a year before (domain 3.3: a drop above 30 %).
DROP = 0.3

#: Spread below this share of the mean's square is rounding, not movement.
FLAT = 1e-18

#: Formulas that look back over twice the window, or over the window a year earlier.
EXTRA_MONTHS: dict[str, Callable[[int], int]] = {
    "ratio_previous": lambda w: w,
    "year_on_year": lambda w: 12,
    "worst_on_year": lambda w: 12,
    "down_on_year": lambda w: 12,
}
