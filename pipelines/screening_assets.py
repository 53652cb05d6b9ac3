"""Reports layer: the screening of a feature set, month by month, before anybody models with it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from core.definition_file import Bilingual
from core.purpose import Purpose
from features.catalogue import FeatureSet
from models.definition import ModelDefinition
from pipelines.asset_style import RISK_TEAM, asset_key, describe, style
from pipelines.metadata import bars, numbers, table
from pipelines.partitions import months_of
from pipelines.workplace import Blueprint, Workplace

if TYPE_CHECKING:
    from models.screening.screen import Screening

GRAIN = Bilingual(zh="每个特征集、每个观察月一份", en="One page per feature set and as-of month")

#: Vintages whose outcomes have ripened, and the months compared with, lie within two years.
_PAST = dg.TimeWindowPartitionMapping(start_offset=-24, allow_nonexistent_upstream_partitions=True)

#: Features named in the Dagster pages; the page has all.
SHOWN = 15


def screening_name(feature_set: str) -> str:
    """Last part of the asset's key, and folder of its pages below `out/reports`."""
    return f"screening_{feature_set}"


def screened_with(plan: Blueprint, feature_set: str) -> dict[Purpose, ModelDefinition | None]:
    """The purposes that a set has features for, each screened by itself as its models would see it; and the model whose outcomes
    say how strong a feature is: the first of the purpose on the set, if there is one."""
    on_it = [model for model in plan.models.values() if model.feature_set == feature_set]
    return {
        purpose: next((model for model in on_it if model.purpose == purpose), None)
        for purpose in (Purpose.RISK, Purpose.MARKETING)
        if plan.feature_sets[feature_set].for_purpose(purpose)
    }


def screening_asset(
    feature_set: FeatureSet, screened: Mapping[Purpose, ModelDefinition | None]
) -> dg.AssetsDefinition:
    """The asset `reports/<subject>/screening_<set>`."""
    above = [asset_key("features", feature_set.subject, feature_set.name)]
    models = [model for model in screened.values() if model is not None]
    above += sorted({asset_key("labels", model.subject, model.label.kind) for model in models})

    @dg.asset(
        **style(
            "reports",
            feature_set.subject,
            screening_name(feature_set.name),
            RISK_TEAM,
            kinds={"numpy", "html"},
        ),
        deps=[dg.AssetDep(key, partition_mapping=_PAST) for key in above],
        description=describe(
            GRAIN,
            feature_set.title,
            "Gaps, information value, drift by month and platform, likeness, leak suspects of every feature.",
            "每个特征的缺失、信息值、按月和按平台的漂移、相近特征和疑似泄漏。",
        ),
    )
    def screening(context: dg.AssetExecutionContext, workplace: dg.ResourceParam[Workplace]) -> None:
        from models.screening.monthly_screening import screen_month, write_screening

        entitlements = workplace.entitlements(feature_set.subject)
        for month in months_of(context):
            shown: dict[str, Any] = {}
            for purpose, model in screened.items():
                told = screen_month(
                    workplace.store, workplace.state, feature_set, month, entitlements, model, purpose
                )
                written = write_screening(told, feature_set, workplace.settings.out / "reports")
                # Risk keeps the plain names, so that its figures go on plotting where they were.
                before = "" if purpose is Purpose.RISK else f"{purpose} "
                shown |= {before + name: value for name, value in _shown(told, str(month)).items()}
                shown |= {before + name: dg.MetadataValue.path(str(path)) for name, path in written.items()}
            context.add_asset_metadata(shown, partition_key=str(month))

    return screening


def _shown(told: "Screening", month: str) -> dict[str, Any]:
    """Figures, one picture and the findings of one screening."""
    shown = numbers(told.figures)
    if told.outcomes:
        title, drawn = "information value", [(f.iv or 0.0, f.name) for f in told.features]
    else:
        title, drawn = "missing share", [(f.missing[month], f.name) for f in told.features]
    drawn = sorted(drawn, reverse=True)[:SHOWN]
    shown |= bars(title, [name for _, name in drawn], [value for value, _ in drawn])
    if told.suspects:
        rows = [[s.feature, s.by, s.auc] for s in told.suspects[:SHOWN]]
        shown |= table("suspected leaks", ["feature", "by its", "AUC"], rows)
    moved = [[f.name, ", ".join(f.alarms)] for f in told.features if f.alarms]
    if moved:
        shown |= table("unexplained drift", ["feature", "months"], moved[:SHOWN])
    return shown
