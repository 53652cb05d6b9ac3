"""Facts layer: each delivered month folded once; a later delivery re-folds its own month only."""

import dagster as dg

from core.definition_file import Bilingual
from features.fact_definition import FactDefinition
from features.fact_store import fold_partition
from pipelines.asset_style import DATA_ENGINEERS, asset_key, describe, style
from pipelines.metadata import bars, numbers
from pipelines.partitions import months_of
from pipelines.workplace import Workplace

GRAIN = Bilingual(
    zh="每个主体、每月、每次获知一行",
    en="One row per subject, month and moment of knowledge",
)


def _sources(definition: FactDefinition) -> list[dg.AssetDep]:
    look_back = dg.TimeWindowPartitionMapping(
        start_offset=-definition.look_back, allow_nonexistent_upstream_partitions=True
    )
    mapping = look_back if definition.look_back else None
    if not definition.upstream:
        return [
            dg.AssetDep(asset_key("raw", definition.subject, definition.table), partition_mapping=mapping)
        ]
    link, other = (asset_key("facts", each.subject, each.facts) for each in definition.upstream)
    return [dg.AssetDep(link), dg.AssetDep(other, partition_mapping=mapping)]


def fact_asset(definition: FactDefinition) -> dg.AssetsDefinition:
    """The asset `facts/<subject>/<facts>`, below the raw table that it is folded from or the facts that it is joined from."""

    @dg.asset(
        **style(
            "facts",
            definition.subject,
            definition.facts,
            DATA_ENGINEERS,
            kinds={"delta", "numpy"},
        ),
        deps=_sources(definition),
        description=describe(
            GRAIN,
            definition.title,
            "Refuses months whose raw rows no passing receipt vouches for.",
            "原始数据没有通过校验的回执时拒绝计算。",
        ),
    )
    def facts(context: dg.AssetExecutionContext, workplace: dg.ResourceParam[Workplace]) -> None:
        months = months_of(context)
        rows = []
        with workplace.progress.stage(f"facts/{definition.subject}/{definition.facts}", len(months)) as stage:
            for month in months:
                folded = fold_partition(
                    workplace.store, workplace.state, workplace.clock, definition,
                    workplace.blueprint.schemas[definition.table], month,
                )  # fmt: skip
                rows.append(folded.rows)
                context.add_asset_metadata(
                    numbers(
                        {
                            "rows": folded.rows,
                            "subjects": folded.subjects,
                            "corrections": folded.corrections,
                        }
                    ),
                    partition_key=str(month),
                )
                stage.advance(note=str(month))
        if len(months) > 1:
            context.add_asset_metadata(bars("rows by month", [str(m) for m in months], rows))

    return facts
