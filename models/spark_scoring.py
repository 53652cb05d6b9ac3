"""Batch scoring on Spark: executors read the stored features chunk by chunk, check the bundle once, and score with the code that
scores everywhere else.

What travels is small: file names and row groups out, one line of 17 bytes per subject back. Feature values never pass through the
Java side: the Python workers read the files themselves, which Spark's own reader does three times slower.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from core.months import Month
from core.purpose import Purpose
from core.table_store import TableStore
from features.catalogue import FeatureSet
from features.consent_mask import purpose_mask
from features.entitlement import ENTITLED, Entitlement
from features.ineligible import NO_ROW, Ineligible
from features.spark_session import SparkPlace, open_session
from features.use_mask import UseMask
from models.artefact import Bundle, load_bundle
from models.batch_scoring import BatchScores
from models.scoring import score

#: What comes back: `kept` is false, and the scores 0, where the subject may not be scored.
RESULT = "subject_no int, kept boolean, pd double, points int, grade tinyint"
_RESULT = pa.schema(
    [
        ("subject_no", pa.int32()),
        ("kept", pa.bool_()),
        ("pd", pa.float64()),
        ("points", pa.int32()),
        ("grade", pa.int8()),
    ]
)

#: Pieces of work of one Spark job at most; a piece is one or more row groups.
MOST_TASKS = 200


@dataclass(frozen=True)
class SparkScorer:
    """Scores at `place`; every Python worker loads and verifies the bundle once."""

    place: SparkPlace

    def __call__(
        self,
        bundle: Bundle,
        store: TableStore,
        feature_set: FeatureSet,
        as_of: Month,
        purpose: Purpose,
        use: Entitlement,
    ) -> BatchScores:
        """See `models.batch_scoring.BatchScorer`."""
        spark = open_session(self.place)
        mask = purpose_mask(feature_set, use, as_of, [purpose])
        files = store.files(feature_set.table, [str(as_of)])
        pieces = [
            (str(file), group)
            for file in files
            for group in range(store.open(file, mapped=False).metadata.num_row_groups)
        ]
        if not pieces:
            return BatchScores(score(bundle, _no_rows(feature_set)), Ineligible())
        sent = spark.sparkContext.broadcast(UseMask.of(mask))
        work = spark.createDataFrame(pieces, "file string, row_group int").repartition(
            min(len(pieces), MOST_TASKS)
        )
        told = work.mapInArrow(_scoring(str(bundle.path), bundle.sha256, sent), RESULT).toArrow()
        sent.destroy()
        told = told.sort_by("subject_no")
        numbers, kept = told.column("subject_no").to_numpy(), told.column("kept").to_numpy()
        scores = told.filter(told.column("kept")).drop_columns(["kept"]).to_pandas()
        ineligible = Ineligible()
        best = np.full(len(numbers), ENTITLED, dtype=np.int8)
        for asked, facts, reasons in mask.questions():
            ineligible.add(asked, facts, reasons[numbers])
            best = np.maximum(best, reasons[numbers])
        ineligible.add(purpose, NO_ROW, best[~kept])
        ineligible.without_any = int((~kept).sum())
        return BatchScores(scores, ineligible)


def _scoring(
    path: str, sha256: str, sent: Any
) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """The function that each Python worker runs over its pieces of work."""

    def scored(pieces: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        for batch in pieces:
            for piece in batch.to_pylist():
                bundle = verified_bundle(path, sha256)
                yield score_row_group(bundle, sent.value, Path(piece["file"]), piece["row_group"])

    return scored


@cache
def verified_bundle(path: str, sha256: str) -> Bundle:
    """Bundle of a Python worker: files, structure and golden rows are checked when the process first asks for it."""
    return load_bundle(Path(path), sha256)


def score_row_group(bundle: Bundle, mask: UseMask, file: Path, group: int) -> pa.RecordBatch:
    """Scores of one row group of stored features (at most `core.table_files.CHUNK` subjects), columns of `RESULT`."""
    rows = TableStore.open(file, mapped=False).read_row_group(
        group, columns=["subject_no", *mask.names], use_threads=False
    )
    features = rows.to_pandas()
    numbers = features["subject_no"].to_numpy(dtype=np.int32)
    kept = mask.blank(features, numbers)
    told = score(bundle, features[kept], threads=1)
    columns = {"subject_no": numbers, "kept": kept}
    for name in ("pd", "points", "grade"):
        column = np.zeros(len(numbers), dtype=told[name].to_numpy().dtype)
        column[kept] = told[name].to_numpy()
        columns[name] = column
    return pa.RecordBatch.from_pydict(columns, schema=_RESULT)


def _no_rows(feature_set: FeatureSet):  # type: ignore[no-untyped-def]
    from features.as_of import feature_schema

    return feature_schema(feature_set).empty_table().to_pandas()
