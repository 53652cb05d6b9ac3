"""Lists as files that leave the system: CSV for Excel, NDJSON and Parquet for machines, and a manifest that vouches for them.

A list version is written once, whole, and never overwritten. XLSX is left out: no library in the lock writes it, and a CSV with
byte-order mark and formula guard opens in Excel as it should.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import unicodedata
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import GsceneError
from leads.lead_list import FIELDS, LeadList
from models.sign_off import approval_of

Language = Literal["zh", "en"]

MANIFEST = "manifest.json"

#: Characters that make a spreadsheet take a cell for a formula or run on into the next cell (OWASP ASVS 1.2.10).
_FORMULA_STARTS = frozenset("=+-@\t\r\n\0")

#: Skipped by some importers before they look for a formula.
_INVISIBLE = " \u00a0\u200b\u3000\ufeff"

_VERSION_FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class ExportedList:
    """Where a list lies. `sha256` is that of the manifest, which holds those of the files."""

    folder: Path
    sha256: str
    rows: int


def guard_formula(text: str) -> str:
    """`text` with an apostrophe before it where a spreadsheet would read a formula; full-width signs count too.

    >>> guard_formula("=1+1"), guard_formula("＝1+1"), guard_formula("连续缴存")
    ("'=1+1", "'＝1+1", '连续缴存')
    """
    if text[:1].isascii() and text[:1].isalnum():
        return text  # nearly every cell of a list: ten times as fast as looking further
    for character in (text[:1], text.lstrip(_INVISIBLE)[:1]):
        if character and unicodedata.normalize("NFKC", character)[:1] in _FORMULA_STARTS:
            return "'" + text
    return text


def export_list(leads: LeadList, folder: Path, languages: Sequence[Language] = ("zh", "en")) -> ExportedList:
    """Write `<folder>/<list_version>/` with leads_<language>.csv, leads.ndjson, leads.parquet and manifest.json.

    The waterfall stays inside: its counts of risk grades are not for marketers. All or nothing: files are made beside their
    place and moved there in one step. GsceneError for an empty list, a list version that exists already, or one that can't be
    the name of a folder.
    """
    final = folder / leads.list_version
    _check(leads, final)
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{leads.list_version}.{uuid.uuid4().hex}.part"
    part.mkdir()
    try:
        for language in languages:
            _write_csv(leads.rows, part / f"leads_{language}.csv", language)
        _write_ndjson(leads.rows, part / "leads.ndjson")
        _write_parquet(leads.rows, part / "leads.parquet")
        manifest = _manifest(leads, part)
        (part / MANIFEST).write_bytes(manifest)
        try:
            part.rename(final)
        except OSError:
            # Another export of the same version came first: a folder with files in it can't be replaced.
            if final.exists():
                raise _exists(leads) from None
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return ExportedList(final, hashlib.sha256(manifest).hexdigest(), len(leads.rows))


def verify_export(folder: Path) -> ExportedList:
    """Check the files of an exported list against its manifest; GsceneError names the first that differs."""
    content = (folder / MANIFEST).read_bytes()
    manifest = json.loads(content)
    for entry in manifest["files"]:
        file = folder / entry["name"]
        if not file.is_file() or _sha256(file) != entry["sha256"]:
            raise GsceneError(
                f"{file} isn't the file that was exported.", "Take the list from its origin again."
            )
    return ExportedList(folder, hashlib.sha256(content).hexdigest(), int(manifest["rows"]))


def _check(leads: LeadList, final: Path) -> None:
    if not _VERSION_FORM.fullmatch(leads.list_version):
        raise GsceneError(
            "the list version can't be the name of a folder.",
            "Use letters, digits, dot, hyphen and underscore only.",
        )
    if leads.rows.empty:
        raise GsceneError(
            f"list {leads.list_version} is empty, so nothing was exported.",
            "Its waterfall tells where everyone was left out.",
        )
    if list(leads.rows.columns) != list(FIELDS):
        raise GsceneError(
            "the list has other columns than a lead list may have.",
            "Make it with leads.lead_list.build_list.",
        )
    if final.exists():
        raise _exists(leads)


def _exists(leads: LeadList) -> GsceneError:
    return GsceneError(
        f"list {leads.list_version} exists already and stays as it is.", "Give the new list a new version."
    )


def _write_csv(rows: pd.DataFrame, path: Path, language: Language) -> None:
    texts = _as_text(rows)
    for name in texts.select_dtypes(exclude="number").columns:
        texts[name] = texts[name].map(guard_formula)
    headings = [getattr(FIELDS[name], language) for name in texts.columns]
    # The byte-order mark makes Excel in China read UTF-8 instead of GBK.
    texts.set_axis(headings, axis="columns").to_csv(
        path, index=False, encoding="utf-8-sig", lineterminator="\r\n"
    )


def _write_ndjson(rows: pd.DataFrame, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for record in _as_text(rows).to_dict(orient="records"):
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def _write_parquet(rows: pd.DataFrame, path: Path) -> None:
    kinds = {
        "priority_rank": pa.int32(),
        "valid_from": pa.date32(),
        "expires_on": pa.date32(),
        "generated_at": pa.timestamp("us", tz="UTC"),
    }
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in FIELDS])
    table = pa.table([pa.array(rows[field.name].tolist(), field.type) for field in schema], schema=schema)
    pq.write_table(table, path, compression="zstd", write_page_checksum=True)


def _as_text(rows: pd.DataFrame) -> pd.DataFrame:
    """Dates and times as ISO 8601."""
    return rows.assign(
        valid_from=[on.isoformat() for on in rows["valid_from"]],
        expires_on=[on.isoformat() for on in rows["expires_on"]],
        generated_at=[at.isoformat(timespec="seconds") for at in rows["generated_at"]],
    )


def _manifest(leads: LeadList, folder: Path) -> bytes:
    files = [
        {"name": file.name, "bytes": file.stat().st_size, "sha256": _sha256(file)}
        for file in sorted(folder.iterdir())
    ]
    body = {
        "format": "gscene-lead-list/1",
        "list_version": leads.list_version,
        "campaign_id": leads.campaign_id,
        "purpose": "marketing",
        "subject": str(leads.subject),
        "rows": len(leads.rows),
        "rows_by_arm": {arm: int(rows) for arm, rows in sorted(leads.rows["arm"].value_counts().items())},
        "generated_at": leads.generated_at.isoformat(timespec="seconds"),
        "policy_sha256": leads.policy_sha256,
        "model_version": leads.model_version,
        "approval": approval_of(leads.model_version).model_dump(),
        "files": files,
    }
    return (json.dumps(body, ensure_ascii=False, indent=2, sort_keys=True) + "\n").encode()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
