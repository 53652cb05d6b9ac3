"""Rotation and re-keying: which new token stands for which old one, for the few who may know.

Columns old_subject_id, new_subject_id, valid_from, as Parquet with a manifest (rows, sha256) beside it. It links two keys'
tokens, so it is delivered once, kept apart, and destroyed when the change is over.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import GsceneError
from core.subject import SubjectKind
from sources.gateway.token_keys import Tokeniser
from sources.identity import written_id

SCHEMA = pa.schema(
    [("old_subject_id", pa.string()), ("new_subject_id", pa.string()), ("valid_from", pa.date32())]
)


@dataclass(frozen=True)
class Crosswalk:
    """A written crosswalk: its file, rows and sha256; `left_out`: ids that are none."""

    file: Path
    rows: int
    sha256: str
    left_out: int


def make_crosswalk(
    ids: Iterable[str],
    kind: SubjectKind,
    old: Tokeniser,
    new: Tokeniser,
    valid_from: date,
    target: Path,
) -> Crosswalk:
    """Write the crosswalk of these ids (each once, in the order of the old token, which says nothing)."""
    if old.key_id == new.key_id:
        raise GsceneError(f"both keys are called {old.key_id}.", "A rotation leads to another key.")
    if target.exists():
        raise GsceneError(f"{target} is there already.", "Choose another name.")
    form = written_id.resident if kind is SubjectKind.RESIDENT else written_id.enterprise
    plain, invalid = set(), 0
    for text in ids:
        normal, what = form(text)
        if what == "unknown":
            invalid += 1
        else:
            plain.add(normal)
    pairs = sorted((old.token(each), new.token(each)) for each in plain)
    table = pa.table(
        [[pair[0] for pair in pairs], [pair[1] for pair in pairs], [valid_from] * len(pairs)], schema=SCHEMA
    )
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pq.write_table(table, target, write_page_checksum=True)
    target.chmod(0o600)
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    manifest = {
        "format": "gscene-crosswalk/1",
        "subject": str(kind),
        "old_key": old.key_id,
        "new_key": new.key_id,
        "valid_from": valid_from.isoformat(),
        "rows": len(pairs),
        "sha256": digest,
    }
    beside = target.with_name(target.name + ".manifest.json")
    beside.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    beside.chmod(0o600)
    return Crosswalk(target, len(pairs), digest, invalid)
