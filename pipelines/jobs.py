"""Jobs a person starts or a schedule runs, by what they bring up to date."""

from typing import Any

import dagster as dg

from core.months import Month
from core.subject import SubjectKind

INTAKE = dg.AssetSelection.groups("raw", "facts")
SCORING = dg.AssetSelection.groups("features", "scores", "leads", "reports")


def _of(kind: SubjectKind) -> dg.AssetSelection:
    return dg.AssetSelection.tag("subject", str(kind))


def jobs() -> list[Any]:
    """Intake of a month; the monthly run (features, scores, leads, screening) and training, by subject kind."""
    made = [
        dg.define_asset_job(
            "intake",
            INTAKE,
            description="Deliveries to facts. 交付入库并汇总为月度事实。",
        )
    ]
    for kind in SubjectKind:
        made.append(
            dg.define_asset_job(
                f"{kind}_monthly",
                SCORING & _of(kind),
                description=f"Features, scores, lead lists and screening of {kind}s. {kind.zh}的特征、评分、名单和特征筛查。",
            )
        )
        made.append(
            dg.define_asset_job(
                f"{kind}_training",
                dg.AssetSelection.groups("labels", "models") & _of(kind),
                description=f"Outcomes and models of {kind}s. {kind.zh}的标签和模型。",
            )
        )
    return made


def schedules() -> list[dg.ScheduleDefinition]:
    """Monthly, on the day after the knowledge cutoff; stopped until somebody starts them."""
    made = []
    for kind in SubjectKind:
        made.append(_monthly(f"{kind}_monthly", 6, 6))
        made.append(_monthly(f"{kind}_training", 6, 4))
    return [_monthly("intake", 6, 2), *made]


def _monthly(job: str, day: int, hour: int) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"{job}_schedule",
        job_name=job,
        cron_schedule=f"0 {hour} {day} * *",
        execution_timezone="Asia/Shanghai",
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )
    def monthly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        now = context.scheduled_execution_time
        return dg.RunRequest(partition_key=str(Month(now.year, now.month).plus(-1)))

    return monthly
