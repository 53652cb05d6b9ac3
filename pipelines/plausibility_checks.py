"""The non-blocking check of a raw asset that judges each month beside the months before it; counts only."""

import dagster as dg

from core.subject import TableOwner
from expectations.contract import Contract
from expectations.month_findings import WHERE, MonthFindings
from expectations.plausibility import Finding, Probe, Verdict
from pipelines.asset_style import asset_key
from pipelines.metadata import numbers, table
from pipelines.partitions import as_of_months, months_of
from pipelines.workplace import Workplace


def plausibility_check(
    contract: Contract, owner: TableOwner, probes: tuple[Probe, ...]
) -> dg.AssetChecksDefinition:
    """The check `plausible` of `raw/<owner>/<table>`: warns, and fails without blocking, as the table's probes say."""

    @dg.asset_check(
        asset=asset_key("raw", owner, contract.table),
        name="plausible",
        blocking=False,
        partitions_def=as_of_months,
        description="Each month beside the months before it: units, cumulative or repeated values, lost regions, keys. "
        "与前几个月对照，看单位、累计、重复、缺地区、代号是否合理。",
    )
    def plausible(
        context: dg.AssetCheckExecutionContext, workplace: dg.ResourceParam[Workplace]
    ) -> dg.AssetCheckResult:
        findings_of = findings_on(workplace, contract, owner, probes)
        months, told = months_of(context.op_execution_context), []
        with workplace.progress.stage(f"look at {contract.raw_table(owner)}", len(months)) as stage:
            for month in months:
                told += [one for one in findings_of.of(month) if one.verdict is not Verdict.PASS]
                stage.advance(note=str(month))
        failed = [one for one in told if one.verdict is Verdict.FAIL]
        return dg.AssetCheckResult(
            passed=not failed,
            severity=dg.AssetCheckSeverity.WARN,
            metadata=numbers({"warnings": len(told) - len(failed), "failures": len(failed)}) | _table(told),
        )

    return plausible


def findings_on(
    workplace: Workplace, contract: Contract, owner: TableOwner, probes: tuple[Probe, ...]
) -> MonthFindings:
    """The findings on one raw table as its rows are known now."""
    schemas = workplace.blueprint.schemas
    return MonthFindings(
        workplace.store, workplace.state, workplace.registry(owner), contract.schema(), contract.raw_table(owner), probes,
        workplace.clock.now(), accounts=schemas.get(WHERE), reconciled=schemas.get("nontax_recon"),
    )  # fmt: skip


def _table(told: list[Finding]) -> dict[str, dg.MetadataValue]:
    rows = [(one.period, one.check, one.column, one.rows, one.of, str(one.verdict)) for one in told[:20]]
    return table("findings", ["month", "check", "column", "rows", "of", "verdict"], rows) if rows else {}
