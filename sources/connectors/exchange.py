"""Deliveries over the HTTP exchange; docs/connectors.md writes the protocol down."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Annotated, Self
from urllib.parse import quote

import httpx
from pydantic import BaseModel, Field, ValidationError

from sources.connectors.connection import HttpConnection
from sources.connectors.counterpart import MAX_SIGNATURE_BYTES, Listed, Listing, Opened
from sources.connectors.failure import BrokenRange, refused
from sources.connectors.http_client import HttpClient
from sources.delivery import MAX_MANIFEST_BYTES, DeliveredFile, Manifest

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Cursor = Annotated[str, Field(min_length=1, max_length=500)]

_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


class _Entry(BaseModel):
    id: Id
    manifest_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    signed: bool = False


class _Page(BaseModel):
    deliveries: tuple[_Entry, ...]
    cursor: Cursor
    more: bool = False


class Exchange:
    """The server as a counterpart; the manifest's sha256 is a delivery's tag."""

    def __init__(self, connection: HttpConnection, client: HttpClient) -> None:
        self.connection, self.client = connection, client
        self._signed: set[str] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The client is closed by whoever opened it."""

    async def listing(self, cursor: str | None) -> Listing:
        """All pages from `cursor` on. A cursor that comes again would go round for ever: REFUSED/CURSOR."""
        found: dict[str, Listed] = {}
        seen = {cursor}
        while True:
            page = await self._page(cursor)
            for entry in page.deliveries:
                found[entry.id] = Listed(entry.id, entry.manifest_sha256)
                if entry.signed:
                    self._signed.add(entry.id)
            if len(found) > self.connection.limits.deliveries:
                raise refused(
                    "TOO_LARGE",
                    f"the listing goes on after {self.connection.limits.deliveries} deliveries.",
                    "Raise `limits.deliveries` if there are so many.",
                )
            if not page.more:
                return Listing(tuple(found.values()), page.cursor)
            cursor = page.cursor
            if cursor in seen:
                raise refused(
                    "CURSOR",
                    "the listing's pages lead back to an earlier page.",
                    "Nothing of it was taken. Have the other side mend its cursors.",
                )
            seen.add(cursor)

    async def manifest(self, listed: Listed) -> bytes:
        """The manifest's bytes."""
        return await self.client.body(f"/v1/deliveries/{listed.item}/manifest", MAX_MANIFEST_BYTES + 1)

    async def signature(self, listed: Listed) -> bytes | None:
        """The signature, where the listing says that there is one."""
        if listed.item not in self._signed:
            return None
        return await self.client.body(f"/v1/deliveries/{listed.item}/signature", MAX_SIGNATURE_BYTES + 1)

    async def finished(self, listed: Listed, manifest: Manifest) -> bool:
        """What is listed is finished."""
        return True

    @asynccontextmanager
    async def open(
        self, listed: Listed, file: DeliveredFile, offset: int, tag: str | None
    ) -> AsyncIterator[Opened]:
        """The file, from `offset` on if the server can and its version (ETag) is still the same."""
        path = f"/v1/deliveries/{listed.item}/files/{quote(file.name, safe='')}"
        headers = {}
        if offset:
            headers["Range"] = f"bytes={offset}-"
            if tag is not None and not tag.startswith("W/"):
                headers["If-Range"] = tag
        async with self.client.stream("GET", path, headers=headers) as response:
            version = response.headers.get("etag")
            start = _start(response, offset, file.bytes)
            if start and version != tag:
                raise BrokenRange("the file has changed on the server.")
            # In pieces as they come: gathered to a size of ours, what came before a break would be lost.
            yield Opened(start, response.aiter_raw(), version)

    async def put_receipt(self, name: str, body: bytes, item: str | None) -> bool:
        """Receipts belong to deliveries of this server."""
        if not self.connection.receipts or item is None:
            return False
        what = "receipt/signature" if name.endswith(".sig") else "receipt"
        await self.client.put(f"/v1/deliveries/{item}/{what}", body)
        return True

    async def taken(self, listed: Listed, manifest: Manifest) -> None:
        """The receipt tells it."""

    async def _page(self, cursor: str | None) -> _Page:
        body = await self.client.json("/v1/deliveries", {"since": cursor} if cursor else None)
        try:
            return _Page.model_validate(body)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False, include_context=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "the page"
            raise refused(
                "LISTING",
                f"a page of the listing has another form: {place}: {first['msg']}.",
                "Compare the server with docs/connectors.md.",
            ) from None


def _start(response: httpx.Response, offset: int, size: int) -> int:
    """Where the answer's bytes begin. A server may ignore a range and send all; what it says of one must be right."""
    if response.status_code == 200:
        return 0
    told = _RANGE.fullmatch(response.headers.get("content-range", ""))
    if response.status_code != 206 or told is None:
        raise BrokenRange(f"the server answers {response.status_code} to a request that goes on at {offset}.")
    first, last, whole = map(int, told.groups())
    if first != offset or last != size - 1 or whole != size:
        raise BrokenRange("the server sends another range than asked.")
    return first
