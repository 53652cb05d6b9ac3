"""All definitions, put together once: `build_definitions(**overrides)`."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg

from core.errors import GsceneError
from core.subject import SubjectKind
from core.telemetry import quiet
from leads.lineage import check_list
from leads.monthly_list import Scores
from leads.policy import load_policies
from models.definition import Label
from pipelines.fact_assets import fact_asset
from pipelines.feature_assets import feature_asset
from pipelines.jobs import jobs, schedules
from pipelines.label_assets import label_asset
from pipelines.lead_assets import lead_asset
from pipelines.model_assets import model_asset, score_asset
from pipelines.monitoring_assets import monitoring_asset
from pipelines.plausibility_checks import plausibility_check
from pipelines.pull_job import pull, pull_schedule
from pipelines.quarantine_checks import quarantine_check
from pipelines.raw_assets import raw_asset, suite_check
from pipelines.screening_assets import screened_with, screening_asset
from pipelines.sensors import monitoring_triggers, waiting_deliveries
from pipelines.workplace import Blueprint, Workplace, blueprint

CHECKOUT = Path(__file__).resolve().parents[1]

#: Which scores and registers each lead policy stands on.
REGISTERS = ["consent_register", "suppression", "bk_customer", "bk_account_month", "mk_assignment"]
LISTS = {
    "resident_consumer_loan": ("resident_monthly", "resident_risk", "resident_acquisition", REGISTERS),
    "enterprise_credit_line": ("enterprise_monthly", "enterprise_risk", "enterprise_acquisition", REGISTERS),
    "invoice_prospects": ("enterprise_invoice", "invoice_risk", None, ["bank_outcome"]),
}


def default_home() -> Path:
    """GSCENE_HOME, or the demo's folder in the checkout."""
    return Path(os.environ.get("GSCENE_HOME", CHECKOUT / "var" / "demo"))


def build_definitions(workplace: Workplace | None = None) -> dg.Definitions:
    """Definitions of the whole graph. Without a `workplace`, each run opens the home folder of `default_home`."""
    quiet(os.environ)
    plan = blueprint()
    resource = (
        dg.ResourceDefinition.hardcoded_resource(workplace)
        if workplace is not None
        else dg.ResourceDefinition(lambda _context: Workplace.open(default_home()))
    )
    assets, checks = _assets(plan)
    return dg.Definitions(
        assets=assets,
        asset_checks=checks,
        jobs=[*jobs(), pull],
        schedules=[*schedules(), pull_schedule()],
        sensors=[waiting_deliveries(default_home), monitoring_triggers(default_home)],
        resources={"workplace": resource},
        executor=dg.in_process_executor,
    )


def _assets(plan: Blueprint) -> tuple[list[dg.AssetsDefinition], list[dg.AssetChecksDefinition]]:
    assets, checks = [], []
    fed = {(adapter.target, adapter.subject) for adapter in plan.adapters.values()}
    for contract in plan.contracts.values():
        for owner in contract.owners:
            probes = plan.probes.get(contract.table, ())
            assets.append(raw_asset(contract, owner))
            checks.append(suite_check(contract, owner, probes))
            if probes:
                checks.append(plausibility_check(contract, owner, probes))
            if (contract.table, owner) in fed:
                checks.append(quarantine_check(contract, owner))
    assets += [fact_asset(definition) for definition in plan.facts.values()]
    assets += [feature_asset(feature_set) for feature_set in plan.feature_sets.values()]
    assets += [screening_asset(each, screened_with(plan, name)) for name, each in plan.feature_sets.items()]
    labels: dict[tuple[SubjectKind, str], Label] = {}
    for model in plan.models.values():
        if labels.setdefault((model.subject, model.label.kind), model.label) != model.label:
            raise GsceneError(
                f"{model.name} defines the outcome {model.label.kind} in another way than an earlier model.",
                "Models of one subject kind share one table of outcomes of a kind: use the same label in both definitions.",
            )
    assets += [label_asset(kind, label) for (kind, _), label in labels.items()]
    for definition in plan.models.values():
        feature_set = plan.feature_sets[definition.feature_set]
        assets += [model_asset(definition, feature_set), score_asset(definition, feature_set)]
        assets.append(monitoring_asset(definition, feature_set))
    for name, policy in load_policies().items():
        features, risk, acquisition, registers = LISTS[name]
        acquired = plan.models[acquisition] if acquisition is not None else None
        check_list(policy, plan.models[risk], acquired, registers, plan.schemas)
        assets.append(
            lead_asset(
                policy, _scores(policy.subject, risk, acquisition), plan.feature_sets[features], registers
            )
        )
    return assets, checks


def _scores(kind: SubjectKind, risk: str, acquisition: str | None) -> Scores:
    return Scores(
        f"scores/{kind}/{risk}", f"scores/{kind}/{acquisition}" if acquisition is not None else None
    )
