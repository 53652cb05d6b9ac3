"""Where a feature comes from: measure by measure back to the contract's columns and to the columns that each platform sends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from core.table_schema import TableSchema
from features.catalogue import Feature, FeatureSet
from sources.adapter import Adapter


@dataclass(frozen=True)
class SourceColumn:
    """One column of a platform's file that ends in the feature: `<adapter>: <header>`; `constant` where the feed says it once."""

    adapter: str
    source: str
    header: str


@dataclass(frozen=True)
class ColumnLineage:
    """One contract column behind a feature and the platform columns that feed it."""

    table: str
    column: str
    type: str
    unit: str
    data_class: str
    purposes: tuple[str, ...]
    fed_by: tuple[SourceColumn, ...]


@dataclass(frozen=True)
class Lineage:
    """A feature's way: its measures (facts.measure) and every contract column behind them, in order."""

    feature: str
    measures: tuple[str, ...]
    columns: tuple[ColumnLineage, ...]


def lineage_of(
    feature: Feature,
    feature_set: FeatureSet,
    schemas: Mapping[str, TableSchema],
    adapters: Iterable[Adapter],
) -> Lineage:
    """Trace one feature; `schemas` by table."""
    known = list(adapters)
    columns: dict[tuple[str, str], ColumnLineage] = {}
    for facts, measure in feature.sides:
        for owner, table, name in feature_set.facts[facts].contract_columns(measure):
            column = schemas[table].column(name)
            fed = [
                _fed(adapter, name)
                for adapter in known
                if adapter.target == table and adapter.subject == owner
            ]
            columns[table, name] = ColumnLineage(
                table=table,
                column=name,
                type=str(column.type),
                unit=column.unit,
                data_class=column.data_class,
                purposes=tuple(str(purpose) for purpose in column.purposes),
                fed_by=tuple(one for one in fed if one is not None),
            )
    measures = tuple(f"{facts}.{measure}" for facts, measure in feature.sides)
    return Lineage(feature.name, measures, tuple(columns.values()))


def _fed(adapter: Adapter, column: str) -> SourceColumn | None:
    rule = adapter.columns.get(column)
    if rule is None:
        return None
    return SourceColumn(adapter.adapter, adapter.source, rule.source_column or "(constant)")
