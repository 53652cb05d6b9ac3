"""Scoring a whole as-of month of stored features: who does it is a setting, what comes out is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import pandas as pd

from core.months import Month
from core.purpose import Purpose
from core.table_store import TableStore
from features.catalogue import FeatureSet
from features.entitlement import Entitlement
from features.feature_store import usable_features
from features.ineligible import Ineligible
from models.artefact import Bundle
from models.scoring import score


@dataclass(frozen=True)
class BatchScores:
    """`scores` as `models.scoring.score` gives them, one row per subject who may be scored; and who may not, by reason."""

    scores: pd.DataFrame
    ineligible: Ineligible


class BatchScorer(Protocol):
    """Scores everyone with stored features at a month who may be used for the purpose."""

    def __call__(
        self,
        bundle: Bundle,
        store: TableStore,
        feature_set: FeatureSet,
        as_of: Month,
        purpose: Purpose,
        use: Entitlement,
    ) -> BatchScores:
        """`bundle` has been verified; `use` as of `features.entitlement.Entitlements.for_use`."""
        ...


@dataclass(frozen=True)
class LocalScorer:
    """In this process, with so many threads."""

    threads: int

    def __call__(
        self,
        bundle: Bundle,
        store: TableStore,
        feature_set: FeatureSet,
        as_of: Month,
        purpose: Purpose,
        use: Entitlement,
    ) -> BatchScores:
        """See `BatchScorer`."""
        usable = usable_features(store, feature_set, [as_of], purpose, use)
        return BatchScores(score(bundle, usable.frame, threads=self.threads), usable.ineligible)
