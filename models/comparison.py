"""What changed between two versions of a model: features, settings, data, discrimination, calibration, grades."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from core.state import ModelVersion
from models.bundle_card import BundleCard

#: (part, what, before, after); None where the version has no such thing.
Difference = tuple[str, str, Any, Any]

_DEFINITION_PARTS = ("label", "split", "lightgbm", "scorecard", "grades", "challenge")


def differences(
    before: tuple[ModelVersion, BundleCard], after: tuple[ModelVersion, BundleCard]
) -> list[Difference]:
    """Everything that differs, by part; measures always, so that equal ones can be seen as well."""
    (old, old_card), (new, new_card) = before, after
    found: list[Difference] = [("model", "ships", str(old_card.ships), str(new_card.ships))]
    found += _changed("features", _features(old_card), _features(new_card))
    for part in _DEFINITION_PARTS:
        found += _changed(part, _entries(old_card, part), _entries(new_card, part))
    found += _changed("data", old_card.input_tables, new_card.input_tables)
    found += [
        ("discrimination", name, old.metrics.get(name), new.metrics.get(name))
        for name in sorted(old.metrics.keys() | new.metrics.keys())
        if name.endswith((".auc", ".auc_mean", ".ks"))
    ]
    found += [("calibration", name, *values) for name, values in _calibration(old_card, new_card)]
    found += _changed("grades", _grades(old_card), _grades(new_card))
    return [each for each in found if each[0] in ("discrimination", "calibration") or each[2] != each[3]]


def _changed(part: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Difference]:
    names = [*old, *(name for name in new if name not in old)]
    return [(part, name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)]


def _features(card: BundleCard) -> dict[str, str]:
    """Direction by feature; one that isn't there is told by its absence."""
    told = {1: "raises", -1: "lowers", 0: "free"}
    return {feature.name: told[feature.sign] for feature in card.features}


def _entries(card: BundleCard, part: str) -> dict[str, Any]:
    return dict(card.record["definition"][part])


def _calibration(old: BundleCard, new: BundleCard) -> Iterator[tuple[str, tuple[Any, Any]]]:
    for name in ("kind", "slope", "intercept", "shift", "central_tendency", "rows", "events"):
        yield name, (getattr(old.calibration, name), getattr(new.calibration, name))


def _grades(card: BundleCard) -> dict[str, float]:
    return {f"bound {place}": bound for place, bound in enumerate(card.grade_bounds, 1)}
