"""PC01 schema, PC02 volume, PC03 key coverage, PC08 nulls: does the new side bring the same columns, rows, subjects and cells?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.table_schema import ColumnType
from sources.migration.crosswalk import Crosswalk
from sources.migration.finding import ParityFinding, judged, not_row_verifiable
from sources.migration.links import UNLINKED
from sources.migration.sides import SideRows, TableSides
from sources.migration.tolerances import Tolerances


def schema_kept(sides: TableSides, _limits: Tolerances) -> list[ParityFinding]:
    """PC01: every canonical column that the old side feeds is fed by the new one. One finding per column lost, else one for
    the table."""
    old, new = sides.old.fed, sides.new.fed
    kept = len(old & new) / len(old) if old else 1.0
    counts = {"columns_old": len(old), "columns_new": len(new), "lost": len(old - new)}
    lost = [
        judged("PC01", sides.table.name, "columns_fed", 0.0, low=1.0, column=name)
        for name in sorted(old - new)
    ]
    return lost or [judged("PC01", sides.table.name, "columns_fed", kept, low=1.0, counts=counts)]


def volume(sides: TableSides, limits: Tolerances, regions: Collection[str] = ()) -> list[ParityFinding]:
    """PC02: rows new/old in total and in each region and month. Regions that are not expected (all that the old side has,
    where none are named) are counted and left aside."""
    old, new = _cells(sides.old), _cells(sides.new)
    expected = set(regions) or {region for region, _ in old}
    inside = [cell for cell in sorted({*old, *new}) if cell[0] in expected]
    total_old, total_new = (sum(rows[cell] for cell in inside) for rows in (old, new))
    added = sum(rows for cell, rows in new.items() if cell[0] not in expected)
    counts = {"rows_old": total_old, "rows_new": total_new, "rows_of_added_regions": added}
    name = sides.table.name
    found = [
        judged(
            "PC02", name, "rows_total", _ratio(total_new, total_old),
            low=limits.pc02_total_low, high=limits.pc02_total_high, counts=counts,
        )
    ]  # fmt: skip
    for cell in inside:
        ratio = _ratio(new[cell], old[cell])
        if not limits.pc02_region_low <= ratio <= limits.pc02_region_high:
            found.append(
                judged(
                    "PC02", name, "rows_of_region_and_month", ratio, column=" ".join(cell),
                    low=limits.pc02_region_low, high=limits.pc02_region_high,
                    counts={"rows_old": old[cell], "rows_new": new[cell]},
                )
            )  # fmt: skip
    return found


def crosswalk_cardinality(crosswalk: Crosswalk, limits: Tolerances) -> ParityFinding:
    """PC03: share of the crosswalk's pairs that are one to one both ways."""
    counts = crosswalk.cardinality
    return judged(
        "PC03", "crosswalk", "one_to_one", counts["one_to_one"] / counts["pairs"],
        low=limits.pc03_one_to_one, counts=counts,
    )  # fmt: skip


def key_versions(kind: str, new_ids: pa.Array, version: str) -> ParityFinding:
    """PC03: share of the new side's pseudonyms that are of the new key version; one under another key is a stranger tomorrow."""
    under = int(pc.sum(pc.starts_with(new_ids, f"{version}:")).as_py() or 0)
    counts = {"subjects": len(new_ids), "under_new_key": under}
    return judged(
        "PC03", kind, "new_key_version", under / len(new_ids) if len(new_ids) else 1.0, low=1.0, counts=counts
    )


def key_coverage(sides: TableSides, limits: Tolerances) -> list[ParityFinding]:
    """PC03: share of the old side's subjects that are found on the new side, and of pairs whose other subject columns (an
    employer, an owner) lead to the same one."""
    name = sides.table.name
    old = np.unique(sides.old.rows.column("subject_no").to_numpy())
    own_new = len(np.unique(sides.new.own_subject))
    if not sides.linked:
        ratio = _ratio(own_new, len(old))
        return [
            not_row_verifiable(
                "PC03", name, "subjects_ratio", ratio, counts={"old": len(old), "new": own_new}
            )
        ]
    linked = np.unique(sides.new.rows.column("subject_no").to_numpy())
    found = int(np.isin(old, linked[linked != UNLINKED]).sum())
    counts = {"old": len(old), "new": own_new, "found": found}
    findings = [
        judged("PC03", name, "subjects_found", _ratio(found, len(old)), low=limits.pc03_found, counts=counts)
    ]
    for column in sides.compared(ColumnType.SUBJECT) if sides.row_verifiable else ():
        mine, theirs = sides.paired(column)
        told = int(pc.sum(mine.is_valid()).as_py() or 0)
        same = int(pc.sum(pc.equal(mine, theirs)).as_py() or 0)
        share = same / told if told else 1.0
        counts = {"pairs": told, "same": same}
        findings.append(
            judged("PC03", name, "same_subject", share, low=limits.pc03_found, column=column, counts=counts)
        )
    return findings


def nulls(sides: TableSides, limits: Tolerances) -> list[ParityFinding]:
    """PC08: difference of the shares of missing cells, over all rows of the months, per column that may be missing."""
    found = []
    both = sides.old.fed & sides.new.fed
    for column in (c.name for c in sides.schema.columns if c.nullable and c.name in both):
        counts = {
            f"{kind}_{side}": value
            for side, rows in (("old", sides.old.rows), ("new", sides.new.rows))
            for kind, value in (("missing", rows.column(column).null_count), ("rows", rows.num_rows))
        }
        shares = [counts[f"missing_{side}"] / max(1, counts[f"rows_{side}"]) for side in ("old", "new")]
        found.append(
            judged(
                "PC08", sides.table.name, "missing_share_difference", abs(shares[1] - shares[0]),
                high=limits.pc08_null_difference, column=column, counts=counts,
            )
        )  # fmt: skip
    return found


def _cells(side: SideRows) -> Counter[tuple[str, str]]:
    """Rows by region and month."""
    sizes = (
        side.rows.select(["region", "period"]).group_by(["region", "period"]).aggregate([([], "count_all")])
    )
    told = zip(*(sizes.column(name).to_pylist() for name in ("region", "period", "count_all")), strict=True)
    return Counter({(region, period): rows for region, period, rows in told})


def _ratio(new: int, old: int) -> float:
    if old:
        return new / old
    return 1.0 if not new else float("inf")
