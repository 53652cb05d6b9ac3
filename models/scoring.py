"""Scoring: a verified bundle and a table of features in, probability, points and grade out."""

from __future__ import annotations

import numpy as np
import pandas as pd

from core.errors import Refusal
from models.artefact import Bundle
from models.points import points_of, probability

#: Rows scored at a time: memory stays flat, and the result doesn't depend on it.
CHUNK_ROWS = 65_536


def score(
    bundle: Bundle, features: pd.DataFrame, *, threads: int = 1, chunk_rows: int = CHUNK_ROWS
) -> pd.DataFrame:
    """One row per row of `features`, in its order: subject_no int32, pd float64, points int32, grade int8 (1
    = best).

    `features` has subject_no as a column or index level and at least the model's features, in any order; NaN
    is missing. For a model of the purpose marketing `pd` is the probability of a response. A feature that
    isn't there is a Refusal REFUSED/MODEL, never a column of missing values.
    """
    absent = [name for name in bundle.names if name not in features.columns]
    if absent:
        raise Refusal(
            "REFUSED/MODEL",
            f"the features lack {len(absent)} columns of {bundle.name}: {', '.join(absent[:5])}.",
            remedy="Compute the feature set that the model's card names, or train the model on this one.",
        )
    subjects = (
        features["subject_no"]
        if "subject_no" in features.columns
        else features.index.get_level_values("subject_no")
    )
    calibrated = np.empty(len(features))
    for start in range(0, len(features), chunk_rows):
        chunk = features.iloc[start : start + chunk_rows][bundle.names].to_numpy(dtype=np.float64)
        calibrated[start : start + len(chunk)] = bundle.calibrated(chunk, threads)
    wanted = bundle.card.event_is_wanted
    return pd.DataFrame(
        {
            "subject_no": np.asarray(subjects, dtype=np.int32),
            "pd": probability(calibrated),
            "points": np.rint(points_of(calibrated, wanted)).astype(np.int32),
            "grade": bundle.scale.of(calibrated),
        }
    )
