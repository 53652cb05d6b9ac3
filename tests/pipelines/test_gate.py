"""Bad data stops: in the run that meets it, in every later run of what reads it, and in features of facts left behind.

A blocking check of Dagster protects only the run it is in; that a downstream asset started alone refuses is what
receipts are for, and what these tests would notice the loss of.
"""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from dagster import AssetCheckKey, DagsterEventType

from core.errors import ExitCode, GateRefused, GsceneError
from core.months import Month, knowledge_cutoff
from core.state import Receipt
from core.subject import SubjectKind
from tests.pipelines.invoice_home import (
    CODES,
    COUNTERPARTY,
    FACTS,
    FACTS_KEY,
    FEATURES,
    FEATURES_KEY,
    MONTHS,
    RAW,
    RAW_KEY,
    TOO_MUCH,
    InvoiceHome,
    copy_of,
    invoices,
)

MONTH = MONTHS[1]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three months taken in, validated and folded in one run."""
    folder = tmp_path_factory.mktemp("gate") / "home"
    home = InvoiceHome(folder)
    for month in MONTHS:
        home.deliver(month, invoices(month))
    home.run(RAW_KEY, FACTS_KEY, first=MONTHS[0], last=MONTHS[-1])
    home.close()
    return folder


@pytest.fixture
def home(made: Path, tmp_path: Path) -> InvoiceHome:
    return copy_of(made, tmp_path / "home")


def facts_of(home: InvoiceHome, month: Month = MONTH) -> str:
    return home.store.content_hash(FACTS, str(month))


def refused(
    home: InvoiceHome, key: dg.AssetKey, first: Month = MONTH, last: Month | None = None
) -> GateRefused:
    with pytest.raises(GateRefused) as caught:
        home.run(key, first=first, last=last)
    assert caught.value.exit_code == ExitCode.GATE_REFUSED == 3
    assert caught.value.remedy
    return caught.value


# -- the run that meets bad data ---------------------------------------------------------------------------------------


def test_a_month_that_breaks_its_contract_stops_the_run_before_the_facts(home: InvoiceHome) -> None:
    before, version = facts_of(home), home.store.version(FACTS)
    home.add_row(MONTH, TOO_MUCH)
    with pytest.raises(GsceneError) as caught:
        home.run(RAW_KEY, FACTS_KEY, first=MONTH)
    assert caught.value.exit_code != ExitCode.OK
    told = caught.value
    assert RAW in told.message and str(MONTH) in told.message and "net_amt" in told.message and told.remedy
    assert (facts_of(home), home.store.version(FACTS)) == (before, version)
    with home.instance() as instance:
        run = instance.get_run_records(limit=1)[0].dagster_run
        assert run.status is dg.DagsterRunStatus.FAILURE
        made = instance.all_logs(run.run_id, of_type=DagsterEventType.ASSET_MATERIALIZATION)
        assert [entry.dagster_event.asset_key for entry in made if entry.dagster_event] == [RAW_KEY]


def test_a_range_with_one_bad_month_stops_and_names_the_month(home: InvoiceHome) -> None:
    home.add_row(MONTH, TOO_MUCH)
    with pytest.raises(GsceneError):
        home.run(RAW_KEY, FACTS_KEY, first=MONTHS[0], last=MONTHS[-1])
    with home.instance() as instance:
        assert verdicts(instance)[str(MONTH)] is False
        assert {verdicts(instance)[str(month)] for month in (MONTHS[0], MONTHS[2])} == {True}


# -- the later run that never saw the check ----------------------------------------------------------------------------


def test_facts_started_alone_refuse_a_month_whose_check_failed(home: InvoiceHome) -> None:
    before = facts_of(home)
    home.add_row(MONTH, TOO_MUCH)
    with pytest.raises(GsceneError):
        home.run(RAW_KEY, first=MONTH)
    told = refused(home, FACTS_KEY)
    assert str(MONTH) in told.message and "net_amt" in told.message
    assert facts_of(home) == before
    assert home.store.read(FACTS, [str(MONTH)]).num_rows == 3, "earlier facts stay readable"
    refused(home, FACTS_KEY, MONTHS[0], MONTHS[-1])


def test_facts_refuse_content_that_nobody_validated(home: InvoiceHome) -> None:
    before = facts_of(home)
    home.add_row(MONTH, 100)  # a fine amount: what is wrong is that no receipt vouches for it
    assert "changed since it was validated" in refused(home, FACTS_KEY).message
    assert facts_of(home) == before
    home.run(RAW_KEY, FACTS_KEY, first=MONTH)
    assert facts_of(home) != before


def test_facts_refuse_a_month_without_any_receipt(home: InvoiceHome) -> None:
    with home.state.session() as session:
        for receipt in session.query(Receipt).filter_by(partition=str(MONTH)):
            session.delete(receipt)
    assert "never validated" in refused(home, FACTS_KEY).message


def test_facts_refuse_a_receipt_of_other_rules(home: InvoiceHome) -> None:
    with home.state.session() as session:
        for receipt in session.query(Receipt).filter_by(partition=str(MONTH)):
            receipt.suite_hash = "0" * 64
    assert "contract has changed" in refused(home, FACTS_KEY).message


def test_a_receipt_of_other_content_vouches_for_nothing(home: InvoiceHome) -> None:
    with home.state.session() as session:
        other = session.query(Receipt).filter_by(partition=str(MONTHS[0])).one()
        mine = session.query(Receipt).filter_by(partition=str(MONTH)).one()
        assert other.passed and mine.content_hash != other.content_hash
        mine.content_hash = other.content_hash
    refused(home, FACTS_KEY)


def test_the_other_months_are_not_held_up(home: InvoiceHome) -> None:
    home.add_row(MONTH, TOO_MUCH)
    with pytest.raises(GsceneError):
        home.run(RAW_KEY, first=MONTH)
    home.run(FACTS_KEY, first=MONTHS[2], looking_back=False)


# -- features ----------------------------------------------------------------------------------------------------------


def test_features_refuse_facts_that_lag_behind_the_raw_month(home: InvoiceHome) -> None:
    home.run(FEATURES_KEY, first=MONTHS[-1])
    before = home.store.content_hash(FEATURES, str(MONTHS[-1]))
    at = knowledge_cutoff(MONTHS[-1])
    home.deliver(MONTH, invoices(MONTH, net="2000.00"), revision=2, at=at)
    home.run(RAW_KEY, first=MONTH)
    told = refused(home, FEATURES_KEY, MONTHS[-1])
    assert f"{FACTS} of {MONTH}" in told.message
    assert home.store.content_hash(FEATURES, str(MONTHS[-1])) == before, "earlier features stay readable"
    home.run(FACTS_KEY, first=MONTH)
    home.run(FEATURES_KEY, first=MONTHS[-1])
    assert home.store.content_hash(FEATURES, str(MONTHS[-1])) != before


def test_features_refuse_facts_that_were_never_folded(home: InvoiceHome) -> None:
    later = MONTHS[-1].plus(1)
    home.deliver(later, invoices(later))
    home.run(RAW_KEY, first=later)
    assert "has not been made" in refused(home, FEATURES_KEY, later).message


def test_features_refuse_facts_that_were_edited(home: InvoiceHome) -> None:
    rows = home.store.read(FACTS, [str(MONTH)]).drop_columns(["period"]).slice(0, 2)
    home.store.replace(FACTS, str(MONTH), rows.combine_chunks())
    assert "no longer holds what was made" in refused(home, FEATURES_KEY, MONTHS[-1]).message


# -- mending -----------------------------------------------------------------------------------------------------------


def test_a_mended_month_passes_again(home: InvoiceHome) -> None:
    good, before = home.store.read(RAW, [str(MONTH)]), facts_of(home)
    home.add_row(MONTH, TOO_MUCH)
    with pytest.raises(GsceneError):
        home.run(RAW_KEY, FACTS_KEY, first=MONTH)
    home.put_back(MONTH, good)
    refused(home, FACTS_KEY)  # restored, but the last verdict is the failure
    home.run(RAW_KEY, FACTS_KEY, first=MONTH)
    assert facts_of(home) == before


def test_a_delivery_that_breaks_the_contract_is_overcome_by_the_next_revision(home: InvoiceHome) -> None:
    later = MONTHS[-1].plus(1)
    home.deliver(later, invoices(later, net="20000000000.00"))
    with pytest.raises(GsceneError):
        home.run(RAW_KEY, FACTS_KEY, first=later)
    home.deliver(later, invoices(later), revision=2)
    home.run(RAW_KEY, FACTS_KEY, first=later)
    facts = home.store.read(FACTS, [str(later)]).to_pandas()
    assert facts["out_max_amt"].max() == 1000_00, "the refused amounts are in no version of the facts"


# -- what the Dagster pages show ---------------------------------------------------------------------------------------


def verdicts(instance: dg.DagsterInstance) -> dict[str, bool]:
    """The latest verdict by month."""
    found: dict[str, bool] = {}
    for record in instance.event_log_storage.get_asset_check_execution_history(
        AssetCheckKey(RAW_KEY, "contract"), limit=500
    ):
        event = record.event.dagster_event if record.event is not None else None
        if event is not None and event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION:
            evaluation = event.asset_check_evaluation_data
            if evaluation.partition is not None:
                found.setdefault(evaluation.partition, evaluation.passed)
    return found


def test_a_run_over_a_range_leaves_a_verdict_for_every_month(home: InvoiceHome) -> None:
    with home.instance() as instance:
        assert verdicts(instance) == {str(month): True for month in MONTHS}


def test_every_month_tells_its_numbers(home: InvoiceHome) -> None:
    home.run(FEATURES_KEY, first=MONTHS[0], last=MONTHS[-1])
    expected = {
        RAW_KEY: {"deliveries": 1, "rows_delivered": 6, "rows_accepted": 6, "rows_left_out": 0},
        FACTS_KEY: {"rows": 3, "subjects": 3, "corrections": 0},
        FEATURES_KEY: {"subjects": 3},
    }
    with home.instance() as instance:
        for key, numbers in expected.items():
            for month in MONTHS:
                told = instance.fetch_materializations(
                    dg.AssetRecordsFilter(asset_key=key, asset_partitions=[str(month)]), limit=1
                ).records[0]
                assert told.asset_materialization is not None
                metadata = {n: entry.value for n, entry in told.asset_materialization.metadata.items()}
                assert numbers.items() <= metadata.items(), (key, month)


def test_no_metadata_or_log_entry_holds_a_row(home: InvoiceHome) -> None:
    home.add_row(MONTH, TOO_MUCH)
    with pytest.raises(GsceneError):
        home.run(RAW_KEY, FACTS_KEY, first=MONTH)
    home.run(FEATURES_KEY, first=MONTHS[0])
    history = home.workplace.settings.dagster_home / "history"
    held = b"".join(path.read_bytes() for path in history.rglob("*") if path.is_file())
    assert b"enterprise_invoice" in held, "the event log was read"
    row = home.store.read(RAW, [str(MONTH)]).slice(0, 1).to_pylist()[0]
    ids = home.workplace.registry(SubjectKind.ENTERPRISE).table().column("subject_id").to_pylist()
    for secret in (*CODES, COUNTERPARTY, *ids, row["invoice_no"], "20000000000"):
        assert secret.encode() not in held, secret
