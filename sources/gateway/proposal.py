"""A first plan for a file: which columns hold ids, which identify somebody and must go, and which may stay.

It looks at the first block alone. A person reads the plan before it is used; running it searches every row again.
"""

from __future__ import annotations

import csv
import io
import json
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from core.purpose import Purpose
from sources.file_format import FileFormat
from sources.gateway.blocks import LIMITS, read_blocks, texts_of
from sources.gateway.plan import Plan
from sources.identity import IdentityScan
from sources.identity.clues import RESIDENT, SHORT_RESIDENT, USCC, Kind
from sources.identity.guard import column_clues, convincing
from sources.unpacking import structure, unpacked

_ID_KINDS = {RESIDENT: "resident", SHORT_RESIDENT: "resident", USCC: "enterprise"}


def propose(path: Path, form: FileFormat, source: str, purpose: Purpose) -> Plan:
    """A plan that names every column of the file. Raises Refusal where the file isn't of the form."""
    columns = column_names(path, form)
    ids: dict[str, Any] = {}
    drop: list[str] = []
    for block in islice(read_blocks(path, form, columns), 1):
        for column in columns:
            cells = texts_of(block.table.column(column), form)
            found = convincing(column, column_clues(cells.dictionary, len(cells)))
            if found is None:
                continue
            if found.kind in _ID_KINDS and _fills(cells, found.hits):
                ids[column] = {"kind": _ID_KINDS[found.kind], "flags": True}
            else:
                drop.append(column)
    keep = [column for column in columns if column not in ids and column not in drop]
    if not ids:
        raise structure(path.name, "no column was found that holds resident ids or credit codes")
    return Plan.model_validate(
        {
            "plan": source,
            "source": source,
            "purpose": purpose,
            "file": form,
            "ids": ids,
            "keep": keep,
            "drop": drop,
        }
    )


def identifiers_in(path: Path, form: FileFormat) -> list[tuple[str, Kind, int]]:
    """(column, kind, cells) of the direct identifiers that a file holds, every row of it searched."""
    columns, scan = column_names(path, form), IdentityScan()
    for block in read_blocks(path, form, columns):
        for column in columns:
            scan.look(column, texts_of(block.table.column(column), form), block.first)
    return scan.findings()


def plan_text(plan: Plan) -> str:
    """The plan as YAML."""
    told = plan.model_dump(mode="json", exclude_none=True)
    told["file"] = plan.file.model_dump(mode="json", include=plan.file.model_fields_set | {"format"})
    ids = {column: rule.model_dump(mode="json", exclude_defaults=True) for column, rule in plan.ids.items()}
    return yaml.safe_dump(told | {"ids": ids}, allow_unicode=True, sort_keys=False, default_flow_style=None)


def column_names(path: Path, form: FileFormat) -> list[str]:
    """Names of the file's columns, from its header, schema or first object."""
    if form.format == "parquet":
        try:
            return list(pq.read_schema(path).names)
        except (pa.ArrowException, OSError):
            raise structure(path.name, "not a whole Parquet file") from None
    head = next(unpacked(path, form.compression, path.name, LIMITS), b"").split(b"\n", 1)[0]
    try:
        if form.format == "jsonl":
            return list(json.loads(head.decode("utf-8")))
        text = head.decode(form.encoding).removeprefix("\ufeff").removesuffix("\r")
        return next(csv.reader(io.StringIO(text), delimiter=form.delimiter))
    except (ValueError, StopIteration, TypeError):
        raise structure(path.name, "its first line names no columns", 1) from None


def _fills(cells: pa.DictionaryArray, hits: Any) -> bool:
    """Whether the hits are the column's content, not a slip in a remark."""
    filled = sum(1 for text in cells.dictionary.to_pylist() if text.strip())
    return len(hits) > 0.5 * filled
