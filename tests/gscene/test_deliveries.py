"""`gscene deliveries` and `gscene trust`: what people see of the ledger, and what their decisions do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import select

from core.clock import SystemClock
from core.errors import Refusal
from core.settings import Settings
from core.state import AuditEvent, StateDatabase
from core.subject import SubjectKind
from pipelines.workplace import Workplace
from sources.arrivals import Arrival, observed, receive
from sources.delivery import write_manifest
from sources.intake import take_in
from sources.reading import read_and_convert
from tests.gscene.command import OUT_HEADER, gscene, invoice_rows, packed

Capture = pytest.CaptureFixture[str]
MONTH = "2024-10"


def deliver(workplace: Workplace, inbox: Path, revision: int, sequence: int, rows: list[str]) -> int:
    """Receive one delivery of issued invoices; taken in where it may."""
    folder = inbox / "sme_tax_out" / "enterprise.invoice" / f"{MONTH}-r{revision}"
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "invoices.csv.gz"
    data.write_bytes(packed(OUT_HEADER, rows))
    write_manifest(
        data, source="sme_tax_out", adapter="sme_output_invoice", subject=SubjectKind.ENTERPRISE, table="invoice",
        period=MONTH, rows=len(rows), revision=revision, sequence=sequence,
    )  # fmt: skip
    arrival = next(a for a in observed(inbox, workplace.clock) if a.folder == folder)
    number = receive(
        Arrival(arrival.folder, arrival.at, "observed"),
        workplace.settings.archive,
        workplace.state,
        workplace.clock,
    )
    blueprint = workplace.blueprint
    try:
        take_in(
            number, blueprint.adapters["sme_output_invoice"], blueprint.schemas["invoice"], store=workplace.store,
            registry=workplace.registry(SubjectKind.ENTERPRISE), state=workplace.state, archive=workplace.settings.archive,
            keys=workplace.settings.keys, clock=workplace.clock, reader=read_and_convert,
        )  # fmt: skip
    except Refusal:
        pass
    return number


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Three deliveries: accepted, refused, held because the third of the sequence is missing."""
    workplace = Workplace.open(tmp_path / "home", SystemClock())
    good = invoice_rows(MONTH)
    deliver(workplace, tmp_path / "inbox", 1, 1, good)
    deliver(workplace, tmp_path / "inbox", 2, 2, [*good, "E1,1,2024/10/3,B9,x,60.00,1060.00,有效发票"])
    deliver(workplace, tmp_path / "inbox", 4, 4, good)
    workplace.state.engine.dispose()
    return tmp_path / "home"


def test_the_list_shows_states_and_reasons_and_can_be_narrowed(home: Path, capsys: Capture) -> None:
    said = gscene(capsys, "deliveries", "list", "--home", home)
    assert said.code == 0 and "HELD/GAP" in said.err and "REFUSED/TYPE" in said.err and "交付" in said.err
    told = gscene(capsys, "deliveries", "list", "--home", home, "--json").json["deliveries"]
    assert [(row["no"], row["state"], row["accepted"]) for row in told] == [
        (1, "ACCEPTED", 12), (2, "REFUSED", 0), (3, "HELD", 0),
    ]  # fmt: skip
    for arguments, numbers in (
        (["--state", "HELD", "--state", "REFUSED"], [2, 3]),
        (["--source", "nobody"], []),
        (["--table", "invoice", "--period", MONTH, "--last", "1"], [3]),
    ):
        narrowed = gscene(capsys, "deliveries", "list", "--home", home, "--json", *arguments).json[
            "deliveries"
        ]
        assert [row["no"] for row in narrowed] == numbers


def test_one_delivery_is_shown_with_place_and_remedy(home: Path, capsys: Capture) -> None:
    told = gscene(capsys, "deliveries", "show", "2", "--home", home, "--json").json
    assert (told["state"], told["reason"], told["sequence"]) == ("REFUSED", "REFUSED/TYPE", 2)
    assert told["place"].startswith("invoices.csv.gz:14") and told["remedy"]
    said = gscene(capsys, "deliveries", "show", "9", "--home", home)
    assert said.code == 1 and "no delivery 9" in said.err


def test_waiving_lets_in_and_is_audited(home: Path, capsys: Capture) -> None:
    decision = ("--by", "Li Na", "--reason", "number 3 was never sent", "--home", home)
    assert gscene(capsys, "deliveries", "waive", "1", *decision).code == 1
    told = gscene(capsys, "deliveries", "waive", "3", *decision, "--json").json
    assert told["admitted"] == [3]
    with StateDatabase(Settings.load(home).state_url).session() as session:
        event = session.scalars(select(AuditEvent).where(AuditEvent.action == "delivery.waived")).one()
    assert (event.actor, event.details["why"]) == ("Li Na", "number 3 was never sent")
    assert gscene(capsys, "deliveries", "waive", "3", "--home", home).code == 2, (
        "a name and a reason are asked for"
    )


def test_withdrawing_gives_a_receipt(home: Path, capsys: Capture) -> None:
    decision = ("--by", "Li Na", "--reason", "wrong district", "--home", home)
    assert gscene(capsys, "deliveries", "withdraw", "1", *decision, "--json").json["waiting again"] == []
    told = gscene(capsys, "deliveries", "receipts", "1", "--home", home, "--json").json
    assert [(receipt["n"], receipt["state"]) for receipt in told["receipts"]] == [
        (1, "ACCEPTED"),
        (2, "WITHDRAWN"),
    ]
    for receipt in told["receipts"]:
        file = Path(receipt["file"])
        assert json.loads(file.read_text(encoding="utf-8"))["state"] == receipt["state"]
        assert file.with_suffix(".sig").is_file()
    assert (
        gscene(capsys, "deliveries", "list", "--home", home, "--json").json["deliveries"][0]["state"]
        == "ACCEPTED, withdrawn"
    )


def test_keys_are_registered_listed_and_revoked(home: Path, tmp_path: Path, capsys: Capture) -> None:
    key = Ed25519PrivateKey.generate().public_key()
    file = tmp_path / "public.pem"
    file.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    key_id = gscene(capsys, "trust", "add", "city_tax", file, "--by", "Li Na", "--home", home, "--json").json[
        "key_id"
    ]
    keys = gscene(capsys, "trust", "list", "--home", home, "--json").json["keys"]
    assert [(k["source"], k["key_id"], k["state"]) for k in keys] == [("city_tax", key_id, "in force")]
    assert gscene(capsys, "trust", "revoke", "city_tax", key_id, "--by", "Li Na", "--home", home).code == 0
    assert gscene(capsys, "trust", "list", "--home", home, "--json").json["keys"][0]["state"] == "revoked"
    assert gscene(capsys, "trust", "revoke", "city_tax", key_id, "--by", "Li Na", "--home", home).code == 1
    file.write_text("no key")
    assert gscene(capsys, "trust", "add", "city_tax", file, "--by", "Li Na", "--home", home).code == 1


@pytest.mark.parametrize(
    "command", [("deliveries",), ("deliveries", "waive"), ("deliveries", "withdraw"), ("trust", "add")]
)
def test_help_teaches_with_examples_in_two_languages(capsys: Capture, command: tuple[str, ...]) -> None:
    said = gscene(capsys, *command, "--help")
    assert "gscene " + command[0] in said.out and any("\u4e00" <= letter <= "\u9fff" for letter in said.out)


def test_a_home_that_is_not_there_is_told(tmp_path: Path, capsys: Capture) -> None:
    said = gscene(capsys, "deliveries", "list", "--home", tmp_path / "nowhere")
    assert said.code == 1 and "does not exist" in said.err
