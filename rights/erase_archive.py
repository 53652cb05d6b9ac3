"""Archived deliveries rewritten without the subject: every file whose key column names it, or in which it is
somebody's employer or payer.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import select

from core.errors import GsceneError, Refusal
from core.state import Delivery
from core.subject import SubjectKind
from core.table_schema import TableSchema
from rights.contents import Unsearchable, any_content
from rights.installation import Installation, party_columns
from rights.subject import KnownSubject
from sources.adapter import Adapter
from sources.erased import Erased
from sources.ledger import ACCEPTED
from sources.redaction import read_archived, redaction_of, without_erased, write_redacted


def redact_archive(home: Installation, subject: KnownSubject) -> dict[str, int]:
    """Go through all archived files; each is rewritten in one step, so that a killed redaction goes on where it stopped."""
    told = {
        "archives_redacted": 0,
        "archived_rows_removed": 0,
        "archived_cells_replaced": 0,
        "archives_removed": 0,
    }
    erased = Erased.load(home.state, home.settings.keys)
    deliveries = _by_archive(home)
    with home.progress.stage("archive", len(deliveries)) as stage:
        for name, entry in deliveries.items():
            for key, count in _redact(home, subject, erased, name, entry).items():
                told[key] += count
            stage.advance(note=entry.period)
    return told


def _by_archive(home: Installation) -> dict[str, Delivery]:
    """The archived files with a delivery that says how to read each; accepted ones say it best."""
    with home.state.session() as session:
        query = select(Delivery).where(Delivery.archive != "").order_by(Delivery.delivery_no)
        entries = list(session.scalars(query))
    entries.sort(key=lambda entry: entry.state != "ACCEPTED")
    found: dict[str, Delivery] = {}
    for entry in entries:
        for name in entry.archive.split():
            found.setdefault(name, entry)
    return found


def _redact(
    home: Installation, subject: KnownSubject, erased: Erased, name: str, entry: Delivery
) -> dict[str, int]:
    archive, keys = home.settings.archive, home.settings.keys
    adapter = home.adapters.get(entry.adapter)
    contract = home.contracts.get(entry.table)
    if adapter is None or contract is None:
        return _remove_if_named(home, subject, name, entry)
    schema = contract.schema()
    if not _may_name(adapter, schema, subject.kind):
        return {}
    try:
        rows = read_archived(archive, name, adapter, home.state)
    except Refusal:
        return _remove_if_named(home, subject, name, entry)
    if rows is None:
        return {}

    def among(subject_ids: pa.Array) -> np.ndarray:
        same = pc.fill_null(pc.equal(subject_ids, subject.subject_id), False)
        return np.asarray(same.to_numpy(zero_copy_only=False) & (adapter.subject is subject.kind))

    left = without_erased(rows, adapter, schema, keys, erased, among)
    if left is rows:
        if redaction_of(home.state, name) is not None:
            # Killed between writing the redacted rows and deleting the bytes before them.
            (archive / name).unlink(missing_ok=True)
        return {}
    write_redacted(archive, name, left, home.state, home.clock)
    return {
        "archives_redacted": 1,
        "archived_rows_removed": left.removed - rows.removed,
        "archived_cells_replaced": left.replaced - rows.replaced,
    }


def _may_name(adapter: Adapter, schema: TableSchema, kind: SubjectKind) -> bool:
    return adapter.subject is kind or bool(party_columns(schema))


def _remove_if_named(home: Installation, subject: KnownSubject, name: str, entry: Delivery) -> dict[str, int]:
    """A file that was refused because it can't be read can't be rewritten either: where it names the subject it goes whole.

    GsceneError for one that was accepted: it would be lost for everybody else because an adapter is missing or was changed.
    """
    file = home.settings.archive / name
    try:
        if not file.is_file() or not names_subject(file, subject.names):
            return {}
    except Unsearchable:
        # Nobody can say whether it names the subject: it stays, and the search at the end tells of it.
        return {}
    if entry.state == ACCEPTED:
        raise GsceneError(
            f"the archived bytes of delivery {entry.delivery_no} can't be read by the adapter {entry.adapter} any more.",
            f"Bring back sources/adapters/{entry.adapter}.yaml as it was, then run the same command again.",
        )
    write_redacted(home.settings.archive, name, None, home.state, home.clock)
    return {"archives_removed": 1}


def names_subject(file: Path, names: tuple[str, ...]) -> bool:
    """Whether a file, or a text packed in it, has one of the names as a word, in any of the encodings that sources use.

    Raises Unsearchable.
    """
    words = "|".join(re.escape(name.lower()) for name in names)
    pattern = re.compile(rf"(?<![0-9a-z])(?:{words})(?![0-9a-z])")
    longest = max(map(len, names))

    def found(pieces: Iterator[bytes]) -> bool:
        decoders = [
            codecs.getincrementaldecoder(encoding)(errors="ignore") for encoding in ("utf-8", "gb18030")
        ]
        rests = ["", ""]
        for piece in chain(pieces, [b""]):
            for place, decoder in enumerate(decoders):
                told = unicodedata.normalize("NFKC", decoder.decode(piece, final=not piece)).lower()
                text = rests[place] + told
                # A word at the very end may go on in the next piece; one at the front of the rest was looked at before.
                begin = 1 if rests[place] else 0
                if any(not piece or m.end() < len(text) for m in pattern.finditer(text, begin)):
                    return True
                rests[place] = text[-longest - 1 :]
        return False

    return any_content(file, found)
