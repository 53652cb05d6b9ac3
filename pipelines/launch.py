"""Start Dagster runs from a program: the same definitions, instance and event log that the Dagster pages show."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from core.errors import GateRefused, GsceneError
from core.months import Month
from expectations.receipts import require_receipts
from pipelines.workplace import Workplace

_TEMPLATE = Path(__file__).parent / "dagster.yaml"


def prepare_instance(home: Path) -> Path:
    """Make the DAGSTER_HOME folder with our dagster.yaml (telemetry off); returns it."""
    home.mkdir(parents=True, exist_ok=True)
    settings = _TEMPLATE.read_text(encoding="utf-8").replace("{folder}", str(home))
    (home / "dagster.yaml").write_text(settings, encoding="utf-8")
    return home


def launch(workplace: Workplace, assets: Sequence[dg.AssetKey], first: Month, last: Month) -> str:
    """Materialise `assets` (with their checks) for the months first..last in one run in this process; returns the run id.

    An expected failure inside an asset comes out as it was raised; a failed blocking check is a GsceneError that names the
    months and the rules.
    """
    from dagster._core.errors import DagsterAssetCheckFailedError, DagsterExecutionInterruptedError

    from pipelines.build import build_definitions

    # What Ctrl-C breaks off is told in one line by the command, not at length by whoever was closing a connection.
    for name in ("dagster", "sqlalchemy.pool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    home = prepare_instance(workplace.settings.dagster_home)
    with (
        warnings.catch_warnings(),
        dg.DagsterInstance.from_config(str(home)) as instance,
    ):
        warnings.simplefilter("ignore")
        job = build_definitions(workplace=workplace).resolve_implicit_global_asset_job_def()
        tags = {
            "dagster/asset_partition_range_start": str(first),
            "dagster/asset_partition_range_end": str(last),
        }
        span: dict[str, object] = {"partition_key": str(first)} if first == last else {"tags": tags}
        try:
            result = job.execute_in_process(
                instance=instance,
                asset_selection=list(assets),
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                raise_on_error=True,
                **span,  # type: ignore[arg-type]
            )
        except DagsterAssetCheckFailedError as error:
            raise _broken_contract(workplace, assets, first, last) or GsceneError(str(error)) from None
        except DagsterExecutionInterruptedError:
            raise KeyboardInterrupt from None
    if not result.success:
        raise GsceneError(
            f"run {result.run_id} failed.",
            "Look at the run in the Dagster pages: gscene up.",
        )
    return str(result.run_id)


def _broken_contract(
    workplace: Workplace, assets: Sequence[dg.AssetKey], first: Month, last: Month
) -> GsceneError | None:
    """What the latest receipts of the run's raw months say; None where all of them passed."""
    for table in ("/".join(key.path) for key in assets if key.path[0] == "raw"):
        months = [m for m in workplace.store.partitions(table) if str(first) <= m <= str(last)]
        try:
            require_receipts(workplace.state, workplace.store, table, months)
        except GateRefused as refused:
            return GsceneError(refused.message, refused.remedy)
    return None
