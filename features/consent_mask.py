"""Which cells of a feature table a subject's consents allow: a feature is there where every source behind it is."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from core.months import Month, knowledge_cutoff
from core.purpose import Purpose
from features.catalogue import Feature, FeatureSet
from features.data_span import DataSpan
from features.entitlement import ENTITLED, Entitlement
from features.windows import PRESENCE

#: Purpose, source, whether only the presence of records is told, and the months where consents may leave some of them out.
_Key = tuple[Purpose, str, bool, DataSpan | None]


@dataclass(frozen=True)
class ConsentMask:
    """One feature set at one as-of month under one entitlement, for features that serve any of `purposes`.

    `known_at`: the moment that the facts are taken at, where it isn't the month's cutoff: whom subjects name depends on it.
    """

    feature_set: FeatureSet
    entitlement: Entitlement
    as_of: Month
    purposes: frozenset[Purpose]
    known_at: datetime | None = None
    _allowed: dict[_Key, np.ndarray] = field(default_factory=dict, compare=False)
    _asked: dict[tuple[str, Purpose], list[_Key]] = field(default_factory=dict, compare=False)

    def cells(self, feature: Feature, subjects: slice | np.ndarray) -> np.ndarray:
        """bool per subject of the slice or of the numbers: whether the feature may be told for any of the purposes."""
        result: np.ndarray | None = None
        for purpose in sorted(feature.purposes & self.purposes):
            allowed = np.logical_and.reduce([self._of(key)[subjects] for key in self._keys(feature, purpose)])
            result = allowed if result is None else result | allowed
        assert result is not None, f"{feature.name} serves none of the purposes"
        return result

    def records(self, facts: str, subjects: slice | np.ndarray) -> np.ndarray:
        """bool per subject: whether a record of the source may count as knowing the subject, for any of the purposes."""
        keys = {
            key
            for feature in self.features
            for purpose in feature.purposes & self.purposes
            for key in self._keys(feature, purpose)
            if key[1] == facts
        }
        return np.logical_or.reduce([self._of(key)[subjects] for key in keys])

    @property
    def features(self) -> list[Feature]:
        """The features that serve any of the purposes, in column order."""
        return [feature for feature in self.feature_set.features if feature.purposes & self.purposes]

    @property
    def sources(self) -> list[str]:
        """Facts behind these features, sorted."""
        return sorted({name for feature in self.features for name in _sources(feature)})

    def questions(self) -> Iterator[tuple[Purpose, str, np.ndarray]]:
        """Every (purpose, facts) that these features stand on, with the reasons by subject_no; whoever may not be told all of
        them has one."""
        asked: dict[tuple[Purpose, str], int] = {}
        for one in self.features:
            for key in ((p, name) for p in one.purposes & self.purposes for name in _sources(one)):
                asked[key] = max(asked.get(key, 0), self.feature_set.months_read(one))
        for (purpose, facts), months_back in sorted(asked.items()):
            yield purpose, facts, self._reasons(purpose, facts, False, self._span(months_back))

    @property
    def limited(self) -> bool:
        """Whether some consent may leave out months that some feature looks at."""
        return any(
            span is not None
            for feature in self.features
            for purpose in feature.purposes & self.purposes
            for *_, span in self._keys(feature, purpose)
        )

    def _span(self, months_back: int) -> DataSpan:
        return DataSpan(self.as_of.plus(1 - months_back), self.as_of, self.entitlement.cutoff_days)

    def _keys(self, feature: Feature, purpose: Purpose) -> list[_Key]:
        asked = (feature.name, purpose)
        if asked not in self._asked:
            presence, span = feature.formula in PRESENCE, self._span(self.feature_set.months_read(feature))
            self._asked[asked] = [
                (purpose, name, presence, span if self._may_bar(name, span) else None)
                for name in sorted(_sources(feature))
            ]
        return self._asked[asked]

    def _may_bar(self, facts: str, span: DataSpan) -> bool:
        """Of linked facts always: whom a subject names is another by the months."""
        definition = self.feature_set.facts[facts]
        return bool(definition.upstream) or self.entitlement.may_bar(definition.table, span)

    def _reasons(self, purpose: Purpose, facts: str, presence: bool, span: DataSpan | None) -> np.ndarray:
        known_at = self.known_at or knowledge_cutoff(self.as_of, self.entitlement.cutoff_days)
        return self.entitlement.of_facts(purpose, self.feature_set.facts[facts], presence, span, known_at)

    def _of(self, key: _Key) -> np.ndarray:
        if key not in self._allowed:
            purpose, facts, presence, span = key
            self._allowed[key] = self._reasons(purpose, facts, presence, span) == ENTITLED
        return self._allowed[key]


def stored_mask(
    feature_set: FeatureSet, entitlement: Entitlement, as_of: Month, known_at: datetime | None = None
) -> ConsentMask:
    """For the table that serves all purposes: a cell is there where any of its feature's purposes may see it."""
    return ConsentMask(feature_set, entitlement, as_of, frozenset(Purpose), known_at)


def purpose_mask(
    feature_set: FeatureSet, entitlement: Entitlement, as_of: Month, purposes: Collection[Purpose]
) -> ConsentMask:
    """For one use."""
    return ConsentMask(feature_set, entitlement, as_of, frozenset(purposes))


def _sources(feature: Feature) -> set[str]:
    return {feature.facts} | ({feature.over_facts} if feature.over is not None else set())
