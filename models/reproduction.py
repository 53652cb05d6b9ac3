"""Train again from what a bundle's card says and compare: the same tables, definition, seeds and libraries give the same bytes.

Nothing is kept of the second training but the comparison.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from core.errors import Refusal
from core.months import Month
from core.progress import Progress
from core.settings import Settings
from core.state import ModelVersion, StateDatabase
from core.table_store import TableStore
from features.catalogue import FeatureSet
from features.entitlement import Entitlements
from models.artefact import CARD, PARTS, load_bundle, write_bundle
from models.bundle_card import BundleCard
from models.definition import ModelDefinition
from models.monthly_training import train_on_sample, training_sample, vintages_of
from models.training import library_versions

CODE = "REFUSED/REPRODUCTION"


@dataclass(frozen=True)
class Reproduction:
    """sha256 of the version and of the training made now, and the names of the files of the bundle that differ."""

    recorded_sha256: str
    made_sha256: str
    differing: tuple[str, ...]

    @property
    def same(self) -> bool:
        """To the byte."""
        return self.recorded_sha256 == self.made_sha256


def reproduce(
    version: ModelVersion,
    feature_set: FeatureSet,
    *,
    store: TableStore,
    state: StateDatabase,
    settings: Settings,
    progress: Progress,
    entitlements: Entitlements,
) -> Reproduction:
    """Train the version again. Refusal REFUSED/REPRODUCTION where its tables, catalogue or libraries aren't there any more.

    Where consent was withdrawn or data erased since then the sample is another one: the comparison says so, it isn't refused.
    """
    bundle = load_bundle(settings.home / version.bundle, version.bundle_sha256)
    card = bundle.card
    definition = ModelDefinition.model_validate(card.record["definition"])
    month = Month.parse(card.training_month)
    require_libraries(card)
    if definition.sha256 != card.definition_sha256 or feature_set.sha256 != card.feature_set_sha256:
        raise _refuse(
            "the definition's form or the feature catalogue is not that of the training",
            "Check out the revision of the project that it was trained with.",
        )
    require_tables(card, definition, month, store)
    made = training_sample(
        definition, feature_set, month, store=store, state=state, entitlements=entitlements
    )
    record, _ = train_on_sample(
        definition, feature_set, made, card.input_tables, threads=settings.threads, progress=progress
    )
    with tempfile.TemporaryDirectory(dir=settings.home) as folder:
        sha256 = write_bundle(record, Path(folder), card.notice_texts)
        differing = tuple(
            name
            for name in (CARD, *PARTS)
            if (Path(folder) / name).read_bytes() != (bundle.path / name).read_bytes()
        )
    return Reproduction(bundle.sha256, sha256, differing)


def require_libraries(card: BundleCard) -> None:
    """Refusal that names each library whose version isn't that of the training."""
    recorded, here = card.record["libraries"], library_versions()
    other = [
        f"{name} {recorded.get(name, '-')} (here {here.get(name, '-')})"
        for name in sorted({*recorded, *here})
        if recorded.get(name) != here.get(name)
    ]
    if other:
        raise _refuse(f"libraries differ: {', '.join(other)}", "Install those versions, then try again.")


def require_tables(card: BundleCard, definition: ModelDefinition, month: Month, store: TableStore) -> None:
    """Refusal where a month that the training read holds other bytes now than in the version that it read, or that is gone."""
    months, _ = vintages_of(definition, month)
    for table, number in sorted(card.input_tables.items()):
        if not 0 <= number <= store.version(table):
            raise _refuse(f"version {number} of {table} isn't there any more", _RESTORE)
        try:
            held = set(store.partitions(table, number))
            changed = [
                str(each)
                for each in months
                if str(each) in held | set(store.partitions(table))
                and store.content_hash(table, str(each), number) != store.content_hash(table, str(each))
            ]
        except (
            Exception
        ) as error:  # delta-rs has no one kind of error for a version that vacuum or a lost log took
            raise _refuse(
                f"version {number} of {table} isn't readable ({type(error).__name__})", _RESTORE
            ) from None
        if changed:
            raise _refuse(f"{table} has changed since version {number} in {', '.join(changed)}", _RESTORE)


_RESTORE = "Restore a backup of the lake from then into another home, and reproduce there."


def _refuse(message: str, remedy: str) -> Refusal:
    return Refusal(CODE, message + ".", remedy=remedy)
