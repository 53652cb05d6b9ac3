"""Reports layer: each model in force, month by month: drift, expected and realised performance, what they call for."""

import dagster as dg

from core.definition_file import Bilingual
from features.catalogue import FeatureSet
from models.definition import AccountDpdLabel, ModelDefinition
from pipelines.asset_style import RISK_TEAM, asset_key, describe, style
from pipelines.metadata import bars, numbers, table
from pipelines.partitions import months_of
from pipelines.workplace import Workplace

GRAIN = Bilingual(zh="每个模型、每个观察月一份", en="One page per model and as-of month")

#: Vintages whose outcomes have shown, and the months compared with, lie within two years.
_PAST = dg.TimeWindowPartitionMapping(start_offset=-24, allow_nonexistent_upstream_partitions=True)

#: Measures that Dagster plots over months.
PLOTTED = (
    "scored", "mean_pd", "score_psi_reference", "score_psi_previous", "features_moved", "source_missing_rise", "ungraded_share",
    "grade_mobility", "grade_jumps", "expected_auc", "expected_auc_fall", "expected_rate", "early_delinquency", "early_auc",
    "mature_vintages", "reference_pd", "understated", "auc_fall",
)  # fmt: skip

SHOWN = 12


def monitoring_name(model: str) -> str:
    """Last part of the asset's key, and folder of its pages below `out/reports`."""
    return f"monitoring_{model}"


def monitoring_asset(definition: ModelDefinition, feature_set: FeatureSet) -> dg.AssetsDefinition:
    """The asset `reports/<subject>/monitoring_<model>`."""
    above = [
        asset_key("scores", definition.subject, definition.name),
        asset_key("features", definition.subject, feature_set.name),
        asset_key("labels", definition.subject, definition.label.kind),
    ]
    if isinstance(definition.label, AccountDpdLabel):
        above.append(asset_key("raw", definition.subject, "bk_account_month"))

    @dg.asset(
        **style(
            "reports",
            definition.subject,
            monitoring_name(definition.name),
            RISK_TEAM,
            kinds={"numpy", "html"},
        ),
        deps=[dg.AssetDep(key, partition_mapping=_PAST) for key in above],
        description=describe(
            GRAIN,
            definition.title,
            "Drift, migration, expected and realised performance, and the triggers for review and retraining.",
            "漂移、等级迁移、预期与实际表现，以及复核和重训的触发。",
        ),
    )
    def monitoring(context: dg.AssetExecutionContext, workplace: dg.ResourceParam[Workplace]) -> None:
        from models.monitoring.kept import keep_month

        for month in months_of(context):
            kept = keep_month(
                definition, feature_set, month, store=workplace.store, state=workplace.state, settings=workplace.settings,
                clock=workplace.clock, entitlements=workplace.entitlements(definition.subject),
            )  # fmt: skip
            told = kept.monitored
            shown = numbers({name: told.value(name) for name in PLOTTED} | {"new_events": kept.events})
            rows = [[d.code, d.about, d.value, d.threshold, d.months, d.response] for d in kept.decisions]
            header = ["reason code", "about", "value", "threshold", "months", "calls for"]
            shown |= table("triggers", header, rows or [["none / 无", "", "", "", "", ""]])
            movers = told.of("feature_psi")[:SHOWN]
            if movers:
                shown |= bars(
                    "PSI of features", [each.about for each in movers], [each.value or 0.0 for each in movers]
                )
            shown |= {
                "model_version": told.model_version,
                "reference_month": told.reference_month or "none / 无",
                "page": dg.MetadataValue.path(str(kept.page)),
                "measures": dg.MetadataValue.path(str(kept.table)),
            }
            context.add_asset_metadata(shown, partition_key=str(month))

    return monitoring
