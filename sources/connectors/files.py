"""Finished deliveries of a counterpart: what is new comes over, several at once, and enters the ledger in listed order."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from core.errors import GsceneError, Refusal
from core.state import PullItem
from sources.connectors.connection import DropConnection
from sources.connectors.counterpart import MAX_SIGNATURE_BYTES, SIGNATURE_NAME, Counterpart, Listed
from sources.connectors.failure import SourceUnavailable, refused
from sources.connectors.pull_state import DONE, TRY_AGAIN, UNDER_WAY, wants
from sources.connectors.run import Run
from sources.connectors.transfer import fetch
from sources.delivery import MANIFEST_NAME, MAX_MANIFEST_BYTES, DeliveredFile, Manifest, parse_manifest

#: Room that stays free on the disk: a full one stops more than this pull.
SPARE_BYTES = 64 << 20

_FORM = (
    "It isn't received. Have the source send the delivery again with a manifest as docs/deliveries.md says."
)


@dataclass(frozen=True)
class _Ready:
    """A delivery whose manifest has been read and accepted; nothing of its files has."""

    listed: Listed
    body: bytes
    manifest: Manifest


async def pull_files(run: Run, counterpart: Counterpart) -> str | None:
    """Bring every new delivery; returns where the next listing may go on, None where this one must be gone through again."""
    listing = await run.persist(lambda: counterpart.listing(run.pulls.cursor()))
    if len(listing.deliveries) > run.connection.limits.deliveries:
        raise refused(
            "TOO_LARGE",
            f"more than {run.connection.limits.deliveries} deliveries are laid out.",
            "Have the other side clear away old ones, or raise `limits.deliveries`.",
        )
    known = run.pulls.items()
    await _clear_away(run, counterpart, listing.deliveries, known)
    new = [listed for listed in listing.deliveries if wants(known.get(listed.item), listed.tag)]
    ready = [prepared for listed in new if (prepared := await _prepare(run, counterpart, listed)) is not None]
    total = sum(file.bytes for prepared in ready for file in prepared.manifest.files)
    if shutil.disk_usage(run.side.home).free < total + SPARE_BYTES:
        raise GsceneError(
            f"{total} bytes wait, more than this disk has free.", "Free some space and pull again."
        )
    if ready:
        with run.side.progress.stage(f"pull {run.connection.connection} (bytes)", total) as run.stage:
            await _bring(run, counterpart, ready)
    again = [code for code in run.pulled.refused.values() if code in TRY_AGAIN]
    return None if run.pulled.waiting or run.down or again else listing.cursor


async def _prepare(run: Run, counterpart: Counterpart, listed: Listed) -> _Ready | None:
    try:
        body = await run.persist(lambda: counterpart.manifest(listed))
        manifest = _checked(run, listed, body)
        if not await run.persist(lambda: counterpart.finished(listed, manifest)):
            run.pulled.waiting += 1
            return None
    except Refusal as refusal:
        run.pulls.begin(listed.item, listed.tag)
        run.refuse(listed.item, refusal)
        return None
    except SourceUnavailable as failure:
        run.unavailable(failure)
        return None
    return _Ready(listed, body, manifest)


def _checked(run: Run, listed: Listed, body: bytes) -> Manifest:
    if len(body) > MAX_MANIFEST_BYTES:
        raise refused("MANIFEST", "a manifest of more than 1 MiB.", _FORM)
    if len(listed.tag) == 64 and hashlib.sha256(body).hexdigest() != listed.tag:
        raise refused("CHECKSUM", "a manifest's bytes aren't the ones that the listing tells of.", _FORM)
    manifest = parse_manifest(body, Path(MANIFEST_NAME))
    if manifest.source not in run.connection.brings:
        raise refused(
            "SOURCE",
            "a delivery of a source that this connection doesn't bring.",
            "Name the source in `brings` if it may come this way; else ask the other side why it lies there.",
        )
    names = [file.name for file in manifest.files]
    if any(name == SIGNATURE_NAME or name.endswith(".part") for name in names) or len(set(names)) < len(
        names
    ):
        raise refused("MANIFEST", "a file's name is taken, ends in .part, or comes twice.", _FORM)
    if any(file.bytes > run.connection.limits.file_bytes for file in manifest.files):
        raise refused(
            "FILE_SIZE",
            f"a file of more than {run.connection.limits.file_bytes} bytes.",
            "Raise `limits.file_bytes` if such files are expected.",
        )
    return manifest


async def _bring(run: Run, counterpart: Counterpart, ready: Sequence[_Ready]) -> None:
    slots = asyncio.Semaphore(run.connection.limits.concurrent)
    tasks = [asyncio.create_task(_fetch(run, counterpart, one, slots)) for one in ready]
    try:
        for one, task in zip(ready, tasks, strict=True):
            item = one.listed.item
            try:
                await task
            except Refusal as refusal:
                run.refuse(item, refusal)
            except SourceUnavailable as failure:
                run.unavailable(failure)
            else:
                if run.land(item) is not None:
                    await run.persist(partial(counterpart.taken, one.listed, one.manifest))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _fetch(run: Run, counterpart: Counterpart, one: _Ready, slots: asyncio.Semaphore) -> None:
    """All files of one delivery into staging; the manifest is written when they are whole."""
    async with slots:
        pulls, item = run.pulls, one.listed.item
        known = pulls.item(item)
        goes_on = known is not None and known.state == UNDER_WAY and known.tag == one.listed.tag
        etags = dict(pulls.begin(item, one.listed.tag).etags)
        name = run.connection.connection
        folder = run.side.staging(name, item) if goes_on else run.side.fresh_staging(name, item)
        folder.mkdir(parents=True, exist_ok=True)
        signature = await run.persist(lambda: counterpart.signature(one.listed))
        if signature is not None and len(signature) > MAX_SIGNATURE_BYTES:
            raise refused("MANIFEST", "a signature of more than 16 KiB.", _FORM)
        resumed = False
        try:
            for file in one.manifest.files:
                resumed |= await _one_file(run, counterpart, one.listed, file, folder, etags)
        finally:
            pulls.note(item, bytes=sum(path.stat().st_size for path in folder.iterdir()))
        run.pulled.resumed += resumed
        if signature is not None:
            (folder / SIGNATURE_NAME).write_bytes(signature)
        (folder / MANIFEST_NAME).write_bytes(one.body)


async def _one_file(
    run: Run,
    counterpart: Counterpart,
    listed: Listed,
    file: DeliveredFile,
    folder: Path,
    etags: dict[str, str],
) -> bool:
    def note(tag: str | None) -> None:
        etags.pop(file.name, None)
        if tag is not None:
            etags[file.name] = tag
        run.pulls.note(listed.item, etags=dict(etags))

    fetched = await fetch(
        file,
        folder,
        lambda offset, tag: counterpart.open(listed, file, offset, tag),
        run.retry,
        run.side.waiting,
        tag=etags.get(file.name),
        note_tag=note,
        meter=run.meter,
    )
    return fetched.resumed


async def _clear_away(
    run: Run, counterpart: Counterpart, listed: Sequence[Listed], known: dict[str, PullItem]
) -> None:
    """Deliveries that an earlier run brought into the ledger and was stopped before it could take them away."""
    if not isinstance(run.connection, DropConnection) or run.connection.take != "move":
        return
    for one in listed:
        entry = known.get(one.item)
        if entry is not None and entry.state == DONE and entry.tag == one.tag:
            manifest = parse_manifest(await counterpart.manifest(one), Path(MANIFEST_NAME))
            await counterpart.taken(one, manifest)


async def hand_back(run: Run, counterpart: Counterpart) -> None:
    """Receipts of the connection's sources that the other side hasn't had yet, or has had in another version: the earlier
    of a delivery first, each with its signature after it.
    """
    sent = run.pulls.sent()
    about = {
        entry.manifest_sha256: entry.item for entry in run.pulls.items().values() if entry.manifest_sha256
    }
    for source in run.connection.brings:
        for path in sorted((run.side.receipts / source).rglob("*"), key=_in_order):
            name = path.relative_to(run.side.receipts).as_posix()
            if not path.is_file() or path.suffix not in (".json", ".sig") or path.name.startswith("."):
                continue
            body = path.read_bytes()
            sha256 = hashlib.sha256(body).hexdigest()
            if sent.get(name) == sha256:
                continue
            item = about.get(_manifest_of(path.with_suffix(".json")) or "")
            if await run.persist(partial(counterpart.put_receipt, name, body, item)):
                run.pulls.note_sent(name, sha256)
                run.pulled.receipts += 1


def _in_order(path: Path) -> list[tuple[bool, int, str]]:
    """`…-r1-2.json` before `…-r1-10.json`."""
    parts = re.split(r"([0-9]+)", path.as_posix())
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def _manifest_of(receipt: Path) -> str | None:
    """sha256 of the manifest that a receipt speaks of, as far as it says so."""
    try:
        told = json.loads(receipt.read_bytes())
    except (OSError, ValueError):
        return None
    found = told.get("manifest_sha256") if isinstance(told, dict) else None
    return found if isinstance(found, str) else None
