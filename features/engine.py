"""Who computes the features of an as-of month: this process, or Apache Spark. Same rows, same values to 1e-9, missing alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from core.months import Month
from core.table_store import CHUNK, TableStore
from features.as_of import features_at
from features.catalogue import FeatureSet
from features.consent_mask import ConsentMask
from features.ineligible import Ineligible


class FeatureEngine(Protocol):
    """Gives one as-of month in chunks of subjects, so that the population never lies in memory together."""

    @property
    def name(self) -> str:
        """As the settings name it."""
        ...

    def chunks(
        self,
        store: TableStore,
        feature_set: FeatureSet,
        as_of: Month,
        cutoff_days: int,
        consents: ConsentMask | None,
        ineligible: Ineligible | None,
    ) -> Iterator[pa.Table]:
        """Tables of `features.as_of.feature_schema`, ascending by subject_no; consents applied and counted as there."""
        ...


@dataclass(frozen=True)
class LocalEngine:
    """Compiled array kernels in this process, `chunk` subjects at a time: what lies in memory follows from it, not from the
    population."""

    chunk: int = CHUNK

    @property
    def name(self) -> str:
        """As the settings name it."""
        return "local"

    def chunks(
        self,
        store: TableStore,
        feature_set: FeatureSet,
        as_of: Month,
        cutoff_days: int,
        consents: ConsentMask | None,
        ineligible: Ineligible | None,
    ) -> Iterator[pa.Table]:
        """See `features.as_of.features_at`."""
        masks = None if consents is None else {as_of: consents}
        made = features_at(
            store, feature_set, [as_of], cutoff_days=cutoff_days, chunk=self.chunk, consents=masks, ineligible=ineligible
        )  # fmt: skip
        for _, table in made:
            yield table


LOCAL = LocalEngine()
