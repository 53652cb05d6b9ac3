"""PC12: the same features from either side? What the models see after a migration, subject by subject.

Both sides go through the same engine. Months and tables that aren't migrated, and the months before the dual run, are the
bank's own facts on both: so it will be after the cut-over, when history stays and new months come from the new side.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from core.months import Month
from core.table_schema import TableSchema
from core.table_store import TableStore
from features.as_of import feature_table
from features.catalogue import FeatureSet
from features.fact_definition import FactDefinition
from features.fold import fold_month
from features.look_back import fold_looking_back
from features.stability import psi, psi_noise, spearman
from sources.migration.finding import ParityFinding, judged
from sources.migration.tolerances import Tolerances
from sources.versions import KnownDelivery, Resolver

#: Facts of both sides count as known since then: both are read as known at one moment, whenever they came.
_ALWAYS = datetime(2000, 1, 1, tzinfo=UTC)


class FactsBeside(TableStore):
    """Facts in a scratch store, and those of the live store for months that the scratch store doesn't have."""

    def __init__(self, root: Path, live: TableStore) -> None:
        super().__init__(root)
        self._live = live

    def files(
        self, table: str, partitions: Sequence[str] | None = None, version: int | None = None
    ) -> list[Path]:
        """Data files, sorted by partition."""
        mine = set(self.partitions(table))
        wanted = self._live.partitions(table) if partitions is None else partitions
        own = super().files(table, [month for month in wanted if month in mine])
        theirs = self._live.files(table, [month for month in wanted if month not in mine])
        return sorted([*own, *theirs], key=lambda path: path.parent.name)


def fold_known_rows(
    scratch: TableStore, definition: FactDefinition, schema: TableSchema, rows: pa.Table, month: Month
) -> None:
    """Facts of one month into a scratch store, from rows that stand as known: canonical columns, subject_no in live numbers, no
    two of one business key. No rows are a month without anybody.

    `rows` may hold other months. Facts that look back see no month before those that it holds: what needs one is missing, on
    either side alike.
    """
    of_month = _known_month(schema, rows, month)
    if definition.look_back:
        earlier = [month.plus(-back) for back in range(definition.look_back, 0, -1)]
        there = set(pc.unique(rows.column("period")).to_pylist())
        months = {each: _known_month(schema, rows, each) for each in earlier if str(each) in there}
        facts = fold_looking_back({**months, month: of_month}, month, definition, schema)
    else:
        raw, resolve = of_month
        facts = fold_month(raw, definition, schema, resolve, month)
    scratch.replace(definition.fact_table, str(month), facts)


def _known_month(schema: TableSchema, rows: pa.Table, month: Month) -> tuple[pa.Table, Resolver]:
    rows = rows.filter(pc.equal(rows.column("period"), str(month)))
    count = rows.num_rows
    numbers = rows.column("subject_no").to_numpy()
    rows = rows.take(pa.array(np.argsort(numbers, kind="stable")))
    stamped = {
        "received_at": pa.repeat(pa.scalar(_ALWAYS, pa.timestamp("us", tz="UTC")), count),
        "delivery_no": pa.repeat(pa.scalar(0, pa.int32()), count),
        "revision": pa.repeat(pa.scalar(1, pa.int32()), count),
        "row_no": pa.array(np.arange(count, dtype=np.int32)),
    }
    target = schema.arrow_with_envelope()
    raw = pa.table([stamped.get(name, rows.column(name) if name in rows.column_names else None) for name in target.names],
                   schema=target)  # fmt: skip
    return raw, Resolver(schema, {0: KnownDelivery(0, "migration", str(month), 1, True, _ALWAYS)})


def features_of(
    store: FactsBeside, feature_set: FeatureSet, as_of: Month, subjects: np.ndarray, cutoff_days: int
) -> pd.DataFrame:
    """Features of these subjects at a month, float64, indexed by subject_no; all missing where a subject has none."""
    frame = (
        feature_table(store, feature_set, as_of, cutoff_days=cutoff_days).to_pandas().set_index("subject_no")
    )
    return frame.reindex(pd.Index(subjects, name="subject_no")).astype("float64")


def feature_parity(
    old: pd.DataFrame, new: pd.DataFrame, table: str, limits: Tolerances
) -> list[ParityFinding]:
    """One finding per feature that misses a limit (share of equal pairs, rank correlation, stability index, in that order), and
    one for the set. `old` and `new` have the same subjects and columns; a value missing on both sides is equal."""
    findings, worst = [], 1.0
    floor = max(limits.pc12_psi, psi_noise(len(old)))
    for name in old.columns:
        mine, theirs = old[name].to_numpy(), new[name].to_numpy()
        equal = equal_share(mine, theirs)
        worst = min(worst, equal)
        measured = (
            ("equal", equal, limits.pc12_equal, None),
            ("spearman", spearman(mine, theirs), limits.pc12_spearman, None),
            ("psi", psi(mine, theirs), None, floor),
        )
        for measure, statistic, low, high in measured:
            found = judged(
                "PC12",
                table,
                measure,
                statistic,
                low=low,
                high=high,
                column=name,
                counts={"subjects": len(old)},
            )
            if found.blocks:
                findings.append(found)
                break
    counts = {"features": len(old.columns), "features_apart": len(findings), "subjects": len(old)}
    overall = judged("PC12", table, "equal_worst_feature", worst, low=limits.pc12_equal, counts=counts)
    return [overall, *findings]


def equal_share(old: np.ndarray, new: np.ndarray) -> float:
    """Share of pairs within 0.5 % of the greater one, or missing on both sides; 1.0 of no pairs."""
    if not len(old):
        return 1.0
    missing = np.isnan(old) & np.isnan(new)
    allowed = np.maximum(1e-6, 0.005 * np.maximum(np.abs(old), np.abs(new)))
    return float((missing | (np.abs(old - new) <= allowed)).mean())
