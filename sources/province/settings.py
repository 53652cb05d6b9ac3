"""How large the simulated province is, how long it runs, and which faults its deliveries have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from core.months import Month, month_range
from sources.province.faults import DEFAULT_FAULTS, check_faults

#: Months lived through before the first delivered one, so that twelve-month histories exist from the start.
BURN_IN_MONTHS = 12

#: Subjects of a kind that can be simulated: tokens, accounts and meters are numbered with seven digits.
MOST_SUBJECTS = 9_999_999


@dataclass(frozen=True)
class ProvinceSettings:
    """Everything that decides the bytes of the deliveries; the same settings give the same files.

    The subjects are a *pilot population*: people and firms that already use the bank's scenes, about half of whom borrow
    (`borrower_share`), with far more consents than a province at large. `only_tables` limits what is written, never what
    happens: the tables that are written are the same as in a full run. `faults` are ids of `faults.FAULTS`.
    """

    residents: int = 20_000
    enterprises: int = 8_000
    first_month: Month = field(default_factory=lambda: Month(2024, 5))
    months: int = 30
    borrower_share: float = 0.5
    seed: int = 2026
    faults: frozenset[str] = DEFAULT_FAULTS
    only_tables: frozenset[str] | None = None

    def __post_init__(self) -> None:
        """ValueError tells which setting cannot be, and what can."""
        for name in ("residents", "enterprises"):
            if not 0 <= getattr(self, name) <= MOST_SUBJECTS:
                raise ValueError(f"{name} must be between 0 and {MOST_SUBJECTS}")
        if self.months < 1:
            raise ValueError("months must be 1 or more")
        if not 0.0 < self.borrower_share < 1.0:
            raise ValueError("borrower_share must lie between 0 and 1")
        if self.seed < 0:
            raise ValueError("seed must not be negative")
        check_faults(self.faults)

    @property
    def last_month(self) -> Month:
        """The last delivered month."""
        return self.first_month.plus(self.months - 1)

    @property
    def lived(self) -> int:
        """Months simulated, burn-in included: the first axis of every state matrix."""
        return BURN_IN_MONTHS + self.months

    def delivered(self) -> list[Month]:
        """The delivered months in order."""
        return month_range(self.first_month, self.last_month)

    def calendar(self) -> Iterator[tuple[int, Month]]:
        """Every lived month with its row in the state matrices."""
        for row in range(self.lived):
            yield row, self.first_month.plus(row - BURN_IN_MONTHS)

    def row_of(self, month: Month) -> int:
        """The row of the state matrices that holds this month."""
        return month.index - self.first_month.index + BURN_IN_MONTHS
