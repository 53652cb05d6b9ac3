"""`gscene reconcile`: the three books of a day's payments side by side."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from core.errors import ExitCode, GsceneError
from gscene.console import Reporter
from gscene.options import json_option

_CASES = {
    "matched": "一致",
    "refunded": "已退款且一致",
    "unpaid_order": "未支付订单",
    "long": "长款：银行有、财政无",
    "short": "短款：财政有、银行无",
    "amount_diff": "金额不符",
    "duplicate": "重复扣款",
    "refund_open": "退款未平",
    "off_platform": "平台无此订单",
}

_BOOK = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--platform", type=_BOOK, required=True, help="Orders of the platform. 平台订单。")
@click.option("--gov", type=_BOOK, required=True, help="Receipts of the government. 财政票据。")
@click.option("--bank", type=_BOOK, required=True, help="Entries booked by the bank. 银行入账。")
@click.option(
    "--platform-cd", required=True, help="Code of the platform in the result, such as 430800. 平台代码。"
)
@click.option(
    "--inbox", type=click.Path(file_okay=False, path_type=Path),
    help="Write the reconciled days there, as deliveries that `gscene run --inbox` takes in. 写出对账结果交付。",
)  # fmt: skip
@click.option(
    "--revision", type=click.IntRange(1), default=1, show_default=True, help="Revision of those deliveries."
)
@click.option(
    "--open-orders", type=click.Path(dir_okay=False, path_type=Path),
    help="Write the orders that aren't settled there, as CSV. 写出未平订单。",
)  # fmt: skip
@json_option
def reconcile(
    platform: Path, gov: Path, bank: Path, platform_cd: str, inbox: Path | None, revision: int,
    open_orders: Path | None, as_json: bool,
) -> ExitCode:  # fmt: skip
    """Put the platform's, the government's and the bank's books of payments side by side, by the platform's serial.

    三方（平台、财政、银行）流水逐笔对账：平台流水号为主线，精确到分。

    \b
    Each book is a CSV file in UTF-8 with the columns
      entry_date,platform_serial,channel,exec_unit_cd,amt          amt in yuan, negative: given back
    and its own serial: gov_serial in the government's, acct_serial in the bank's.

    Payments of a day that isn't settled hold back the receipt of their month, until a later revision settles it.
    Ends with exit code 3 where a day is open.

    \b
    Example:
      gscene reconcile --platform orders.csv --gov receipts.csv --bank booked.csv \\
        --platform-cd 430800 --inbox inbox --open-orders open.csv
    """  # fmt: skip
    from sources.reconciliation import reconcile as side_by_side
    from sources.reconciliation import unreconciled_days
    from sources.reconciliation_books import deliver_days, read_book, write_open_orders

    reporter = Reporter(as_json)
    done = side_by_side(
        *(read_book(path, book) for path, book in ((platform, "platform"), (gov, "gov"), (bank, "bank")))
    )
    counts = Counter(done.cases.column("case").to_pylist())
    rows = [[case, told, counts[case]] for case, told in _CASES.items() if counts[case]]
    reporter.table("Orders by case 各情况订单数", ["case", "情况", "orders"], rows)
    still_open = unreconciled_days(done.days)
    results: dict[str, object] = {
        "orders": done.cases.num_rows,
        "cases": dict(counts),
        "open_days": still_open,
    }
    if inbox is not None:
        try:
            results["deliveries"] = [str(each) for each in deliver_days(done, platform_cd, inbox, revision)]
        except FileExistsError as error:
            raise GsceneError(
                f"{error.filename} lies there already.",
                "Give the next --revision: it replaces the month's earlier one.",
            ) from None
    if open_orders is not None:
        results["open_orders"] = write_open_orders(done, open_orders)
    reporter.results(results)
    reporter.finish()
    return ExitCode.GATE_REFUSED if still_open else ExitCode.OK
