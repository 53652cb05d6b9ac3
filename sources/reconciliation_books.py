"""The three books of payments as files, and what a reconciliation of them leaves behind: deliveries and a list of open orders.

A book is a CSV file in UTF-8 with a comma, one line an entry: `entry_date` (2026-03-31), `platform_serial`, `channel`,
`exec_unit_cd`, `amt` (yuan, negative where money was given back) and the book's own serial.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from core.errors import Refusal
from core.money import fen, from_fen
from core.months import Month
from core.subject import SHARED
from sources.cells import Cells, days, missing, money
from sources.delivery import write_manifest
from sources.file_format import FileFormat
from sources.reconciliation import OWN_SERIAL, SETTLED, Reconciliation
from sources.strict_csv import read_strict_csv

#: Source and adapter of the deliveries that `deliver_days` writes.
DELIVERED_AS = "reconciled_days"
TABLE = "nontax_recon"
_FORM = FileFormat(bom="optional")
_DAY = "%Y-%m-%d"


def columns_of(book: str) -> list[str]:
    """Header of a book's file."""
    return list(
        dict.fromkeys(["entry_date", "platform_serial", "channel", "exec_unit_cd", "amt", OWN_SERIAL[book]])
    )


def read_book(path: Path, book: str) -> pa.Table:
    """A book as `reconcile` takes it; Refusal with file, line and column where a cell can't be read or is empty."""
    rows = read_strict_csv(path, _FORM, columns_of(book))
    texts = {name: rows.column(name).cast(pa.string()).combine_chunks() for name in rows.column_names}
    for name, cells in texts.items():
        _refuse(missing(cells, [""]), path, name, "the cell is empty")
    nothing = np.zeros(rows.num_rows, dtype=bool)
    dates = _read(
        days(texts["entry_date"], nothing, [_DAY], []), path, "entry_date", "not a day like 2026-03-31"
    )
    amounts = _read(
        money(texts["amt"], nothing, "CNY"), path, "amt", "not an amount in yuan with at most two decimals"
    )
    return pa.table({**texts, "entry_date": dates, "amt_fen": pa.array(fen(amounts))}).drop_columns(["amt"])


def _read(cells: Cells, path: Path, column: str, told: str) -> pa.Array:
    _refuse(cells.bad, path, column, told)
    return cells.values


def _refuse(bad: np.ndarray, path: Path, column: str, told: str) -> None:
    if bad.any():
        raise Refusal(
            "REFUSED/TYPE",
            f"{told}; the same in {int(bad.sum()):,} lines.",
            file=path.name,
            line=int(bad.argmax()) + 2,
            column=column,
            remedy="Correct the book's export and reconcile again; nothing was written.",
        )


def deliver_days(done: Reconciliation, platform_cd: str, folder: Path, revision: int = 1) -> list[Path]:
    """Write the reconciled days as one full delivery a month, for `gscene run --inbox`; returns the delivery folders.

    A later revision replaces the month's earlier one whole. FileExistsError where this revision lies there already.
    """
    months = pc.strftime(done.days.column("recon_date"), "%Y-%m")
    folders = []
    for month in sorted(pc.unique(months).to_pylist()):
        lines = done.days.filter(pc.equal(months, month))
        table = pa.table(
            {
                "period": pa.repeat(month, lines.num_rows),
                "platform_cd": pa.repeat(platform_cd, lines.num_rows),
                **{name: pc.cast(lines.column(name), pa.string()) for name in lines.column_names},
                "settled_flag": pc.if_else(lines.column("settled_flag"), "1", "0"),
            }
        )
        one = folder / DELIVERED_AS / f"{SHARED}.{TABLE}" / f"{Month.parse(month)}-r{revision}"
        one.mkdir(parents=True)
        _write(table, one / f"{TABLE}.csv")
        write_manifest(
            one / f"{TABLE}.csv", source=DELIVERED_AS, adapter=DELIVERED_AS, subject=SHARED, table=TABLE,
            period=month, revision=revision, rows=lines.num_rows,
        )  # fmt: skip
        folders.append(one)
    return folders


def write_open_orders(done: Reconciliation, path: Path) -> int:
    """Write the orders that leave their day open, with what both sides say in yuan; returns how many there are."""
    settled = pc.is_in(done.cases.column("case"), value_set=pa.array([str(case) for case in sorted(SETTLED)]))
    orders = done.cases.filter(pc.invert(settled)).sort_by(
        [("recon_date", "ascending"), ("platform_serial", "ascending")]
    )
    table = orders.drop_columns(["gov_amt_fen", "bank_amt_fen"])
    for side in ("gov", "bank"):
        yuan = from_fen(orders.column(f"{side}_amt_fen").to_numpy())
        table = table.append_column(f"{side}_amt", pc.cast(yuan, pa.string()))
    _write(table, path)
    return orders.num_rows


def _write(table: pa.Table, path: Path) -> None:
    pa_csv.write_csv(table, path, pa_csv.WriteOptions(quoting_style="none", quoting_header="none"))
