"""The one set of partitions: as-of months."""

import dagster as dg

from core.months import Month, month_range

#: The earliest month of any feed we know of (the VAT invoices of 2016).
FIRST_MONTH = "2016-10"

as_of_months = dg.MonthlyPartitionsDefinition(start_date=FIRST_MONTH, fmt="%Y-%m", timezone="Asia/Shanghai")


def months_of(context: dg.AssetExecutionContext | dg.OpExecutionContext) -> list[Month]:
    """The months of this step: one, or a range in a backfill that runs as a single run."""
    window = context.partition_key_range
    return month_range(Month.parse(window.start), Month.parse(window.end))
