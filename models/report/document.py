"""A report before it becomes a page or a file: its head and twelve parts, and the same as plain JSON.

The JSON is kept beside the bundle, so that a report can be exported later in any form without the data it was made of.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.definition_file import Bilingual
from core.errors import Refusal
from models.report_blocks import Block, Cell, Paragraph, Part, Picture, Table

FORMAT = "gscene-report/1"


@dataclass(frozen=True)
class ReportPart:
    """One of the twelve parts; never without blocks."""

    part: Part
    title: Bilingual
    blocks: tuple[Block, ...]

    @property
    def number(self) -> int:
        """1 to 12."""
        return list(Part).index(self.part) + 1

    @property
    def tables(self) -> tuple[Table, ...]:
        """Its tables, in order."""
        return tuple(block for block in self.blocks if isinstance(block, Table))


@dataclass(frozen=True)
class Report:
    """`facts`: what stands under the title; `verdict`: the sentence to read first; `gravest`: the gravest verdict of the
    findings, "" without any; `notice` stands above everything.
    """

    title: Bilingual
    month: str
    facts: tuple[tuple[Bilingual, Cell], ...]
    verdict: Bilingual
    gravest: str
    notice: Bilingual | None
    parts: tuple[ReportPart, ...]

    def with_part(self, changed: ReportPart) -> Report:
        """The same report with one part in another state, such as the signatures."""
        parts = (changed if each.part is changed.part else each for each in self.parts)
        return replace(self, parts=tuple(parts))

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "format": FORMAT,
            "title": self.title.model_dump(),
            "month": self.month,
            "facts": [[name.model_dump(), _plain_cell(value)] for name, value in self.facts],
            "verdict": self.verdict.model_dump(),
            "gravest": self.gravest,
            "notice": None if self.notice is None else self.notice.model_dump(),
            "parts": [
                {
                    "part": str(each.part),
                    "title": each.title.model_dump(),
                    "blocks": [_plain_block(block) for block in each.blocks],
                }
                for each in self.parts
            ],
        }


def report_bytes(report: Report) -> bytes:
    """The JSON file; the same report gives the same bytes."""
    return (json.dumps(report.plain(), ensure_ascii=False, sort_keys=True, allow_nan=False) + "\n").encode()


def read_report(data: bytes, file: str = "") -> Report:
    """Back from JSON; Refusal REFUSED/REPORT where it isn't one of ours."""
    try:
        plain = json.loads(data)
        if plain["format"] != FORMAT:
            raise ValueError("format")
        return Report(
            title=Bilingual(**plain["title"]),
            month=plain["month"],
            facts=tuple((Bilingual(**name), _cell(value)) for name, value in plain["facts"]),
            verdict=Bilingual(**plain["verdict"]),
            gravest=plain["gravest"],
            notice=_bilingual(plain["notice"]),
            parts=tuple(
                ReportPart(
                    Part(each["part"]),
                    Bilingual(**each["title"]),
                    tuple(_block(block) for block in each["blocks"]),
                )
                for each in plain["parts"]
            ),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Refusal(
            "REFUSED/REPORT",
            f"the kept report can't be read: {type(error).__name__}.",
            file=file,
            remedy="Restore it from a backup, or train the model again: gscene run.",
        ) from None


def checked(block: Block) -> Block:
    """The block with numbers that aren't finite shown as a dash; ValueError where a table isn't one."""
    if not isinstance(block, Table):
        return block
    width = len(block.columns)
    if any(len(row) != width for row in block.rows) or len(block.formats) not in (0, width):
        raise ValueError(
            f"the table {block.title.en!r} has rows or formats of another width than its columns"
        )
    rows = tuple(tuple(_finite(cell) for cell in row) for row in block.rows)
    return replace(block, rows=rows)


def _finite(cell: Cell) -> Cell:
    if isinstance(cell, float):
        return float(cell) if math.isfinite(cell) else None
    return cell


def _plain_cell(cell: Cell) -> Any:
    return cell.model_dump() if isinstance(cell, Bilingual) else cell


def _cell(plain: Any) -> Cell:
    return Bilingual(**plain) if isinstance(plain, dict) else plain


def _bilingual(plain: Mapping[str, str] | None) -> Bilingual | None:
    return None if plain is None else Bilingual(**plain)


def _plain_block(block: Block) -> dict[str, Any]:
    if isinstance(block, Paragraph):
        return {"paragraph": block.text.model_dump()}
    if isinstance(block, Picture):
        return {
            "picture": block.title.model_dump(),
            "alt": block.alt.model_dump(),
            "svg": block.svg.decode("utf-8"),
            "png": None if block.png is None else base64.b64encode(block.png).decode("ascii"),
        }
    return {
        "table": block.title.model_dump(),
        "columns": [column.model_dump() for column in block.columns],
        "rows": [[_plain_cell(cell) for cell in row] for row in block.rows],
        "formats": list(block.formats),
        "note": None if block.note is None else block.note.model_dump(),
        "folded": block.folded,
    }


def _block(plain: Mapping[str, Any]) -> Block:
    if "paragraph" in plain:
        return Paragraph(Bilingual(**plain["paragraph"]))
    if "picture" in plain:
        png = None if plain["png"] is None else base64.b64decode(plain["png"])
        return Picture(
            Bilingual(**plain["picture"]), plain["svg"].encode("utf-8"), Bilingual(**plain["alt"]), png
        )
    return Table(
        Bilingual(**plain["table"]),
        tuple(Bilingual(**column) for column in plain["columns"]),
        tuple(tuple(_cell(cell) for cell in row) for row in plain["rows"]),
        tuple(plain["formats"]),
        _bilingual(plain["note"]),
        plain["folded"],
    )
