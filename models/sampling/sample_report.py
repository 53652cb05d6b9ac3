"""The sample report: which label, how many rows at every step, cohorts, base shift, and whom the sample doesn't speak for.

Counts and measures only, never a row of anybody; it is kept in the training record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from models.label_definition import Label
from models.sample import Sample
from models.sampling.cohorts import BaseShift, Cohort, base_shift, cohorts
from models.sampling.overlap import FeatureOverlap, Overlap, overlap, spread
from models.sampling.waterfall import Waterfall, waterfalls
from models.vintages import VintagePlan


@dataclass(frozen=True)
class SampleReport:
    """`label` (`resident_default@1`), since when it holds and its hash; `population`: which rows `overlap` compares."""

    label: str
    label_effective_from: str | None
    label_sha256: str
    waterfalls: tuple[Waterfall, ...]
    cohorts: tuple[Cohort, ...]
    base_shift: BaseShift | None
    population: str
    overlap: Overlap | None

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def of_plain(cls, plain: Mapping[str, Any]) -> SampleReport:
        """Back from JSON; KeyError or TypeError where it isn't one."""
        shift, selection = plain["base_shift"], plain["overlap"]
        return cls(
            label=plain["label"],
            label_effective_from=plain["label_effective_from"],
            label_sha256=plain["label_sha256"],
            waterfalls=tuple(
                Waterfall(each["what"], each["start"], _pairs(each["left_out"]), _pairs(each["parts"]))
                for each in plain["waterfalls"]
            ),
            cohorts=tuple(Cohort(**each) for each in plain["cohorts"]),
            base_shift=None if shift is None else BaseShift(**shift),
            population=plain["population"],
            overlap=None
            if selection is None
            else Overlap(
                **{
                    **selection,
                    "features": tuple(FeatureOverlap(**each) for each in selection["features"]),
                }
            ),
        )


def sample_report(
    label: Label,
    sample: Sample,
    outcomes: pd.DataFrame,
    steps: Mapping[str, int],
    *,
    plan: VintagePlan | None,
    population: pd.DataFrame,
    seed: int,
    threads: int = 1,
) -> SampleReport:
    """Report on a sample and the outcomes (subject_no, as_of, outcome) that it was made from.

    `steps` are those of the training record, split included. `population` holds features of everyone in the vintages, labelled
    or not (indexed by subject_no and as_of): of the newest vintage those in the sample are compared with those who aren't.
    """
    shift = None
    if plan is not None:
        training, later = (
            sample.take(np.isin(sample.as_of, [str(month) for month in side]))
            for side in (plan.training, plan.out_of_time)
        )
        shift = base_shift(training, later)
    newest = max(map(str, np.unique(sample.as_of)), default="")
    return SampleReport(
        label=label.code,
        label_effective_from=label.effective_from,
        label_sha256=label.sha256,
        waterfalls=waterfalls(steps),
        cohorts=cohorts(sample, outcomes, plan),
        base_shift=shift,
        population=newest,
        overlap=_selection(sample, population, newest, seed, threads),
    )


def _selection(
    sample: Sample, population: pd.DataFrame, newest: str, seed: int, threads: int
) -> Overlap | None:
    """None where everybody of the newest vintage is in the sample, or nobody."""
    own = sample.take(sample.as_of == newest)
    numbers = population.index.get_level_values("subject_no").to_numpy()
    here = np.asarray(population.index.get_level_values("as_of") == newest)
    rest = np.flatnonzero(here & ~np.isin(numbers, own.subject_no))
    if not len(own) or not len(rest):
        return None
    # A month of a province is a gigabyte of features: only the rows that are looked at are copied.
    some = rest[spread(len(rest))]
    others = population.iloc[some][sample.names].to_numpy(dtype=np.float64)
    subjects = (own.subject_no, numbers[some])
    return overlap(own.matrix, others, sample.names, subjects, seed, threads, unlabelled_rows=len(rest))


def _pairs(rows: list[list[Any]]) -> tuple[tuple[str, int], ...]:
    return tuple((str(name), int(count)) for name, count in rows)
