"""Leads layer: one list per policy and as-of month, published once."""

from typing import Any

import dagster as dg

from core.definition_file import Bilingual
from features.catalogue import FeatureSet
from leads.monthly_list import Scores, list_monthly
from leads.policy import LeadPolicy
from pipelines.asset_style import MARKETING, asset_key, describe, style
from pipelines.metadata import bars, numbers, table
from pipelines.partitions import months_of
from pipelines.workplace import Workplace

GRAIN = Bilingual(zh="每个主体、产品、活动一行", en="One row per subject, product and campaign")

_PAST = dg.TimeWindowPartitionMapping(start_offset=-48, allow_nonexistent_upstream_partitions=True)


def lead_asset(
    policy: LeadPolicy, scores: Scores, feature_set: FeatureSet, registers: list[str]
) -> dg.AssetsDefinition:
    """The asset `leads/<subject>/<policy>`."""
    score_deps = [
        dg.AssetKey(name.split("/")) for name in (scores.risk, scores.acquisition) if name is not None
    ]

    @dg.asset(
        **style("leads", policy.subject, policy.policy, MARKETING, kinds={"csv", "delta"}),
        deps=[
            *score_deps,
            asset_key("features", policy.subject, feature_set.name),
            *(
                dg.AssetDep(asset_key("raw", policy.subject, name), partition_mapping=_PAST)
                for name in registers
            ),
        ],
        description=describe(
            GRAIN,
            policy.title,
            "Consented, not suppressed, risk-gated, ranked by expected value, with an always-on random holdout.",
            "须有授权且不在禁止名单，经风险把关，按预期价值排序，并始终保留随机对照组。",
        ),
        metadata={"policy_sha256": policy.sha256},
    )
    def leads(context: dg.AssetExecutionContext, workplace: dg.ResourceParam[Workplace]) -> None:
        for month in months_of(context):
            listed = list_monthly(
                policy, scores, feature_set, month, entitlements=workplace.entitlements(policy.subject),
                store=workplace.store, state=workplace.state, settings=workplace.settings,
                registry=workplace.registry(policy.subject), clock=workplace.clock,
            )  # fmt: skip
            arms = {f"arm_{arm}": rows for arm, rows in listed.arms.items()}
            told: dict[str, Any] = numbers({"leads": listed.rows, "held_out": listed.held_out} | arms)
            steps = [
                [step["reason"], step["zh"], step["excluded"], step["remaining"]] for step in listed.waterfall
            ]
            told |= table("who was left out", ["reason", "原因", "left out", "remaining"], steps)
            told |= bars(
                "remaining after each rule", [str(s[0]) for s in steps], [float(str(s[3])) for s in steps]
            )
            told |= {"list_version": listed.list_version, "folder": dg.MetadataValue.path(str(listed.folder))}
            context.add_asset_metadata(told, partition_key=str(month))

    return leads
