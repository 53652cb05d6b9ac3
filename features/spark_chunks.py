"""The engine `spark`: one plan computes a month into scratch files, a folder per chunk of subjects; this process streams them
through the consents into the store, a chunk at a time."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.months import Month
from core.table_store import CHUNK, TableStore
from features.as_of import entitled_rows, feature_schema
from features.catalogue import FeatureSet
from features.consent_mask import ConsentMask
from features.ineligible import Ineligible
from features.spark_engine import spark_features, told_column
from features.spark_session import SparkPlace, open_session

#: The partition column of the scratch files; a feature name has no capital.
_CHUNK = "CHUNK_NO"


@dataclass(frozen=True)
class SparkEngine:
    """Features through one Spark plan a month, at `place`."""

    place: SparkPlace
    chunk: int = CHUNK

    @property
    def name(self) -> str:
        """As the settings name it."""
        return "spark"

    def chunks(
        self,
        store: TableStore,
        feature_set: FeatureSet,
        as_of: Month,
        cutoff_days: int,
        consents: ConsentMask | None,
        ineligible: Ineligible | None,
    ) -> Iterator[pa.Table]:
        """As `features.engine.LocalEngine` gives them."""
        spark = open_session(self.place)
        features = spark_features(spark, store, feature_set, as_of, cutoff_days=cutoff_days, told_of=True)
        scratch = Path(tempfile.mkdtemp(prefix="features-", dir=self.place.scratch))
        try:
            made = scratch / "made"
            features.selectExpr("*", f"subject_no DIV {self.chunk} AS {_CHUNK}").write.partitionBy(
                _CHUNK
            ).parquet(str(made))
            numbered = {int(folder.name.split("=")[1]): folder for folder in made.glob(f"{_CHUNK}=*")}
            for number in sorted(numbered):
                files = sorted(numbered[number].glob("*.parquet"))
                rows = pa.concat_tables([pq.read_table(file, partitioning=None) for file in files])
                yield _entitled(
                    rows.sort_by("subject_no"), number * self.chunk, feature_set, consents, ineligible
                )
        finally:
            shutil.rmtree(scratch)


def _entitled(
    rows: pa.Table,
    low: int,
    feature_set: FeatureSet,
    consents: ConsentMask | None,
    ineligible: Ineligible | None,
) -> pa.Table:
    """What the subjects' consents allow of the rows of a chunk that starts at subject_no `low`."""
    numbers = rows.column("subject_no").to_numpy().astype(np.int32)
    subjects = slice(low, int(numbers[-1]) + 1)
    told_of = {name: np.zeros(subjects.stop - low, dtype=bool) for name in feature_set.facts}
    for name, told in told_of.items():
        told[numbers - low] = rows.column(told_column(name)).to_numpy(zero_copy_only=False)
    known = entitled_rows(told_of, subjects, consents, ineligible)[numbers - low]
    columns = []
    for feature in feature_set.features:
        values = rows.column(feature.name).to_numpy()
        if consents is not None:
            values = np.where(consents.cells(feature, subjects)[numbers - low], values, np.nan)
        columns.append(pa.array(values[known]))
    return pa.table([pa.array(numbers[known]), *columns], schema=feature_schema(feature_set))
