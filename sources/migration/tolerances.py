"""What the parity checks let pass. The figures are those of the project's table of checks; a migration may only be stricter."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, model_validator

from core.definition_file import Definition


class Tolerances(Definition):
    """Limits by check. Shares are shares (0.999 is 99.9 %), days are days, months are months.

    `pc11_restated_difference` and `pc07_offset_share` have no figure in the table: ours are 2 points, and half of the pairs.
    """

    pc02_region_low: float = 0.98
    pc02_region_high: float = 1.02
    pc02_total_low: float = 0.995
    pc02_total_high: float = 1.005
    pc03_found: float = 0.995
    pc03_one_to_one: float = 0.999
    pc04_equal: float = 0.999
    pc04_relative: float = 0.005
    pc04_absolute: float = 0.01
    pc05_share: float = 1e-5
    pc06_determinism: float = 0.999
    pc07_within_a_day: float = 0.999
    pc07_offset_share: float = 0.5
    pc08_null_difference: float = 0.005
    pc09_look_back_months: int = Field(default=24, le=60)
    pc10_median_days: float = 3.0
    pc10_p95_days: float = 7.0
    pc11_restated_difference: float = 0.02
    pc12_equal: float = 0.995
    pc12_spearman: float = 0.999
    pc12_psi: float = 0.01
    pc13_spearman: float = 0.995
    pc13_decile_moves: float = 0.02
    pc13_cut_off_moves: float = 0.003
    pc13_mean_low: float = 0.98
    pc13_mean_high: float = 1.02
    pc14_jaccard: float = 0.95

    #: Limits that a stricter definition raises; all others it lowers.
    FLOORS: ClassVar[frozenset[str]] = frozenset(
        {
            "pc02_region_low", "pc02_total_low", "pc03_found", "pc03_one_to_one", "pc04_equal", "pc06_determinism",
            "pc07_within_a_day", "pc09_look_back_months", "pc12_equal", "pc12_spearman", "pc13_spearman", "pc13_mean_low",
            "pc14_jaccard",
        }
    )  # fmt: skip

    @model_validator(mode="after")
    def _only_stricter(self) -> Tolerances:
        for name in self.model_fields_set:
            ours, theirs = type(self).model_fields[name].default, getattr(self, name)
            if (theirs < ours) if name in self.FLOORS else (theirs > ours):
                raise ValueError(
                    f"{name} may only be stricter than {ours:g}; to let a miss pass, write a waiver"
                )
        return self
