"""A pseudonymised file as a delivery: laid into an inbox with its manifest, as the bank receives it."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from core.errors import GsceneError
from core.months import Month
from sources.delivery import DeliveryFolder, read_delivery, write_manifest
from sources.gateway.plan import Plan
from sources.gateway.pseudonymise import Outcome

_ENDINGS = {"csv": "csv", "jsonl": "jsonl", "parquet": "parquet"}


def folder_for(inbox: Path, plan: Plan, period: Month, revision: int) -> Path:
    """Where the delivery of a month goes; GsceneError where the plan doesn't say what it is."""
    if plan.delivery is None:
        raise GsceneError(
            "the plan has no `delivery`.", "Add adapter, subject and table under `delivery` in the plan."
        )
    feed = f"{plan.delivery.subject}.{plan.delivery.table}"
    return inbox / plan.source / feed / f"{period}-r{revision}"


def staging_of(folder: Path) -> Path:
    """Where a delivery is made before it is handed over: in the inbox's file system, one level higher, so that nobody takes a
    half one for a delivery.
    """
    return folder.parent.with_name(f".{folder.parent.name}.{folder.name}.part")


def data_name(plan: Plan) -> str:
    """The data file's name: it says nothing of what is inside."""
    return f"data.{_ENDINGS[plan.file.format]}" + (".gz" if plan.file.compression == "gzip" else "")


def hand_over(
    folder: Path,
    plan: Plan,
    outcome: Outcome,
    period: Month,
    revision: int,
    *,
    sequence: int | None = None,
    previous: str | None = None,
    signing_key: Path | None = None,
) -> DeliveryFolder:
    """Write the manifest beside the data file that was staged for `folder`, move both there at once, and read the whole back as
    the bank will.

    The gateway's own report goes beside the folder: it speaks of the provider's work and isn't handed over.
    """
    assert plan.delivery is not None
    staged = staging_of(folder)
    data = staged / data_name(plan)
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in (f"{data.name}.report.json", f"{data.name}.rejected.csv"):
        if (staged / left).exists():
            os.replace(staged / left, folder.with_name(f"{folder.name}.{left}"))
    write_manifest(
        data,
        source=plan.source,
        adapter=plan.delivery.adapter,
        subject=plan.delivery.subject,
        table=plan.delivery.table,
        period=str(period),
        rows=outcome.rows_written,
        revision=revision,
        mode=plan.delivery.mode,
        control_sums={column: _plain(total) for column, total in outcome.control_sums.items()},
        sequence=sequence,
        previous=previous,
        signing_key=_private_key(signing_key) if signing_key else None,
    )
    os.rename(staged, folder)
    return read_delivery(folder)


def _plain(total: Decimal) -> str:
    return format(total, "f")


def _private_key(file: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(file.read_bytes(), None)
    except (OSError, ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise GsceneError(
            f"{file} holds no Ed25519 private key in PEM without a password.",
            "Make one: openssl genpkey -algorithm ed25519 -out key.pem",
        )
    return key
