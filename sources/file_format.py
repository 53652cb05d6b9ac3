"""How a source writes its files, and the caps that every file is held to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field, model_validator

from core.definition_file import Definition


class FileFormat(Definition):
    """The `file` entry of an adapter. `bom`: the byte-order mark must be there, must not, or may be.

    `encoding`, `delimiter` and `bom` belong to csv; `compression` to csv and jsonl (Parquet and XLSX compress inside);
    `sheet` to xlsx: the name of the sheet that holds the rows, left out where the workbook has one alone.
    """

    format: Literal["csv", "parquet", "xlsx", "jsonl"] = "csv"
    encoding: Literal["utf-8", "gb18030"] = "utf-8"
    delimiter: str = Field(default=",", pattern=r"^[,;|~^\t]$")
    bom: bool | Literal["optional"] = False
    compression: Literal["none", "gzip", "zip"] = "none"
    sheet: str | None = None

    @model_validator(mode="after")
    def _entries_of_the_format(self) -> FileFormat:
        belongs = {
            "csv": {"encoding", "delimiter", "bom", "compression"},
            "jsonl": {"compression"},
            "xlsx": {"sheet"},
            "parquet": set(),
        }[self.format]
        strange = sorted(self.model_fields_set - belongs - {"format"})
        if strange:
            raise ValueError(f"{', '.join(strange)} doesn't belong to the format {self.format}")
        return self


@dataclass(frozen=True)
class Limits:
    """Caps against hostile files, and what the process that reads them may use.

    Text exports compress 5 to 20 times; 292 kB that unfold to 300 MB are a bomb. The ratio counts only above
    1 MiB, where it can hurt. Arrow's string columns hold 2 GiB. `memory_bytes` is address space beyond what the reading
    process starts with; `cpu_seconds` and `wall_seconds` are for one delivery and are far beyond any real month.
    """

    max_ratio: int = 100
    max_bytes: int = 2**31 - 2**20
    max_field_bytes: int = 10_000
    max_rows: int = 50_000_000
    memory_bytes: int = 3 * 2**30
    cpu_seconds: int = 600
    wall_seconds: float = 1200.0
