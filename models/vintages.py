"""Vintages: the as-of months that a model is trained on and judged on."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import GsceneError
from core.months import Month
from models.definition import TimeSplit


@dataclass(frozen=True)
class VintagePlan:
    """As-of months for training and for the out-of-time check, each in order; the first lie wholly before the
    second.
    """

    training: tuple[Month, ...]
    out_of_time: tuple[Month, ...]

    @property
    def all(self) -> tuple[Month, ...]:
        """Every vintage in order: the months for which features and labels are needed."""
        return self.training + self.out_of_time


def plan_vintages(
    split: TimeSplit, window_months: int, last_known: Month, first: Month | None = None
) -> VintagePlan:
    """The vintages whose performance window ends by `last_known`, newest last.

    `window_months` is the length of the performance window after an as-of month. `first` is the earliest
    as-of month for which features exist: training vintages before it are dropped. Raises GsceneError when
    none is left.
    """
    newest = last_known.plus(-window_months)
    out_of_time = tuple(newest.plus(-back) for back in reversed(range(split.out_of_time_vintages)))
    end = out_of_time[0].plus(-split.gap_months)
    training = tuple(
        end.plus(-back * split.spacing_months) for back in reversed(range(split.training_vintages))
    )
    if first is not None:
        training = tuple(month for month in training if month >= first)
    if not training:
        raise GsceneError(
            f"no training vintage lies between {first} and {end}.",
            "Bring earlier months of data, or ask for fewer out-of-time vintages or a shorter gap in the definition.",
        )
    return VintagePlan(training, out_of_time)
