"""A home folder with one small feed of invoices, brought through the same Dagster runs as the real one."""

from __future__ import annotations

import gzip
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import dagster as dg
import numpy as np
import pyarrow as pa

from core.clock import FixedClock
from core.money import from_fen
from core.months import Month
from core.subject import SubjectKind
from pipelines.asset_style import asset_key
from pipelines.launch import launch
from pipelines.workplace import Workplace
from sources.arrivals import Arrival, receive
from sources.delivery import write_manifest
from sources.sme_invoices import arrival_time

RAW, FACTS = "raw/enterprise/invoice", "facts/enterprise/invoice"
FEATURES = "features/enterprise/enterprise_invoice"
RAW_KEY = asset_key("raw", SubjectKind.ENTERPRISE, "invoice")
FACTS_KEY = asset_key("facts", SubjectKind.ENTERPRISE, "invoice")
PARTIES_KEY = asset_key("facts", SubjectKind.ENTERPRISE, "invoice_parties")
FEATURES_KEY = asset_key("features", SubjectKind.ENTERPRISE, "enterprise_invoice")

HEADER = "企业代号,发票号码,开票日期,购方单位代号,金额,税额,价税合计,发票状态"
MONTHS = [Month(2024, 8), Month(2024, 9), Month(2024, 10)]
CLOCK = FixedClock(datetime(2024, 12, 1, tzinfo=UTC))

#: Above the greatest amount that the contract allows, in fen.
TOO_MUCH = 20_000_000_000_00

#: Company codes and counterparties of the feed; none may turn up in anything but the tables.
CODES = ("E7001", "E7002", "E7003")
COUNTERPARTY = "B88123"


def invoices(month: Month, firms: int = 3, net: str = "1000.00") -> list[str]:
    """Two invoices a firm."""
    return [
        f"{code},{7000 + 10 * n + day},{month.year}/{month.month}/{day},{COUNTERPARTY},{net},60.00,1060.00,有效发票"
        for n, code in enumerate(CODES[:firms])
        for day in (3, 17)
    ]


@dataclass
class InvoiceHome:
    """The opened home and what tests do with it."""

    home: Path

    def __post_init__(self) -> None:
        self.workplace = Workplace.open(self.home, CLOCK)
        self.store, self.state = self.workplace.store, self.workplace.state

    def deliver(
        self,
        month: Month,
        rows: list[str],
        revision: int = 1,
        mode: Literal["full", "supplement"] = "full",
        at: datetime | None = None,
    ) -> int:
        """Lay a delivery and enter it in the ledger; running the raw asset takes it in."""
        folder = self.home / "inbox" / "sme_tax_out" / "enterprise.invoice" / f"{month}-r{revision}"
        folder.mkdir(parents=True)
        data = folder / f"{month}.csv.gz"
        data.write_bytes(gzip.compress("\n".join([HEADER, *rows, ""]).encode("utf-8-sig"), mtime=0))
        write_manifest(
            data, source="sme_tax_out", adapter="sme_output_invoice", subject=SubjectKind.ENTERPRISE,
            table="invoice", period=str(month), rows=len(rows), revision=revision, mode=mode,
        )  # fmt: skip
        arrival = Arrival(folder, at or arrival_time(month.plus(revision - 1)), "replayed")
        return receive(arrival, self.workplace.settings.archive, self.state, CLOCK)

    def run(
        self, *keys: dg.AssetKey, first: Month, last: Month | None = None, looking_back: bool = True
    ) -> str:
        """One Dagster run; where it folds invoices, one more for the facts that look back on these months."""
        told = launch(self.workplace, list(keys), first, last or first)
        if FACTS_KEY in keys and looking_back:
            latest = Month.parse(self.store.partitions(RAW)[-1])
            launch(self.workplace, [PARTIES_KEY], first, max(last or first, latest))
        return told

    def add_row(self, month: Month, net_fen: int) -> None:
        """A row that no delivery brought, as a wrong script or a careless hand would add it."""
        row = self.store.read(RAW, [str(month)]).slice(0, 1).drop_columns(["period"])
        place = row.schema.get_field_index("net_amt")
        changed = row.set_column(
            place, row.schema.field("net_amt"), pa.chunked_array([from_fen(np.array([net_fen]))])
        )
        self.store.append(RAW, str(month), changed)

    def put_back(self, month: Month, rows: pa.Table) -> None:
        """Restore a raw month."""
        self.store.replace(RAW, str(month), rows.drop_columns(["period"]).combine_chunks())

    def instance(self) -> dg.DagsterInstance:
        """The installation's Dagster instance."""
        return dg.DagsterInstance.from_config(str(self.workplace.settings.dagster_home))

    def close(self) -> None:
        """Let go of the state database, so that the folder can be copied."""
        self.state.engine.dispose()


def copy_of(made: Path, target: Path) -> InvoiceHome:
    """A home of its own for one test."""
    shutil.copytree(made, target)
    return InvoiceHome(target)
