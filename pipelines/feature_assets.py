"""Features layer: as they were known at the cutoff of the as-of month."""

import dagster as dg

from core.definition_file import Bilingual
from features.catalogue import FeatureSet
from features.panel import build_panel
from pipelines.asset_style import DATA_ENGINEERS, asset_key, describe, style
from pipelines.metadata import ineligible, numbers
from pipelines.partitions import months_of
from pipelines.workplace import Workplace

GRAIN = Bilingual(zh="每个主体、每个观察月一行", en="One row per subject and as-of month")


def feature_asset(feature_set: FeatureSet) -> dg.AssetsDefinition:
    """The asset `features/<subject>/<set>`."""
    look_back = dg.TimeWindowPartitionMapping(
        start_offset=1 - feature_set.months_back, allow_nonexistent_upstream_partitions=True
    )

    @dg.asset(
        **style("features", feature_set.subject, feature_set.name, DATA_ENGINEERS, kinds={"delta", "numpy"}),
        deps=[
            dg.AssetDep(asset_key("facts", feature_set.subject, name), partition_mapping=look_back)
            for name in feature_set.facts
        ],
        description=describe(
            GRAIN,
            feature_set.title,
            f"{len(feature_set.features)} features; later-received records never change them.",
            f"共 {len(feature_set.features)} 个特征；之后收到的数据不会改变它们。",
        ),
        metadata={"feature_set_sha256": feature_set.sha256},
    )
    def features(context: dg.AssetExecutionContext, workplace: dg.ResourceParam[Workplace]) -> None:
        months = months_of(context)
        panel = build_panel(
            workplace.store,
            workplace.state,
            workplace.clock,
            feature_set,
            months,
            workplace.entitlements(feature_set.subject),
            workplace.engine,
            workplace.progress,
        )
        with workplace.progress.stage(feature_set.table, len(months)) as stage:
            for month, built in panel:
                told = numbers(
                    {
                        "subjects": built.rows,
                        "features": built.features,
                        "missing_share": built.missing_share,
                    }
                )
                context.add_asset_metadata(told | ineligible(built.ineligible), partition_key=str(month))
                stage.advance(note=str(month))

    return features
