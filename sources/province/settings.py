"""How large the simulated province is, how long it runs, and which faults its deliveries have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from core.months import Month, month_range
from sources.province.faults import DEFAULT_FAULTS, check_faults

#: Which platforms send: the cities alone, the province alone from the cut-over on, or both side by side from then on.
Platforms = Literal["city", "province", "dual"]

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

    With `platforms` province or dual the provincial platform sends the core sources from month `cut_over` on (by default from
    the first); it has no history from before. With two `cities` the utilities of one prefecture come from a second city in a
    dialect of its own, and the first city no longer sends them. `registers` adds the register of meters,
    `housing_fund` the housing fund of persons and employers, `city_scenes` the city's log-ins, fines and disconnections
    (fines and the housing fund then count in the risk of residents too),
    `firm_records` firms' tax grades, tax events, inspections, income-tax returns and adverse listings, `payments` what is paid
    (taxes, electricity, school fees) and owed, and changes of state (registers of firms and vehicles, enrolment in insurance).

    `whole_delivery_share` is the share of deliveries that faults of whole deliveries hit; by default each fault's own.
    """

    residents: int = 20_000
    enterprises: int = 8_000
    first_month: Month = field(default_factory=lambda: Month(2024, 5))
    months: int = 30
    borrower_share: float = 0.5
    seed: int = 2026
    faults: frozenset[str] = DEFAULT_FAULTS
    only_tables: frozenset[str] | None = None
    platforms: Platforms = "city"
    cut_over: Month | None = None
    cities: Literal[1, 2] = 1
    registers: bool = False
    housing_fund: bool = False
    city_scenes: bool = False
    firm_records: bool = False
    payments: bool = False
    whole_delivery_share: float | None = None

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
        if self.platforms not in ("city", "province", "dual"):
            raise ValueError("platforms must be city, province or dual")
        if self.cities not in (1, 2):
            raise ValueError("cities must be 1 or 2")
        if self.cut_over is not None and not self.has_province:
            raise ValueError("a cut-over month needs platforms province or dual")
        if self.cut_over is not None and not self.first_month <= self.cut_over <= self.last_month:
            raise ValueError(f"the cut-over must lie between {self.first_month} and {self.last_month}")
        check_faults(self.faults)

    @property
    def has_province(self) -> bool:
        """Whether the provincial platform sends anything."""
        return self.platforms != "city"

    @property
    def province_from(self) -> Month:
        """The first month that the provincial platform sends, where it sends."""
        return self.cut_over or self.first_month

    def sends(self, platform: str, month: Month) -> bool:
        """Whether a `platform` (city, second_city, province, bank) delivers this month at all."""
        if platform == "province":
            return self.has_province and month >= self.province_from
        if platform == "second_city" and self.cities == 1:
            return False
        return platform == "bank" or self.platforms != "province" or month < self.province_from

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
