"""A signed home with stored features of several months, from the bank's own records, which no consent is asked for."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from core.derivation import record_derivation
from core.months import Month
from core.purpose import Purpose
from core.subject import SubjectKind
from core.subject_registry import SubjectRegistry
from core.table_store import TableStore
from expectations.contract import load_contracts
from features.as_of import feature_schema
from features.catalogue import FeatureSet
from features.entitlement import Entitlement, Entitlements
from features.feature_store import feature_recipe
from models.monthly_scores import Scored, score_monthly
from tests.features.test_consent_mask import TEXT, entitlement, facts, feature
from tests.models.signing import SignedHome
from tests.models.worlds import NAMES, definition, matrix

KIND = SubjectKind.ENTERPRISE
CONTRACTS = load_contracts()
RISK = frozenset({Purpose.RISK})


def tiny_set(*sources: str) -> FeatureSet:
    """The four features of the small model, each from the source named for it."""
    made = tuple(
        dataclasses.replace(feature(source, "sum", RISK), name=name)
        for name, source in zip(NAMES, sources, strict=True)
    )
    defined = {
        source: facts(source).model_copy(update={"subject": KIND, "table": source}) for source in set(sources)
    }
    return FeatureSet("tiny", KIND, TEXT, made, defined)


OWN = tiny_set("bk_account_month", "bk_account_month", "bk_customer", "bk_customer")


@dataclass(frozen=True)
class Given:
    """Stands where `Entitlements` does, with one entitlement for every month."""

    use: Entitlement
    contracts: dict[str, object]
    cutoff_days: int = 5

    def for_use(self, as_of: Month) -> Entitlement:
        """The same for every month."""
        return self.use


def given(*rows: dict[str, object], subjects: int) -> Given:
    """Consents of a register and nothing else."""
    return Given(dataclasses.replace(entitlement(list(rows)), subjects=subjects), CONTRACTS)  # type: ignore[arg-type]


@dataclass
class ScoredHome:
    """A home, its store, and what a month's scoring does in it."""

    signed: SignedHome
    feature_set: FeatureSet = OWN

    def __post_init__(self) -> None:
        self.store = TableStore(self.signed.settings.lake)
        self.registry = SubjectRegistry(self.store, KIND)

    def entitlements(self) -> Entitlements:
        """The real ones of this home."""
        return Entitlements(KIND, self.store, self.signed.state, CONTRACTS, self.signed.clock)

    def features(self, month: Month, values: np.ndarray) -> None:
        """Store (n, 4) features of subjects 0 … n-1 as of a month."""
        ids = pa.array([f"{n:032x}" for n in range(len(values))])
        self.registry.numbers(ids, pa.array([f"P{n:06d}" for n in range(len(values))]))
        columns = {"subject_no": np.arange(len(values), dtype=np.int32)} | dict(
            zip(NAMES, values.T, strict=True)
        )
        table = self.feature_set.table
        self.store.replace(table, str(month), pa.table(columns, schema=feature_schema(self.feature_set)))
        recipe = feature_recipe(self.feature_set, CONTRACTS)
        record_derivation(self.signed.state, self.store, self.signed.clock, (table, str(month)), [], recipe)

    def drawn(self, month: Month, rows: int = 600, seed: int = 0) -> None:
        """Features from the distribution that the model was trained on."""
        self.features(month, matrix(rows, seed)[0])

    def score(self, month: Month, entitlements: Entitlements | Given | None = None) -> Scored:
        """The month's scores."""
        return score_monthly(
            definition(), self.feature_set, month, store=self.store, state=self.signed.state, settings=self.signed.settings,
            registry=self.registry, clock=self.signed.clock, entitlements=entitlements or self.entitlements(),  # type: ignore[arg-type]
        )  # fmt: skip
