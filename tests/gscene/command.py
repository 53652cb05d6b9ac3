"""Run a command as a shell would and keep what it said; and a folder of VAT invoices too small to learn from."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.subject import SubjectKind
from gscene.__main__ import main
from sources.delivery import write_manifest

OUT_HEADER = "企业代号,发票号码,开票日期,购方单位代号,金额,税额,价税合计,发票状态"
IN_HEADER = "企业代号,发票号码,开票日期,销方单位代号,金额,税额,价税合计,发票状态"
FIRMS = 6


@dataclass(frozen=True)
class Said:
    """Exit code and what went to stdout and stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on stdout; anything beside it is an error."""
        return json.loads(self.out)


def gscene(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Said:
    """Exit code and texts of `gscene ARGUMENTS`."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    told = capsys.readouterr()
    return Said(int(ended.value.code or 0), told.out, told.err)


def invoice_rows(month: str, net: str = "1000.00", first: int = 1) -> list[str]:
    """Two invoices a firm."""
    year, number = month.split("-")
    return [
        f"E{firm},{1000 + 10 * firm + day},{year}/{int(number)}/{day},B9,{net},60.00,1060.00,有效发票"
        for firm in range(first, FIRMS + 1)
        for day in (3, 17)
    ]


def packed(header: str, rows: list[str]) -> bytes:
    """The file as the tax platform packs it."""
    return gzip.compress("\n".join([header, *rows, ""]).encode("utf-8-sig"), mtime=0)


def sme_folder(folder: Path, months: list[str]) -> Path:
    """enterprises.csv, output_invoice/ and input_invoice/ of a few firms."""
    for kind, header in (("output_invoice", OUT_HEADER), ("input_invoice", IN_HEADER)):
        (folder / kind).mkdir(parents=True)
        for month in months:
            (folder / kind / f"{month}.csv.gz").write_bytes(packed(header, invoice_rows(month)))
    outcomes = [f"E{firm},{'ABCD'[firm % 4]},{'是' if firm == 3 else '否'}" for firm in range(1, FIRMS + 1)]
    text = "\n".join(["企业代号,信誉评级,是否违约", *outcomes, ""])
    (folder / "enterprises.csv").write_bytes(text.encode("utf-8-sig"))
    return folder


def lay(
    inbox: Path, month: str, body: bytes, rows: int, *, revision: int = 1, described: bytes | None = None
) -> Path:
    """One delivery of issued invoices in an inbox; `described` are other bytes that the manifest speaks of."""
    folder = inbox / "sme_tax_out" / "enterprise.invoice" / f"{month}-r{revision}"
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "invoices.csv.gz"
    data.write_bytes(described if described is not None else body)
    write_manifest(
        data, source="sme_tax_out", adapter="sme_output_invoice", subject=SubjectKind.ENTERPRISE,
        table="invoice", period=month, rows=rows, revision=revision,
    )  # fmt: skip
    data.write_bytes(body)
    return folder
