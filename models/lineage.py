"""Purpose over the whole lineage of a model: contract columns → facts → features and outcomes → model.

What a model is for must lie in the intersection of what every column behind it allows. Told when definitions load, with the
line of the model's file, not in review.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from core.definition_file import CODE, line_of
from core.errors import Refusal
from core.purpose import Purpose
from core.table_schema import TableSchema
from features.catalogue import FeatureSet
from models.definition import FOLDER, Label, ModelDefinition

#: Table and column, as contracts name them.
Source = tuple[str, str]

#: Columns that decide an outcome, by kind of label.
OUTCOME_COLUMNS: dict[str, tuple[Source, ...]] = {
    "account_dpd": tuple(
        ("bk_account_month", name)
        for name in ("acct_id", "dpd", "max_dpd_m", "five_class", "writeoff_flag", "months_on_book")
    ),
    "bank_outcome": (("bank_outcome", "default_flag"),),
    "campaign_response": (
        *(("mk_assignment", name) for name in ("campaign_id", "arm", "assigned_date")),
        *(("mk_response", name) for name in ("campaign_id", "event", "event_date")),
    ),
}


def feature_sources(feature_set: FeatureSet, purpose: Purpose) -> Iterator[tuple[str, Source]]:
    """(feature, column behind it) for every feature of the purpose."""
    for feature in feature_set.features:
        if purpose not in feature.purposes:
            continue
        sides = [(feature.facts, feature.measure)]
        if feature.over is not None:
            sides.append((feature.over_facts, feature.over))
        for facts, measure in sides:
            for _, table, column in feature_set.facts[facts].contract_columns(measure):
                yield feature.name, (table, column)


def data_sources(definition: ModelDefinition, feature_set: FeatureSet) -> list[str]:
    """Contract tables behind the features and the outcome of a model."""
    features = {table for _, (table, _) in feature_sources(feature_set, Purpose(definition.purpose))}
    return sorted(features | {table for table, _ in OUTCOME_COLUMNS[definition.label.kind]})


def allowed_purposes(
    sources: Iterator[Source] | list[Source], schemas: Mapping[str, TableSchema]
) -> set[Purpose]:
    """The intersection of what these columns may serve."""
    allowed = set(Purpose)
    for table, column in sources:
        allowed &= set(schemas[table].column(column).purposes)
    return allowed


def check_model(
    definition: ModelDefinition,
    feature_sets: Mapping[str, FeatureSet],
    schemas: Mapping[str, TableSchema],
    folder: Path = FOLDER,
) -> None:
    """Refusal with file and line where the model's purpose isn't allowed all the way down to the contracts."""
    path, purpose = folder / f"{definition.name}.yaml", Purpose(definition.purpose)
    feature_set = feature_sets.get(definition.feature_set)
    if feature_set is None or feature_set.subject is not definition.subject:
        raise _refuse(
            path, f"there is no feature set {definition.feature_set} of {definition.subject}s", "feature_set"
        )
    names = feature_set.for_purpose(purpose)
    if not names:
        raise _refuse(
            path, f"no feature of {definition.feature_set} may serve the purpose {purpose}", "feature_set"
        )
    for feature, source in feature_sources(feature_set, purpose):
        if purpose not in allowed_purposes([source], schemas):
            raise _refuse(
                path,
                f"{feature} stands on {'.'.join(source)}, which may not serve the purpose {purpose}",
                "feature_set",
            )
    _check_outcome(path, definition.label, purpose, schemas)


def _check_outcome(path: Path, label: Label, purpose: Purpose, schemas: Mapping[str, TableSchema]) -> None:
    for source in OUTCOME_COLUMNS[label.kind]:
        if purpose not in allowed_purposes([source], schemas):
            raise _refuse(
                path,
                f"the outcome {label.kind} stands on {'.'.join(source)}, which may not serve the purpose {purpose}",
                "label",
            )


def _refuse(path: Path, message: str, place: str) -> Refusal:
    return Refusal(
        CODE,
        message + ".",
        file=str(path),
        line=line_of(path, place),
        remedy="Choose another feature set or outcome, or ask the owner of the contract to allow the purpose.",
    )
