"""Models, scores: training as of a month with what was known then, and the monthly scores of everyone with features."""

import dagster as dg

from core.definition_file import Bilingual
from features.catalogue import FeatureSet
from models.definition import ModelDefinition
from pipelines.asset_style import RISK_TEAM, asset_key, describe, style
from pipelines.metadata import bars, ineligible, numbers, table
from pipelines.partitions import months_of
from pipelines.workplace import Workplace

MODEL_GRAIN = Bilingual(zh="每个训练月一个模型版本", en="One model version per training month")
SCORE_GRAIN = Bilingual(zh="每个主体、每个观察月一行", en="One row per subject and as-of month")

#: Findings of a validation that Dagster plots over training months.
VALIDATION_NUMBERS = frozenset(
    f"validation.{name}"
    for name in (
        "discrimination.auc", "discrimination.ks", "calibration.observed_over_expected", "calibration.cox_slope",
        "stability.score_psi", "stability.rank_correlation", "findings_warn", "findings_fail", "findings_unproven",
    )
)  # fmt: skip

#: Vintages lie between one month and four years before the training month.
_PAST = dg.TimeWindowPartitionMapping(start_offset=-24, allow_nonexistent_upstream_partitions=True)


def model_asset(definition: ModelDefinition, feature_set: FeatureSet) -> dg.AssetsDefinition:
    """The asset `models/<subject>/<model>`: LightGBM beside a WoE scorecard, the better one ships."""

    @dg.asset(
        **style(
            "models",
            definition.subject,
            definition.name,
            RISK_TEAM,
            kinds={"lightgbm", "scikitlearn", "mlflow"},
        ),
        deps=[
            dg.AssetDep(asset_key("features", definition.subject, feature_set.name), partition_mapping=_PAST),
            dg.AssetDep(
                asset_key("labels", definition.subject, definition.label.kind), partition_mapping=_PAST
            ),
        ],
        description=describe(
            MODEL_GRAIN,
            definition.title,
            "LightGBM ships only where it beats the scorecard.",
            "只有优于评分卡时才采用 LightGBM。",
        ),
        metadata={"definition_sha256": definition.sha256, "purpose": str(definition.purpose)},
    )
    def model(context: dg.AssetExecutionContext, workplace: dg.ResourceParam[Workplace]) -> None:
        from models.monthly_training import train_monthly
        from models.validation.summary import findings_table

        for month in months_of(context):
            trained = train_monthly(
                definition, feature_set, month, store=workplace.store, state=workplace.state,
                settings=workplace.settings, clock=workplace.clock, progress=workplace.progress,
                entitlements=workplace.entitlements(definition.subject),
                registry=workplace.registry(definition.subject),
            )  # fmt: skip
            metrics = trained.record.metrics()
            told = numbers(
                {
                    name: value
                    for name, value in metrics.items()
                    if name.endswith((".auc", ".ks", ".auc_mean"))
                }
            )
            told |= table("sample", ["step", "rows"], list(trained.record.steps.items()))
            told |= numbers({name: value for name, value in metrics.items() if name in VALIDATION_NUMBERS})
            header = ["validation / 验证", "pass", "warn", "fail", "unproven", "not measured"]
            told |= table("validation", header, findings_table(trained.record.findings))
            top = sorted(trained.record.features, key=lambda f: -f.iv)[:12]
            told |= bars(
                "information value of the strongest features", [f.name for f in top], [f.iv for f in top]
            )
            told |= {
                "ships": str(trained.record.ships),
                "why": trained.record.choice.reason_en,
                "report": dg.MetadataValue.path(str(trained.report)),
                "mlflow_run": dg.MetadataValue.url("http://127.0.0.1:5000" + trained.ledger.run_url)
                if trained.ledger is not None
                else f"waits: {trained.waits_for_mlflow}; gscene models sync enters it",
            }
            context.add_asset_metadata(told, partition_key=str(month))

    return model


def score_asset(definition: ModelDefinition, feature_set: FeatureSet) -> dg.AssetsDefinition:
    """The asset `scores/<subject>/<model>`."""

    @dg.asset(
        **style("scores", definition.subject, definition.name, RISK_TEAM, kinds={"delta", "lightgbm"}),
        deps=[
            asset_key("models", definition.subject, definition.name),
            asset_key("features", definition.subject, feature_set.name),
        ],
        description=describe(
            SCORE_GRAIN,
            definition.title,
            "PD, points and grade (1 best), with model version and knowledge cutoff.",
            "违约概率、分数和等级（1 级最好），附模型版本和获知截止时间。",
        ),
    )
    def scores(context: dg.AssetExecutionContext, workplace: dg.ResourceParam[Workplace]) -> None:
        from models.monthly_scores import score_monthly

        for month in months_of(context):
            scored = score_monthly(
                definition, feature_set, month, store=workplace.store, state=workplace.state,
                settings=workplace.settings, registry=workplace.registry(definition.subject), clock=workplace.clock,
                entitlements=workplace.entitlements(definition.subject), scorer=workplace.scorer,
            )  # fmt: skip
            told = numbers({"subjects": scored.rows, "mean_pd": scored.mean_pd})
            told["scored_again"] = scored.scored_again
            told |= ineligible(scored.ineligible)
            told |= table("grades", ["grade", "subjects"], list(scored.by_grade.items()))
            told |= bars(
                "subjects by grade", [str(g) for g in scored.by_grade], list(scored.by_grade.values())
            )
            told |= {"model_version": scored.model_version, "file": dg.MetadataValue.path(str(scored.file))}
            context.add_asset_metadata(told, partition_key=str(month))

    return scores
