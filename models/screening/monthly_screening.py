"""Screen the stored features of as-of months, with the outcomes of a model that stands on them, and keep the page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from core.errors import GsceneError
from core.months import Month
from core.purpose import Purpose
from core.state import StateDatabase
from core.table_store import TableStore
from features.catalogue import FeatureSet
from features.entitlement import Entitlements
from features.feature_store import usable_features
from models.definition import AccountDpdLabel, CampaignResponseLabel, Label, ModelDefinition
from models.labels import EVENTS, NON_EVENTS
from models.monthly_labels import label_table, read_labels
from models.screening.expected_breaks import load_breaks
from models.screening.page import as_json, page
from models.screening.screen import Screening, SourceOf, screen
from sources.versions import ledger_deliveries

#: Months screened beside the as-of month: a year before, half a year, a quarter and the month before.
AGES = (12, 6, 3, 1)


def screen_month(
    store: TableStore,
    state: StateDatabase,
    feature_set: FeatureSet,
    as_of: Month,
    entitlements: Entitlements,
    model: ModelDefinition | None = None,
    purpose: Purpose | None = None,
) -> Screening:
    """Screen one as-of month beside the earlier ones that are stored; `model` says which outcomes and which purpose count.

    Only features and subjects that may be used for that purpose are looked at; without a model for `purpose`, or where neither is
    given for risk. GsceneError where the month has no features.
    """
    stored = set(store.partitions(feature_set.table))
    if str(as_of) not in stored:
        raise GsceneError(
            f"there are no features {feature_set.name} as of {as_of}.", "Run gscene run for that month first."
        )
    months = [as_of.plus(-age) for age in AGES if str(as_of.plus(-age)) in stored] + [as_of]
    outcomes, older = None, []
    if model is not None:
        labelled = set(store.partitions(label_table(model.subject, model.label)))
        # Only outcomes that had shown by this month: the page of an old month stays what it was.
        older = [
            month
            for month in map(Month.parse, sorted(stored & labelled))
            if month.plus(_months_to_show(model.label)) <= as_of
        ]
        outcomes = _outcomes(read_labels(store, model.subject, model.label, older)) if older else None
    # Outcomes need time to ripen: their vintages are others than the months that are compared.
    vintages = older[-AGES[0] :] if outcomes is not None else []
    asked = Purpose(model.purpose) if model is not None else purpose or Purpose.RISK
    wanted = sorted({*vintages, *months})
    features = usable_features(store, feature_set, wanted, asked, entitlements.for_use(as_of)).frame
    sources = {feature.name: _source(feature_set, feature.name) for feature in feature_set.features}
    screened = screen(
        feature_set.name,
        features,
        sources,
        load_breaks(),
        outcomes,
        _platforms(store, state, feature_set, as_of, features),
        [str(month) for month in months],
    )
    return replace(screened, purpose=asked)


def _months_to_show(label: Label) -> int:
    """Months after an as-of month until its outcomes have shown."""
    match label:
        case AccountDpdLabel():
            return label.window_months
        case CampaignResponseLabel():
            # Assigned in the month after, and so many days from then.
            return 1 + -(-label.response_days // 28)
        case _:
            return 0


def write_screening(screening: Screening, feature_set: FeatureSet, folder: Path) -> dict[str, Path]:
    """`screening_<set>/<last month>.html` and `.json` below `folder`, of another purpose than risk with its name behind the
    month; returns the paths."""
    target = folder / f"screening_{feature_set.name}"
    target.mkdir(parents=True, exist_ok=True)
    month = list(screening.rows)[-1]
    month += "" if screening.purpose is Purpose.RISK else f"_{screening.purpose}"
    titles = {feature.name: feature.title for feature in feature_set.features}
    written = {"page": target / f"{month}.html", "table": target / f"{month}.json"}
    written["page"].write_text(page(screening, titles), encoding="utf-8")
    body = json.dumps(as_json(screening), ensure_ascii=False, indent=1, sort_keys=True)
    written["table"].write_text(body + "\n", encoding="utf-8")
    return written


def _source(feature_set: FeatureSet, name: str) -> SourceOf:
    feature = next(each for each in feature_set.features if each.name == name)
    return SourceOf(frozenset(feature_set.source_columns(feature)), feature.months_back)


def _outcomes(labels: pd.DataFrame) -> pd.Series:
    decided = labels[labels["outcome"].isin([*EVENTS, *NON_EVENTS])]
    index = pd.MultiIndex.from_arrays(
        [decided["subject_no"], decided["as_of"].astype(str)], names=["subject_no", "as_of"]
    )
    return pd.Series(decided["outcome"].isin(EVENTS).to_numpy(dtype=np.float64), index=index)


def _platforms(
    store: TableStore, state: StateDatabase, feature_set: FeatureSet, as_of: Month, features: pd.DataFrame
) -> pd.Series | None:
    """The source that told of each subject in the as-of month, by the table with most subjects; None where it is one source."""
    best: tuple[int, np.ndarray, np.ndarray] | None = None
    for definition in feature_set.facts.values():
        # Rows of other subjects (`features.linked_facts`) don't say which platform knows these.
        if definition.upstream or str(as_of) not in store.partitions(definition.raw_table):
            continue
        rows = store.read(definition.raw_table, [str(as_of)], columns=["subject_no", "delivery_no"])
        ledger = ledger_deliveries(state, definition.raw_table, str(as_of))
        source = _by_delivery(rows.column("delivery_no").to_numpy(), {n: d.source for n, d in ledger.items()})
        numbers, first = np.unique(rows.column("subject_no").to_numpy(), return_index=True)
        if len(np.unique(source)) > 1 and (best is None or len(numbers) > best[0]):
            best = len(numbers), numbers, source[first]
    if best is None:
        return None
    told = pd.Series(best[2], index=best[1])
    here = features.index.get_level_values("as_of").astype(str) == str(as_of)
    subjects = features.index.get_level_values("subject_no")
    return told.reindex(subjects).where(here, None).set_axis(features.index)


def _by_delivery(numbers: np.ndarray, sources: Mapping[int, str]) -> np.ndarray:
    different, places = np.unique(numbers, return_inverse=True)
    names: Sequence[str] = [sources.get(int(number), "") for number in different]
    return np.array(names, dtype=object)[places]
