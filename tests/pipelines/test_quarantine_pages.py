"""What Dagster and the command line tell of held rows, and that rows released reach the facts with the next run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from dagster import AssetCheckKey

from expectations.receipts import require_receipt
from pipelines import workplace as workplace_module
from pipelines.catch_up import take_in_waiting
from pipelines.workplace import blueprint
from sources.row_rules import Quarantine
from tests.gscene.command import gscene
from tests.pipelines.invoice_home import (
    CODES,
    COUNTERPARTY,
    FACTS_KEY,
    MONTHS,
    RAW,
    RAW_KEY,
    InvoiceHome,
    invoices,
)

MONTH = MONTHS[0]
NAME = "sme_output_invoice"
Capsys = pytest.CaptureFixture[str]


def holding(monkeypatch: pytest.MonkeyPatch, **codes: str) -> None:
    """The checkout's definitions with the invoice adapter holding unknown codes back, and knowing some more."""
    plan = blueprint()
    adapter = plan.adapters[NAME]
    status = adapter.columns["status"]
    changed = adapter.model_copy(
        update={
            "quarantine": Quarantine(hold=("unknown_code",), at_most=0.5),
            "columns": adapter.columns
            | {"status": status.model_copy(update={"codes": status.codes | codes})},
        }
    )
    mended = replace(plan, adapters=plan.adapters | {NAME: changed})
    monkeypatch.setattr(workplace_module, "blueprint", lambda: mended)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InvoiceHome:
    """One month of which two invoices have a status that nobody declared."""
    holding(monkeypatch)
    made = InvoiceHome(tmp_path / "home")
    rows = invoices(MONTH)
    rows = [row.replace("有效发票", "红冲待定") if place in (1, 4) else row for place, row in enumerate(rows)]
    made.deliver(MONTH, rows)
    made.run(RAW_KEY, FACTS_KEY, first=MONTH)
    return made


def told(home: InvoiceHome) -> tuple[dict[str, dg.MetadataValue], dg.AssetCheckEvaluation]:
    """Metadata of the last materialization of the raw month, and the last verdict of its check `quarantine`."""
    instance = home.instance()
    event = instance.get_latest_materialization_event(RAW_KEY)
    assert event is not None and event.asset_materialization is not None
    check = AssetCheckKey(RAW_KEY, "quarantine")
    records = instance.event_log_storage.get_asset_check_execution_history(check, limit=1)
    assert records[0].event is not None
    return dict(event.asset_materialization.metadata), records[
        0
    ].event.dagster_event.asset_check_evaluation_data


def test_the_raw_asset_and_its_check_tell_counts_reasons_and_shapes(home: InvoiceHome) -> None:
    metadata, check = told(home)
    assert metadata["rows_in_quarantine"].value == 2
    assert metadata["in_quarantine_unknown_code"].value == 2
    assert metadata["rows_accepted"].value == 4
    page = metadata["quarantine"].value
    assert "| 1 | unknown_code 未登记的代码 | 发票状态 | 2 | `字字字字` |" in page
    assert (check.passed, check.severity, check.blocking) == (False, dg.AssetCheckSeverity.WARN, False)
    assert not [
        word for word in (*CODES, COUNTERPARTY, "红冲") if word in str(metadata) + str(check.metadata)
    ]


def test_held_rows_block_nothing(home: InvoiceHome) -> None:
    require_receipt(home.state, home.store, RAW, str(MONTH))
    assert home.store.rows("facts/enterprise/invoice", str(MONTH)) == 3


def test_list_show_and_reprocess_until_nothing_is_held(
    home: InvoiceHome, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = ["--home", str(home.home)]
    listed = gscene(capsys, "quarantine", "list", *place, "--json").json
    assert listed["rows"] == 2
    assert {key: listed["held"][0][key] for key in ("delivery_no", "reason", "column", "still", "shape")} == {
        "delivery_no": 1, "reason": "unknown_code", "column": "发票状态", "still": 2, "shape": "字字字字",
    }  # fmt: skip
    shown = gscene(capsys, "quarantine", "show", "1", *place)
    assert "未登记的代码" in shown.err and "2, 5" in shown.err and "sme_output_invoice.yaml" in shown.err
    assert gscene(capsys, "quarantine", "show", "1", *place, "--json").json["rows"] == [2, 5]
    assert "红冲" not in shown.err + shown.out

    nothing = gscene(capsys, "quarantine", "reprocess", "--all", *place, "--json")
    assert (nothing.code, nothing.json["reprocessed"][0]["released"]) == (0, 0)
    holding(monkeypatch, 红冲待定="void")
    facts = home.store.content_hash("facts/enterprise/invoice", str(MONTH))
    came_in = gscene(capsys, "quarantine", "reprocess", "--delivery", "1", *place, "--json").json[
        "reprocessed"
    ]
    assert came_in == [{"delivery": 1, "made": 2, "released": 2, "still_held": 0, "refused": None}]
    assert gscene(capsys, "quarantine", "reprocess", "--all", *place, "--json").json == {"reprocessed": []}

    take_in_waiting(home.workplace)
    require_receipt(home.state, home.store, RAW, str(MONTH))
    assert home.store.content_hash("facts/enterprise/invoice", str(MONTH)) != facts
    metadata, check = told(home)
    assert (metadata["rows_in_quarantine"].value, check.passed) == (0, True)
    assert home.store.rows(RAW, str(MONTH)) == 6


def test_reprocess_asks_what_is_meant(home: InvoiceHome, capsys: Capsys) -> None:
    for arguments in ([], ["--all", "--delivery", "1"]):
        said = gscene(capsys, "quarantine", "reprocess", *arguments, "--home", str(home.home))
        assert said.code == 2 and "--delivery N" in said.err
