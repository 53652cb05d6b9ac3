"""Erasing a subject some of whose rows are held in quarantine, and some were released from it: nothing is left, nothing waits for
them, everyone else's held rows can still come in, and the table can be made anew."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from sqlalchemy import select

from core.clock import FixedClock
from core.progress import SilentProgress
from core.state import Delivery, Quarantined
from core.subject import SubjectKind
from pipelines.workplace import Workplace, blueprint
from rights.erasure import erase
from rights.subject import find_subject
from sources.adapter import FOLDER, Adapter, load_adapter
from sources.intake import take_in
from sources.quarantine import held_rows, in_quarantine
from sources.reading import read_and_convert
from sources.rebuild import rebuild
from sources.release import Released, release
from tests.pipelines.invoice_home import CLOCK, MONTHS, RAW, InvoiceHome
from tests.rights.traces import files_with

CODE, OTHER = "FIRM-0000-4711", "FIRM-0000-0001"
HELD, RELEASED = "PLANTED-31415926", "PLANTED-27182818"
LATER = FixedClock(datetime(2024, 12, 3, tzinfo=UTC))


def line(code: str, number: str, amount: str = "1000.00", status: str = "有效发票") -> str:
    return f"{code},{number},2024/8/3,B88123,{amount},60.00,1060.00,{status}"


#: Each firm has a good row, one whose code is declared later, and one that can't ever be read.
ROWS = [
    line(OTHER, "o-1"), line(CODE, "c-1"), line(CODE, RELEASED, status="红冲"), line(OTHER, "o-2", status="红冲"),
    line(CODE, HELD, amount="12;3"), line(OTHER, "o-3", amount="12;3"),
]  # fmt: skip


def adapter(folder: Path, *, mended: bool) -> Adapter:
    told = yaml.safe_load((FOLDER / "sme_output_invoice.yaml").read_text(encoding="utf-8"))
    told["quarantine"] = {"hold": ["unknown_code", "unreadable"], "at_most": 1.0}
    if mended:
        told["columns"]["status"]["codes"]["红冲"] = "void"
    path = folder / ("mended" if mended else "first") / "sme_output_invoice.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(told, allow_unicode=True), encoding="utf-8")
    return load_adapter(path, blueprint().schemas["invoice"])


class Case:
    def __init__(self, folder: Path) -> None:
        self.home = InvoiceHome(folder / "home")
        self.place: Workplace = self.home.workplace
        self.schema = self.place.blueprint.schemas["invoice"]
        self.first, self.mended = adapter(folder, mended=False), adapter(folder, mended=True)
        number = self.home.deliver(MONTHS[0], ROWS)
        take_in(number, self.first, self.schema, clock=CLOCK, reader=read_and_convert, **self.parts())
        assert self.again().rows == 2, "both firms' rows of the code that is known now"

    def parts(self):  # type: ignore[no-untyped-def]
        return {
            "store": self.place.store, "registry": self.place.registry(SubjectKind.ENTERPRISE), "state": self.place.state,
            "archive": self.place.settings.archive, "keys": self.place.settings.keys,
        }  # fmt: skip

    def again(self, using: Adapter | None = None) -> Released:
        return release(
            1, using or self.mended, self.schema, clock=LATER, reader=read_and_convert, **self.parts()
        )

    def erase(self) -> None:
        token = find_subject(self.place.store, provider_code=CODE).subject_id
        opened = Workplace.open(self.home.home, LATER)
        home = replace(opened.installation(), adapters={"sme_output_invoice": self.mended})
        erase(home, token=token, request_ref="R-1", reason="subject_request", actor="dpo")
        assert files_with(self.home.home, [token, CODE, HELD, RELEASED]) == []
        self.place = Workplace.open(self.home.home, LATER)

    def accounts(self) -> dict[int, tuple[int, int, dict[str, int], int]]:
        with self.place.state.session() as session:
            return {
                e.delivery_no: (
                    e.rows_delivered or 0, e.rows_accepted or 0, {each.reason: each.rows for each in e.left_out},
                    e.rows_quarantined or 0,
                )
                for e in session.scalars(select(Delivery))
            }  # fmt: skip

    def held(self) -> list[int]:
        with self.place.state.session() as session:
            return (
                held_rows(session, self.place.store, session.get_one(Delivery, 1))
                .column("row_no")
                .to_pylist()
            )


@pytest.fixture
def case(tmp_path: Path) -> Case:
    made = Case(tmp_path)
    assert made.accounts() == {1: (6, 2, {}, 4), 2: (2, 2, {}, 0)} and made.held() == [5, 6]
    assert files_with(made.home.home, [HELD, RELEASED, CODE])
    return made


def test_held_and_released_rows_go_and_the_ledger_adds_up(case: Case) -> None:
    case.erase()
    # Of the first delivery the good and the held row are left out; the released one stays counted as held once.
    assert case.accounts() == {1: (6, 1, {"erased": 2}, 3), 2: (2, 1, {"erased": 1}, 0)}
    for delivered, accepted, left_out, quarantined in case.accounts().values():
        assert delivered == accepted + sum(left_out.values()) + quarantined
    assert case.held() == [6]
    with case.place.state.session() as session:
        (waiting,) = in_quarantine(session)
        assert (waiting.reason, waiting.still) == ("unreadable", 1)
        assert {(q.reason, q.rows, q.released) for q in session.scalars(select(Quarantined))} == {
            ("unreadable", 1, 0), ("unknown_code", 2, 2),
        }  # fmt: skip


def test_what_others_have_held_can_still_come_in(case: Case, tmp_path: Path) -> None:
    case.erase()
    assert case.again().made is None, "nothing is readable that wasn't"
    columns = dict(case.mended.columns)
    columns["net_amt"] = columns["net_amt"].model_copy(update={"nulls": ("12;3",)})
    schema = case.schema
    open_ended = replace(
        schema,
        columns=tuple(replace(c, nullable=True) if c.name == "net_amt" else c for c in schema.columns),
    )
    case.schema = open_ended
    done = case.again(case.mended.model_copy(update={"columns": columns}))
    assert (done.rows, done.still_held) == (1, 0)
    assert case.accounts()[3] == (1, 1, {}, 0)
    assert files_with(case.home.home, [CODE, HELD, RELEASED]) == []


def test_the_table_is_made_anew_without_the_subject(case: Case) -> None:
    case.erase()
    order = [("delivery_no", "ascending"), ("row_no", "ascending")]
    before, account = case.place.store.read(RAW).sort_by(order), case.accounts()
    for _ in range(2):
        rebuild(
            RAW, case.schema, "9.0.0", by="Li Na", adapters={"sme_output_invoice": case.mended}, clock=LATER,
            progress=SilentProgress(), reader=read_and_convert, **case.parts(),
        )  # fmt: skip
        assert case.place.store.read(RAW).sort_by(order).equals(before)
        assert case.accounts() == account
    assert files_with(case.home.home, [CODE, HELD, RELEASED]) == []
