"""One home with the definitions that say what its tables hold: what access and erasure work on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.clock import Clock
from core.progress import Progress
from core.settings import Settings
from core.state import StateDatabase
from core.table_schema import ColumnType, TableSchema
from core.table_store import TableStore
from expectations.contract import Contract
from features.catalogue import FeatureSet
from models.definition import ModelDefinition
from sources.adapter import Adapter


@dataclass(frozen=True)
class Installation:
    """Everything that may hold something about a subject, opened."""

    settings: Settings
    store: TableStore
    state: StateDatabase
    clock: Clock
    progress: Progress
    contracts: Mapping[str, Contract]
    adapters: Mapping[str, Adapter]
    feature_sets: Mapping[str, FeatureSet]
    models: Mapping[str, ModelDefinition]

    def schema(self, table: str) -> TableSchema | None:
        """The contract behind `raw/<owner>/<table>` or `trial/<owner>/<table>`, None for other tables."""
        layer, _, rest = table.partition("/")
        contract = self.contracts.get(rest.rpartition("/")[2]) if layer in ("raw", "trial") else None
        return contract.schema() if contract is not None else None

    def party_columns(self, table: str) -> list[str]:
        """Columns in which a table names subjects by pseudonym beside the one that a row is about."""
        schema = self.schema(table)
        return [] if schema is None else party_columns(schema)

    def lists(self) -> Path:
        """Folder of exported lists."""
        return self.settings.out / "leads"


def party_columns(schema: TableSchema) -> list[str]:
    """Text columns of a table that hold pseudonyms of somebody else."""
    return [
        column.name
        for column in schema.columns
        if column.name not in ("subject_id", "period")
        and (column.type is ColumnType.SUBJECT or column.data_class == "pseudonym")
    ]
