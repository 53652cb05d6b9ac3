"""The modelling sample: features joined to outcomes, counted at each step, and split by time and by subject."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from core.errors import GsceneError
from core.months import Month
from models.labels import EVENTS, EXCLUDED, IMMATURE, INDETERMINATE, NON_EVENTS
from models.vintages import VintagePlan

#: `Sample.target` of a row that is neither event nor its absence: kept out of fitting, counted in
#: calibration.
UNDECIDED = -1


@dataclass(frozen=True)
class Sample:
    """One row per subject and as-of month, ordered by both.

    `features` (n, p) float64, NaN = missing; `target` 1 event, 0 none, -1 indeterminate; `steps` counts rows
    on the way.
    """

    features: pd.DataFrame
    subject_no: np.ndarray
    as_of: np.ndarray
    target: np.ndarray
    steps: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.target)

    @property
    def matrix(self) -> np.ndarray:
        """Features as an (n, p) float64 array."""
        return self.features.to_numpy(dtype=np.float64)

    @property
    def names(self) -> list[str]:
        """Feature names in column order."""
        return [str(name) for name in self.features.columns]

    @property
    def decided(self) -> np.ndarray:
        """Rows (bool) whose outcome is decided: those a model is fitted on."""
        return self.target != UNDECIDED

    @property
    def events(self) -> int:
        """Rows with the event."""
        return int((self.target == 1).sum())

    def take(self, rows: np.ndarray) -> Sample:
        """The rows chosen by a boolean mask or positions."""
        return Sample(
            self.features.iloc[np.flatnonzero(rows) if rows.dtype == bool else rows],
            self.subject_no[rows],
            self.as_of[rows],
            self.target[rows],
        )


@dataclass(frozen=True)
class TimeSides:
    """The two sides of a split: no subject is in both, and every training vintage lies before every other
    one.
    """

    training: Sample
    out_of_time: Sample
    steps: dict[str, int]


def build_sample(features: pd.DataFrame, outcomes: pd.DataFrame, columns: list[str] | None = None) -> Sample:
    """Join features to outcomes; immature and excluded outcomes and outcomes without features are left out
    and counted.

    `features`: index or columns subject_no, as_of; float64 feature columns, of which `columns` are taken.
    `outcomes`: subject_no, as_of, outcome. A subject and month given twice in either is a GsceneError.
    """
    keyed = _keyed(features)
    chosen = keyed if columns is None else keyed[columns]
    labels = outcomes[["subject_no", "as_of", "outcome"]].copy()
    labels["as_of"] = labels["as_of"].astype(str)
    for what, twice in (
        ("features", keyed.index.has_duplicates),
        ("outcomes", labels.duplicated(["subject_no", "as_of"]).any()),
    ):
        if twice:
            raise GsceneError(
                f"the {what} hold a subject and as-of month twice.",
                "Reduce them to one row per subject and as-of month.",
            )
    steps = {"outcomes": len(labels)}
    for kind in (EXCLUDED, IMMATURE):
        steps[f"left out: {kind}"] = int((labels["outcome"] == kind).sum())
    labels = labels[~labels["outcome"].isin([EXCLUDED, IMMATURE])]
    places = chosen.index.get_indexer(pd.MultiIndex.from_frame(labels[["subject_no", "as_of"]]))
    steps["left out: no features"] = int((places < 0).sum())
    labels = labels[places >= 0]
    rows = chosen.iloc[places[places >= 0]]
    order = np.lexsort((labels["as_of"].to_numpy(dtype=str), labels["subject_no"].to_numpy()))
    target = np.select(
        [labels["outcome"].isin(EVENTS), labels["outcome"].isin(NON_EVENTS)], [1, 0], default=UNDECIDED
    ).astype(np.int8)
    steps |= {
        "rows": len(labels),
        "subjects": int(labels["subject_no"].nunique()),
        "events": int((target == 1).sum()),
        "non-events": int((target == 0).sum()),
        INDETERMINATE: int((target == UNDECIDED).sum()),
    }
    return Sample(
        rows.iloc[order].astype(np.float64).reset_index(drop=True),
        labels["subject_no"].to_numpy()[order],
        labels["as_of"].to_numpy(dtype=str)[order],
        target[order],
        steps,
    )


def split_by_time(sample: Sample, plan: VintagePlan, holdout_share: float, salt: str) -> TimeSides:
    """Training vintages of some subjects against out-of-time vintages of the others.

    A subject belongs to the held-out side by a hash of its number and `salt`, whatever the month:
    `holdout_share` of all. Rows that lie on neither side (training subjects in late vintages and the reverse)
    are left out and counted. With a share of 0 nobody is held out; GsceneError where a subject would then be on both sides.
    """
    held = subject_share(sample.subject_no, salt) < holdout_share
    early = np.isin(sample.as_of, _texts(plan.training))
    late = np.isin(sample.as_of, _texts(plan.out_of_time))
    if holdout_share == 0.0:
        # Subjects of one row each: vintages alone part the sides, and no row is given away.
        if len(np.intersect1d(sample.subject_no[early], sample.subject_no[late])):
            raise GsceneError(
                "a subject has rows on both sides of the split.",
                "Hold out a share of the subjects (holdout_share).",
            )
        held = late
    training, out_of_time = sample.take(early & ~held), sample.take(late & held)
    steps = {
        "rows": len(sample),
        "left out: vintage not in the plan": int((~early & ~late).sum()),
        "left out: held-out subject in a training vintage": int((early & held).sum()),
        "left out: training subject in an out-of-time vintage": int((late & ~held).sum()),
        "training rows": len(training),
        "training events": training.events,
        "out-of-time rows": len(out_of_time),
        "out-of-time events": out_of_time.events,
    }
    return TimeSides(training, out_of_time, steps)


def subject_share(subject_no: np.ndarray, salt: str) -> np.ndarray:
    """A number in [0, 1) per subject, the same for the same subject and salt on any machine (splitmix64)."""
    start = int.from_bytes(hashlib.sha256(salt.encode()).digest()[:8], "little")
    with np.errstate(over="ignore"):
        mixed = subject_no.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(start)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def _keyed(features: pd.DataFrame) -> pd.DataFrame:
    if list(features.index.names) != ["subject_no", "as_of"]:
        features = features.set_index(["subject_no", "as_of"])
    keys = [features.index.get_level_values(0), features.index.get_level_values(1).astype(str)]
    return features.set_axis(pd.MultiIndex.from_arrays(keys, names=["subject_no", "as_of"]), axis=0)


def _texts(months: tuple[Month, ...]) -> list[str]:
    return [str(month) for month in months]
