"""What stands around a training in the stores: segments of its judged rows, sources of its features, earlier values, groups.

Segments come from delivered tables and only for subjects who may be used for the model's purpose; others have the code "".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from core.clock import Clock
from core.months import CHINA_TIME, Month
from core.purpose import Purpose
from core.settings import Settings
from core.subject import SubjectKind
from core.subject_registry import SubjectRegistry
from core.table_store import TableStore
from features.catalogue import FeatureSet
from features.entitlement import ENTITLED, Entitlement
from models.sample import Sample
from models.validation.evaluation_vault import open_vault
from models.validation.of_training import Surroundings

#: Kind of segment, the column that tells it, how many characters of the code (city of a region, section of an industry), and the
#: tables that may hold it, first found first used.
SEGMENTS = (
    ("region", "region_cd", 4, ("reg_enterprise", "tax_registration", "util_account")),
    ("industry", "industry_cd", 1, ("reg_enterprise", "tax_registration")),
    ("subject_type", "subject_type", 1, ("reg_enterprise", "tax_registration")),
    ("branch", "branch_id", 40, ("bk_customer",)),
)

#: A file is thin where more than this share of its features is missing.
THIN = 0.5

#: Months that a source may be late in the stress.
LATE = (1, 2)

VAULT = "evaluation_vault"


def surroundings(
    judged: Sample,
    features: pd.DataFrame,
    feature_set: FeatureSet,
    purpose: Purpose,
    use: Entitlement,
    store: TableStore,
    settings: Settings,
    clock: Clock,
    registry: SubjectRegistry | None,
) -> Surroundings:
    """Surroundings of the judged rows; `features` (index subject_no, as_of) are all rows that may be used.

    Without a `registry` the vault, which knows subjects by their pseudonym, isn't opened.
    """
    names = judged.names
    chosen = [feature for feature in feature_set.features if feature.name in set(names)]
    sources: dict[str, list[str]] = {}
    for feature in chosen:
        for table in sorted({t for facts, _ in feature.sides for _, t in feature_set.facts[facts].tables}):
            sources.setdefault(table, []).append(feature.name)
    groups = (
        {} if registry is None else _groups(judged, feature_set.subject, names, settings, clock, registry)
    )
    return Surroundings(
        segments={"thin_file": thin_file(judged.matrix)} | segments(judged, feature_set.subject, purpose, use, store),
        groups=groups,
        sources=sources,
        money=[feature.name for feature in chosen if feature.unit == "CNY"],
        earlier={months: earlier(judged, features, months) for months in LATE},
    )  # fmt: skip


def thin_file(matrix: np.ndarray) -> np.ndarray:
    """`thin` or `thick` (n,)."""
    return np.where(np.isnan(matrix).mean(axis=1) > THIN, "thin", "thick")


def segments(
    judged: Sample, kind: SubjectKind, purpose: Purpose, use: Entitlement, store: TableStore
) -> dict[str, np.ndarray]:
    """Codes (n,) for each kind of segment that a delivered table tells, as it stood in the row's as-of month."""
    found = {}
    for segment, column, characters, tables in SEGMENTS:
        for table in tables:
            raw = f"raw/{kind}/{table}"
            if store.exists(raw):
                found[segment] = _told(
                    judged, store, raw, column, characters, use.reasons(purpose, table) == ENTITLED
                )
                break
    return found


def earlier(judged: Sample, features: pd.DataFrame, months: int) -> np.ndarray:
    """Features (n, p) of the same subjects so many months before; NaN where that month or subject isn't there."""
    before = [str(Month.parse(month).plus(-months)) for month in judged.as_of]
    wanted = pd.MultiIndex.from_arrays([judged.subject_no, before], names=features.index.names)
    keyed = features.set_axis(
        pd.MultiIndex.from_arrays(
            [features.index.get_level_values(0), features.index.get_level_values(1).astype(str)],
            names=features.index.names,
        ),
        axis=0,
    )
    return keyed[judged.names].reindex(wanted).to_numpy(dtype=np.float64)


def _told(
    judged: Sample, store: TableStore, raw: str, column: str, characters: int, entitled: np.ndarray
) -> np.ndarray:
    """The last code told of each subject by the end of its as-of month, "" where none or not entitled."""
    codes = np.full(len(judged), "", dtype=object)
    partitions = store.partitions(raw)
    for month in np.unique(judged.as_of):
        known = [period for period in partitions if period <= month]
        if not known:
            continue
        table = store.read(raw, known, columns=["subject_no", column, "period", "received_at"]).to_pandas()
        table = table[table[column].notna()].sort_values(["period", "received_at"], kind="stable")
        last = table.drop_duplicates("subject_no", keep="last").set_index("subject_no")[column]
        here = np.flatnonzero(judged.as_of == month)
        found = last.reindex(judged.subject_no[here]).fillna("").astype(str).str[:characters]
        codes[here] = found.to_numpy()
    inside = judged.subject_no < len(entitled)
    may = np.zeros(len(judged), dtype=bool)
    may[inside] = entitled[judged.subject_no[inside]]
    return np.where(may, codes, "").astype(str)


def _groups(
    judged: Sample,
    kind: SubjectKind,
    names: Sequence[str],
    settings: Settings,
    clock: Clock,
    registry: SubjectRegistry,
) -> Mapping[str, np.ndarray]:
    today = clock.now().astimezone(CHINA_TIME).date()
    vault = open_vault(settings.home / VAULT, kind, Purpose.EVALUATION, today, names)
    if vault is None:
        return {}
    ids = np.asarray(registry.subject_ids(judged.subject_no.astype(np.int32)).to_pylist(), dtype=object)
    return {attribute: vault.groups(attribute, ids) for attribute in vault.attributes}
