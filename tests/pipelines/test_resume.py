"""What was interrupted is completed, what arrives later starts again, and nothing runs ahead of its cutoff."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from core.clock import FixedClock
from core.errors import GateRefused
from core.months import Month, knowledge_cutoff, require_past
from core.subject import SubjectKind
from pipelines.catch_up import take_in_waiting
from pipelines.sensors import waiting_deliveries
from sources.month_intake import take_in_month
from tests.pipelines.invoice_home import CLOCK, FACTS, MONTHS, InvoiceHome, invoices


@pytest.fixture
def home(tmp_path: Path) -> InvoiceHome:
    made = InvoiceHome(tmp_path / "home")
    for month in MONTHS:
        made.deliver(month, invoices(month))
    return made


def test_months_that_an_interrupted_run_took_in_are_folded_by_the_next(home: InvoiceHome) -> None:
    workplace = home.workplace
    schema = workplace.blueprint.schemas["invoice"]
    for month in MONTHS[
        :2
    ]:  # the run died after two intakes: these months wait no more, and have no receipt and no facts
        take_in_month(
            SubjectKind.ENTERPRISE, schema, month, adapters=workplace.blueprint.adapters, store=home.store,
            registry=workplace.registry(SubjectKind.ENTERPRISE), state=home.state,
            archive=workplace.settings.archive, keys=workplace.settings.keys, clock=CLOCK,
        )  # fmt: skip
    take_in_waiting(workplace)
    assert home.store.partitions(FACTS) == [str(month) for month in MONTHS]
    before = home.store.version(FACTS)
    take_in_waiting(workplace)
    assert home.store.version(FACTS) == before, "with nothing left to do nothing runs"


def requests(home: InvoiceHome) -> list[dg.RunRequest]:
    sensor = waiting_deliveries(lambda: home.workplace.settings.home)
    with dg.DagsterInstance.ephemeral() as instance, dg.build_sensor_context(instance=instance) as context:
        return [asked for asked in sensor(context) if isinstance(asked, dg.RunRequest)]


def test_the_sensor_asks_again_for_a_month_that_is_corrected(home: InvoiceHome) -> None:
    first = requests(home)
    assert [request.partition_key for request in first] == [str(month) for month in MONTHS]
    assert {key.path[0] for key in first[0].asset_selection or []} == {"raw", "facts"}
    take_in_waiting(home.workplace)
    assert requests(home) == []
    home.deliver(MONTHS[0], invoices(MONTHS[0]), revision=2)
    (again,) = requests(home)
    assert again.partition_key == str(MONTHS[0])
    assert again.run_key not in {request.run_key for request in first}


def test_no_month_is_run_before_its_cutoff_has_passed() -> None:
    month = Month(2026, 10)
    with pytest.raises(GateRefused, match="2026-11-05"):
        require_past(FixedClock(knowledge_cutoff(month)), month)
    require_past(FixedClock(datetime(2026, 11, 5, 16, tzinfo=UTC)), month)
