"""Files that an erasure rewrites: lists with their recalls, the vault, score files, delivered copies, loose tables."""

from __future__ import annotations

import csv
import hashlib
import io
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import select

from core.state import Delivery, LeadList, Recall, Redaction
from leads.keyed_hash import LeadKey
from leads.recall import NOTICES, without_leads, write_notice
from rights.installation import Installation
from rights.subject import KnownSubject
from sources.delivery import MANIFEST_NAME


def recall_lists(home: Installation, subject: KnownSubject, erasure_no: int) -> dict[str, int]:
    """Take the subject's leads from published lists and write a notice for each; a list that was never published goes whole."""
    with home.state.session() as session:
        recalls = list(session.scalars(select(Recall).where(Recall.erasure_no == erasure_no)))
        folders = {entry.list_version: Path(entry.folder) for entry in session.scalars(select(LeadList))}
    for version in sorted({recall.list_version for recall in recalls}):
        leads = {str(r.lead_id) for r in recalls if r.list_version == version and r.lead_id is not None}
        changed = without_leads(folders[version], leads)
        with home.state.session() as session:
            entry = session.get_one(LeadList, version)
            entry.sha256, entry.rows = changed.sha256, changed.rows
    for recall in recalls:
        write_notice(
            home.settings.out / NOTICES,
            recall.recall_no,
            recall.list_version,
            recall.lead_id,
            recall.issued_at,
        )
    unpublished = _unpublished(home, subject, set(folders))
    for folder in unpublished:
        shutil.rmtree(folder)
    return {
        "lists_rewritten": len({r.list_version for r in recalls}),
        "unpublished_lists_removed": len(unpublished),
    }


def _unpublished(home: Installation, subject: KnownSubject, published: set[str]) -> list[Path]:
    """Folders of lists that no record vouches for, left by runs that died, with the subject on them."""
    token = LeadKey.load(home.settings.keys).token("lead_token", subject.subject_id)
    found = []
    for file in sorted(home.lists().glob("*/leads.parquet")):
        tokens = pq.read_table(file, columns=["lead_token"]).column("lead_token")
        if file.parent.name not in published and pc.any(pc.equal(tokens, token)).as_py():
            found.append(file.parent)
    return found


def erase_from_vault(home: Installation, subject: KnownSubject) -> dict[str, int]:
    """Rows of the vault's hand-over files that name the subject; a file that is left empty goes."""
    rows = 0
    for file in sorted((home.settings.home / "vault").glob("*.csv")):
        rows += _without_rows(file, lambda row: row.get("provider_code") in subject.names)
    return {"vault_rows": rows}


def erase_from_scores(home: Installation, subject: KnownSubject) -> dict[str, int]:
    """Rows of score files, and of features that were written out as known at some moment."""
    rows = {"scores": 0, "features": 0}
    for kind in rows:
        for file in sorted((home.settings.out / kind).glob("*/*.csv")):
            rows[kind] += _without_rows(file, lambda row: row.get("subject_id") == subject.subject_id)
    return {"score_file_rows": rows["scores"], "feature_file_rows": rows["features"]}


def erase_delivered_copies(home: Installation) -> dict[str, int]:
    """Data files in the home's own inbox whose archived bytes have been redacted; the manifest stays, so that the delivery is
    still recognised."""
    with home.state.session() as session:
        gone = set(session.scalars(select(Redaction.content_sha256)))
        entries = session.execute(select(Delivery.manifest_sha256, Delivery.archive))
        redacted = {manifest for manifest, archive in entries if not gone.isdisjoint(archive.split())}
    files = 0
    for manifest in sorted((home.settings.home / "inbox").rglob(MANIFEST_NAME)):
        if hashlib.sha256(manifest.read_bytes()).hexdigest() in redacted:
            for file in sorted(manifest.parent.iterdir()):
                if file != manifest and file.is_file() and not file.name.endswith(".sig"):
                    file.unlink()
                    files += 1
    return {"delivered_copies_removed": files}


def erase_from_loose_tables(home: Installation, subject: KnownSubject) -> dict[str, int]:
    """Parquet files outside lake, archive and lists (what a simulation notes of the truth): rows that name the subject."""
    known = [home.settings.lake, home.settings.archive, home.lists()]
    wanted, rows = pa.array(list(subject.names), pa.string()), 0
    for file in sorted(home.settings.home.rglob("*.parquet")):
        if any(file.is_relative_to(folder) for folder in known):
            continue
        table = pq.read_table(file, partitioning=None)
        if "subject_id" not in table.schema.names:
            continue
        theirs = pc.fill_null(pc.is_in(table.column("subject_id"), value_set=wanted), False)
        gone = int(pc.sum(theirs).as_py() or 0)
        if gone:
            part = file.with_name(f".{file.name}.{secrets.token_hex(4)}.part")
            pq.write_table(table.filter(pc.invert(theirs)), part, compression="zstd")
            part.replace(file)
            rows += gone
    return {"loose_rows": rows}


def _without_rows(file: Path, theirs: Callable[[dict[str, str]], bool]) -> int:
    """Rewrite a CSV without some rows, the others byte for byte as they were; returns how many went."""
    with file.open(encoding="utf-8", newline="") as opened:
        lines = list(opened)
    if not lines:
        return 0
    names = next(csv.reader([lines[0]]))
    kept = [lines[0]]
    for line in lines[1:]:
        row = dict(zip(names, next(csv.reader(io.StringIO(line))), strict=False))
        if not theirs(row):
            kept.append(line)
    if len(kept) < len(lines):
        part = file.with_name(f".{file.name}.{secrets.token_hex(4)}.part")
        part.touch(mode=file.stat().st_mode & 0o777)
        part.write_text("".join(kept), encoding="utf-8", newline="")
        part.replace(file)
    return len(lines) - len(kept)
