"""Which cells of a feature table a subject's consents allow: a feature is there where every source behind it is."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import numpy as np

from core.purpose import Purpose
from features.catalogue import Feature, FeatureSet
from features.entitlement import ENTITLED, Entitlement
from features.windows import PRESENCE

#: Purpose, source and whether only the presence of records is told.
_Key = tuple[Purpose, str, bool]


@dataclass(frozen=True)
class ConsentMask:
    """One feature set under one entitlement, for features that serve any of `purposes`."""

    feature_set: FeatureSet
    entitlement: Entitlement
    purposes: frozenset[Purpose]
    _allowed: dict[_Key, np.ndarray] = field(default_factory=dict, compare=False)

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
        return np.logical_or.reduce([self._of(key)[subjects] for key in sorted(keys)])

    @property
    def features(self) -> list[Feature]:
        """The features that serve any of the purposes, in column order."""
        return [feature for feature in self.feature_set.features if feature.purposes & self.purposes]

    @property
    def sources(self) -> list[str]:
        """Facts behind these features, sorted."""
        return sorted({name for feature in self.features for name in _sources(feature)})

    def questions(self) -> Iterator[tuple[Purpose, str, np.ndarray]]:
        """Every (purpose, facts) that these features stand on, with the reasons by subject_no."""
        asked = {(p, name) for f in self.features for p in f.purposes & self.purposes for name in _sources(f)}
        for purpose, facts in sorted(asked):
            yield purpose, facts, self.entitlement.reasons(purpose, self.feature_set.facts[facts].table)

    def _keys(self, feature: Feature, purpose: Purpose) -> list[_Key]:
        return [(purpose, name, feature.formula in PRESENCE) for name in sorted(_sources(feature))]

    def _of(self, key: _Key) -> np.ndarray:
        if key not in self._allowed:
            purpose, facts, presence = key
            table = self.feature_set.facts[facts].table
            self._allowed[key] = self.entitlement.reasons(purpose, table, presence) == ENTITLED
        return self._allowed[key]


def stored_mask(feature_set: FeatureSet, entitlement: Entitlement) -> ConsentMask:
    """For the table that serves all purposes: a cell is there where any of its feature's purposes may see it."""
    return ConsentMask(feature_set, entitlement, frozenset(Purpose))


def purpose_mask(
    feature_set: FeatureSet, entitlement: Entitlement, purposes: Collection[Purpose]
) -> ConsentMask:
    """For one use."""
    return ConsentMask(feature_set, entitlement, frozenset(purposes))


def _sources(feature: Feature) -> set[str]:
    return {feature.facts} | ({feature.over_facts} if feature.over is not None else set())
