"""Labels layer: what became of subjects after an as-of month, once the performance window has closed."""

import dagster as dg

from core.definition_file import Bilingual
from core.subject import SubjectKind
from models.definition import Label
from models.monthly_labels import build_labels, source_tables
from pipelines.asset_style import RISK_TEAM, asset_key, describe, style
from pipelines.metadata import numbers, table
from pipelines.partitions import months_of
from pipelines.workplace import Workplace

GRAIN = Bilingual(zh="每个主体、每个观察月一行", en="One row per subject and as-of month")
TITLES = {
    "account_dpd": Bilingual(
        zh="表现期内是否违约（逾期天数）", en="Default within the performance window (days past due)"
    ),
    "bank_outcome": Bilingual(zh="银行给出的违约结果", en="Default as the bank states it"),
    "campaign_response": Bilingual(zh="营销后是否响应", en="Response to a campaign"),
}


def label_asset(kind: SubjectKind, label: Label) -> dg.AssetsDefinition:
    """The asset `labels/<subject>/<label kind>`."""
    window = dg.TimeWindowPartitionMapping(
        start_offset=0 if label.kind == "bank_outcome" else -12,
        end_offset=getattr(label, "window_months", 0 if label.kind == "bank_outcome" else 3),
        allow_nonexistent_upstream_partitions=True,
    )

    @dg.asset(
        **style("labels", kind, label.kind, RISK_TEAM, kinds={"delta", "pandas"}),
        deps=[
            dg.AssetDep(asset_key("raw", kind, name), partition_mapping=window)
            for name in source_tables(label)
        ],
        description=describe(
            GRAIN, TITLES[label.kind], "Immature is never good.", "未成熟的样本不算好样本。"
        ),
        metadata={"label_version": label.version},
    )
    def labels(context: dg.AssetExecutionContext, workplace: dg.ResourceParam[Workplace]) -> None:
        months = months_of(context)
        with workplace.progress.stage(f"labels/{kind}/{label.kind}", len(months)) as stage:
            for month in months:
                outcomes = build_labels(
                    workplace.store, workplace.state, workplace.clock, kind, label, month, workplace.entitlements(kind),
                )  # fmt: skip
                counts = outcomes.table["outcome"].value_counts().to_dict()
                told = numbers({str(name): int(count) for name, count in counts.items()})
                told |= table("steps", ["step", "subjects"], list(outcomes.steps.items()))
                context.add_asset_metadata(told, partition_key=str(month))
                stage.advance(note=str(month))

    return labels
