"""`gscene features as-known`: a month's features as they were known at any moment."""

from __future__ import annotations

from datetime import datetime, time
from pathlib import Path
from typing import Any

import click

from core.clock import SystemClock
from core.errors import GsceneError
from core.months import CHINA_TIME, Month, knowledge_cutoff
from gscene.console import Reporter
from gscene.options import MonthType, home_option, json_option


class MomentType(click.ParamType):
    """A day (to its last microsecond, China) such as 2026-08-31, or a moment such as 2026-08-31T09:00, with a zone or without."""

    name = "YYYY-MM-DD[THH:MM]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read the moment or fail with the form; without a zone it is China's."""
        if isinstance(value, datetime):
            return value
        try:
            read = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(
                f"{value} is no day such as 2026-08-31 and no moment such as 2026-08-31T09:00", param, ctx
            )
        if len(str(value)) == len("2026-08-31"):
            read = datetime.combine(read.date(), time.max)
        return read if read.tzinfo is not None else read.replace(tzinfo=CHINA_TIME)


@click.command("as-known")
@click.option("--set", "set_name", required=True, help="The feature set, such as resident_monthly.")
@click.option("--as-of", type=MonthType(), required=True, help="As-of month.")
@click.option(
    "--as-known-at",
    type=MomentType(),
    help="Knowledge cutoff; the month's own (month end and five days) when left out.",
)
@click.option(
    "--to", "file", type=click.Path(dir_okay=False, path_type=Path), help="File to write, .csv or .parquet."
)
@home_option("demo")
@json_option
def as_known(
    set_name: str, as_of: Month, as_known_at: datetime | None, file: Path | None, home: Path, as_json: bool
) -> None:
    """Features of a month as known at any moment, as a file: before a restatement or after it.

    某月特征在任一时点的已知版本：重报之前或之后。

    \b
    Examples:
      gscene features as-known --set enterprise_monthly --as-of 2026-08
      gscene features as-known --set enterprise_monthly --as-of 2026-08 --as-known-at 2026-10-31 --to august.csv

    The stored features of a month keep its own cutoff; this command never changes them.
    """
    from features.as_known_at import write_as_known
    from pipelines.workplace import Workplace

    reporter = Reporter(as_json)
    workplace = Workplace.open(home, SystemClock(), reporter)
    sets = workplace.blueprint.feature_sets
    if set_name not in sets:
        raise GsceneError(f"there is no feature set {set_name}.", f"Choose from {', '.join(sets)}.")
    feature_set = sets[set_name]
    at = as_known_at or knowledge_cutoff(as_of, workplace.settings.cutoff_days)
    stamp = at.astimezone(CHINA_TIME).strftime("%Y%m%dT%H%M%S")
    target = file or workplace.settings.out / "features" / set_name / f"{as_of}-known-{stamp}.csv"
    with reporter.stage(f"{set_name} {as_of}"):
        rows, told = write_as_known(
            workplace.store, workplace.state, workplace.clock, feature_set, as_of, at,
            workplace.entitlements(feature_set.subject), target,
        )  # fmt: skip
    reporter.say(f"{set_name} of {as_of}, {told.line()}")
    reporter.results({"rows": str(rows), "file": str(target)})
    reporter.result |= {
        "as_known_at": at.isoformat(),
        "deliveries": told.deliveries,
        "known": told.known,
        "withdrawn": told.withdrawn,
    }
    reporter.finish()
