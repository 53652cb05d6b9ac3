"""Taking a lead back from a published list: our copy loses the row, and a notice tells whoever holds the list.

The notice names the list and the lead, nothing else; when its receipt is acknowledged the lead's number is forgotten too.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import Collection
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.definition_file import Bilingual
from core.table_files import sha256_of
from leads.export import MANIFEST, ExportedList

NOTICES = "recalls"

ASKED = Bilingual(
    zh="该客户的数据已依法删除：请从名单及所有副本中删除此行，停止联系，并确认。",
    en="The subject's data has been erased: delete this row from the list and every copy of it, stop approaching, confirm.",
)
CONFIRMED = Bilingual(zh="已确认删除。", en="Deletion has been confirmed.")


def without_leads(folder: Path, lead_ids: Collection[str]) -> ExportedList:
    """Rewrite an exported list without these leads, files and manifest; as it is where none of them is on it (any more).

    Made beside the list and moved into its place; killed in between, the list is missing for a moment and comes back when
    this is done again.
    """
    old, new = _aside(folder, "old"), _aside(folder, "new")
    if not folder.exists() and old.exists():
        (new if (new / MANIFEST).exists() else old).rename(folder)
    shutil.rmtree(new, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    if not _names_any(folder, lead_ids):
        body = (folder / MANIFEST).read_bytes()
        return ExportedList(folder, hashlib.sha256(body).hexdigest(), int(json.loads(body)["rows"]))
    new.mkdir()
    for file in sorted(folder.iterdir()):
        if file.name != MANIFEST:
            _copy_without(file, new / file.name, lead_ids)
    manifest = json.loads((folder / MANIFEST).read_bytes())
    manifest["files"] = [
        {"name": file.name, "bytes": file.stat().st_size, "sha256": sha256_of(file)}
        for file in sorted(new.iterdir())
    ]
    rows = pq.read_metadata(new / "leads.parquet").num_rows
    manifest |= {"rows": rows, "leads_recalled": manifest.get("leads_recalled", 0) + manifest["rows"] - rows}
    body = (json.dumps(manifest, ensure_ascii=False, indent=2, sort_keys=True) + "\n").encode()
    (new / MANIFEST).write_bytes(body)
    folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old)
    return ExportedList(folder, hashlib.sha256(body).hexdigest(), rows)


def write_notice(
    folder: Path, recall_no: int, list_version: str, lead_id: str | None, issued_at: datetime
) -> Path:
    """`<folder>/recall-<no>.json`: the row to delete, until the recall is acknowledged (`lead_id` None)."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {
        "format": "gscene-recall/1",
        "recall": recall_no,
        "list_version": list_version,
        "issued_at": issued_at.isoformat(timespec="seconds"),
        "lead_id": lead_id,
        **(ASKED if lead_id else CONFIRMED).model_dump(),
    }
    file = folder / f"recall-{recall_no}.json"
    part = file.with_suffix(f".{secrets.token_hex(4)}.part")
    part.write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    part.replace(file)
    return file


def _names_any(folder: Path, lead_ids: Collection[str]) -> bool:
    table = folder / "leads.parquet"
    if not table.is_file():
        return False
    leads = pq.read_table(table, columns=["lead_id"]).column("lead_id")
    return bool(pc.any(pc.is_in(leads, value_set=pa.array(list(lead_ids), pa.string()))).as_py())


def _copy_without(source: Path, target: Path, lead_ids: Collection[str]) -> None:
    """A file of a list without the rows of some leads; in text files a row is a line, and the lead's number is in no other."""
    if source.suffix == ".parquet":
        rows = pq.read_table(source)
        gone = pc.is_in(rows.column("lead_id"), value_set=pa.array(list(lead_ids), pa.string()))
        pq.write_table(rows.filter(pc.invert(gone)), target, compression="zstd", write_page_checksum=True)
        return
    names = [lead.encode() for lead in lead_ids]
    with source.open("rb") as lines, target.open("wb") as kept:
        kept.writelines(line for line in lines if not any(name in line for name in names))


def _aside(folder: Path, what: str) -> Path:
    return folder.with_name(f".{folder.name}.{what}.part")
