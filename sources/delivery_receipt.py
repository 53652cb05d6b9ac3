"""What a source is told of its delivery: a signed receipt with states, counts and hashes, and no cell's content.

`<home>/out/receipts/<source>/<subject>.<table>/<period>-r<revision>-<n>.json` and `.sig` beside it, of the same form as a
manifest's signature, made with the bank's own key; `out/receipts/bank.pem` lets the source check it. A receipt is entered
in the state database in the transaction that changes the ledger; the files are written after and can be made again. Whoever
sends the same bytes again finds the first receipt.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.clock import Clock
from core.key_file import load_key
from core.kill_point import kill_point
from core.state import Delivery, DeliveryReceipt, StateDatabase
from sources.signature import signature_of

KEY_NAME = "receipt.key"
PUBLIC_NAME = "bank.pem"
FORMAT = "gscene-receipt/1"


def issue(session: Session, clock: Clock, entry: Delivery, state: str | None = None) -> DeliveryReceipt:
    """Enter the receipt of the entry's present state (or of `state`, such as WITHDRAWN)."""
    session.flush()
    stem = f"{entry.source}/{entry.subject}.{entry.table}/{entry.period}-r{entry.revision}"
    n = 1 + (
        session.scalar(
            select(func.count()).where(
                DeliveryReceipt.delivery_no == Delivery.delivery_no,
                Delivery.source == entry.source,
                Delivery.subject == entry.subject,
                Delivery.table == entry.table,
                Delivery.period == entry.period,
                Delivery.revision == entry.revision,
            )
        )
        or 0
    )
    body = _body(clock, entry, state or entry.state)
    digest = hashlib.sha256(body.encode()).hexdigest()
    receipt = DeliveryReceipt(
        name=f"{stem}-{n}.json",
        delivery_no=entry.delivery_no,
        n=n,
        state=state or entry.state,
        body=body,
        sha256=digest,
        issued_at=clock.now(),
    )
    session.add(receipt)
    entry.receipt_sha256 = digest
    session.flush()
    return receipt


def receipts_of(state: StateDatabase, delivery_no: int) -> list[DeliveryReceipt]:
    """Receipts of one delivery, the first one first."""
    query = select(DeliveryReceipt).where(DeliveryReceipt.delivery_no == delivery_no)
    with state.session() as session:
        return list(session.scalars(query.order_by(DeliveryReceipt.n)))


def write_receipts(
    state: StateDatabase, folder: Path, keys: Path, delivery_no: int | None = None
) -> list[Path]:
    """Write the receipts (of one delivery, or all) that aren't lying below `folder` yet; returns their paths."""
    query = select(DeliveryReceipt).order_by(DeliveryReceipt.name)
    if delivery_no is not None:
        query = query.where(DeliveryReceipt.delivery_no == delivery_no)
    with state.session() as session:
        receipts = list(session.scalars(query))
    missing = [
        receipt
        for receipt in receipts
        if not (folder / receipt.name).exists() or not _signature(folder / receipt.name).exists()
    ]
    if not missing:
        return []
    key = bank_key(keys)
    public = folder / PUBLIC_NAME
    if not public.exists():
        pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        _write(public, pem)
    for receipt in missing:
        body = receipt.body.encode()
        _write(_signature(folder / receipt.name), signature_of(body, key).encode())
        kill_point("receipt.after_signature")
        _write(folder / receipt.name, body)
    return [folder / receipt.name for receipt in missing]


def bank_key(keys: Path) -> Ed25519PrivateKey:
    """The key that the bank signs receipts with, made with mode 0600 at first use."""
    return Ed25519PrivateKey.from_private_bytes(load_key(keys / KEY_NAME))


def _body(clock: Clock, entry: Delivery, state: str) -> str:
    left_out = {left.reason: left.rows for left in sorted(entry.left_out, key=lambda left: left.reason)}
    told = {
        "format": FORMAT,
        "delivery_no": entry.delivery_no,
        "source": entry.source,
        "subject": entry.subject,
        "table": entry.table,
        "period": entry.period,
        "revision": entry.revision,
        "sequence": entry.sequence,
        "manifest_sha256": entry.manifest_sha256,
        "content_sha256": entry.content_sha256 or None,
        "signed_by": entry.signed_by,
        "state": state,
        "reason": entry.reason,
        "place": entry.place,
        "remedy": entry.remedy,
        "rows": {
            "delivered": entry.rows_delivered,
            "accepted": entry.rows_accepted,
            "left_out": left_out,
            "quarantined": entry.rows_quarantined,
        },
        "warnings": entry.warnings or {},
        "received_at": entry.received_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "issued_at": clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
    return json.dumps(told, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _signature(path: Path) -> Path:
    return path.with_suffix(".sig")


def _write(path: Path, body: bytes) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        part.write_bytes(body)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
