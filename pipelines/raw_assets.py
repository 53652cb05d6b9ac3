"""Raw layer: deliveries of a month taken in, then judged by a Great Expectations suite that blocks what comes after."""

from typing import Any

import dagster as dg

from core.months import Month
from core.subject import TableOwner
from expectations.contract import Contract
from expectations.plausibility import Probe
from pipelines.asset_style import asset_key, describe, style
from pipelines.metadata import bars, numbers, table
from pipelines.partitions import as_of_months, months_of
from pipelines.plausibility_checks import findings_on
from pipelines.quarantine_checks import held_in, told_of_held
from pipelines.workplace import Workplace
from sources.month_intake import MonthTaken, take_in_month


def raw_asset(contract: Contract, owner: TableOwner) -> dg.AssetsDefinition:
    """The asset `raw/<owner>/<table>`: accepted rows of the month's deliveries, with both clocks."""

    @dg.asset(
        **style("raw", owner, contract.table, f"team:{contract.keeper}", kinds={"delta", "csv"}),
        description=describe(
            contract.grain,
            contract.title,
            "Every accepted version of a row stays; a bad delivery is refused whole.",
            "每个已接收的版本都保留；有问题的交付整批拒收。",
        ),
        metadata={"contract": f"{contract.table} {contract.version}", "cadence": contract.cadence},
    )
    def raw(context: dg.AssetExecutionContext, workplace: dg.ResourceParam[Workplace]) -> None:
        months, rows = months_of(context), []
        with workplace.progress.stage(contract.raw_table(owner), len(months)) as stage:
            for month in months:
                taken = take_in_month(
                    owner, contract.schema(), month, adapters=workplace.blueprint.adapters, store=workplace.store,
                    registry=workplace.registry(owner), state=workplace.state, archive=workplace.settings.archive,
                    keys=workplace.settings.keys, clock=workplace.clock,
                )  # fmt: skip
                rows.append(taken.accepted)
                held = told_of_held(held_in(workplace, contract, owner, month))
                context.add_asset_metadata(_told(taken) | held, partition_key=str(month))
                stage.advance(note=str(month))
        if len(months) > 1:
            context.add_asset_metadata(bars("rows by month", [str(m) for m in months], rows))

    return raw


def suite_check(
    contract: Contract, owner: TableOwner, probes: tuple[Probe, ...] = ()
) -> dg.AssetChecksDefinition:
    """The blocking, partitioned check of a raw asset: runs the contract's suite and writes the receipt that readers demand.

    Of `probes` those that block (days that aren't reconciled) count as rules.
    """
    key = asset_key("raw", owner, contract.table)
    blocking = tuple(probe for probe in probes if probe.blocks)

    @dg.asset_check(
        asset=key,
        name="contract",
        blocking=True,
        partitions_def=as_of_months,
        description=f"Great Expectations suite of the contract {contract.table} {contract.version}. 合同校验，不通过则阻断下游。",
    )
    def contract_holds(
        context: dg.AssetCheckExecutionContext, workplace: dg.ResourceParam[Workplace]
    ) -> dg.AssetCheckResult:
        from expectations.receipts import write_receipt
        from expectations.validate import validate_partitions

        months = [str(month) for month in months_of(context.op_execution_context)]
        there = set(workplace.store.partitions(contract.raw_table(owner)))
        delivered = [month for month in months if month in there]
        failed, rows = [], 0
        findings_of = findings_on(workplace, contract, owner, blocking)
        with workplace.progress.stage(f"validate {contract.raw_table(owner)}", len(delivered)) as stage:
            for judged in validate_partitions(
                workplace.store, contract, contract.raw_table(owner), delivered
            ):
                found = findings_of.of(Month.parse(judged.partition)) if blocking else ()
                holds = tuple(one for one in found if one.blocks)
                write_receipt(
                    workplace.state,
                    judged.table,
                    judged.partition,
                    judged.content_hash,
                    judged.outcome,
                    workplace.clock,
                    holds,
                )
                rows += judged.outcome.counts["rows"]
                failed += [(judged.partition, failure) for failure in judged.outcome.failures]
                failed += [(judged.partition, str(one)) for one in holds]
                if len(months) > 1:
                    passed = judged.outcome.passed and not holds
                    _log_month(context, key, judged.partition, passed, judged.outcome.counts)
                stage.advance(note=judged.partition)
        told = numbers(
            {"rows": rows, "failures": len(failed), "months_without_delivery": len(months) - len(delivered)}
        )
        return dg.AssetCheckResult(
            passed=not failed,
            metadata=told | (table("failures", ["month", "rule"], failed[:20]) if failed else {}),
        )

    return contract_holds


def _log_month(
    context: dg.AssetCheckExecutionContext, key: dg.AssetKey, period: str, passed: bool, counts: Any
) -> None:
    """A run over a range evaluates a check once, without a partition; each month's verdict is logged beside it."""
    context.op_execution_context.log_event(
        dg.AssetCheckEvaluation(  # type: ignore[arg-type]
            asset_key=key,
            check_name="contract",
            passed=passed,
            metadata=dict(numbers(counts)),
            partition=period,
            blocking=True,
        )
    )


def _told(taken: MonthTaken) -> dict[str, Any]:
    told = numbers(
        {
            "deliveries": taken.deliveries,
            "rows_delivered": taken.delivered,
            "rows_accepted": taken.accepted,
            "rows_left_out": sum(taken.left_out.values()),
            "rows_quarantined": taken.quarantined,
            "deliveries_held": taken.held,
            "warnings": len(taken.warnings),
        }
    )
    if taken.warnings:
        told |= table("delivery warnings", ["delivery and check", "found"], sorted(taken.warnings.items()))
    if taken.left_out:
        told |= table("left out", ["reason", "rows"], sorted(taken.left_out.items()))
    return told
