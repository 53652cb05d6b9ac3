"""What every machine that holds finished deliveries can do: list them, hand over their files, take receipts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from sources.delivery import DeliveredFile, Manifest

SIGNATURE_NAME = "manifest.sig"

#: A detached signature names a key and holds 64 bytes in hexadecimal; anything longer isn't one.
MAX_SIGNATURE_BYTES = 16_384

#: Bytes asked for and written at a time.
CHUNK = 1 << 20

#: Endings under which front-end machines write what isn't finished.
UNFINISHED = (".part", ".tmp")


@dataclass(frozen=True)
class Listed:
    """A delivery as the other side lists it: `item` is its name for good, `tag` changes with its manifest."""

    item: str
    tag: str


@dataclass(frozen=True)
class Listing:
    """Deliveries in the order they are to be received; `cursor` is where the next listing may go on."""

    deliveries: tuple[Listed, ...]
    cursor: str | None = None


@dataclass(frozen=True)
class Opened:
    """A file under way from byte `start` on, which may be before the asked offset; `tag` is its version if there is one."""

    start: int
    chunks: AsyncIterator[bytes]
    tag: str | None = None


class Counterpart(Protocol):
    """The other side of a connection. Every call may raise Passing (worth another try) or Refusal (not)."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def listing(self, cursor: str | None) -> Listing:
        """Deliveries that the other side shows, all of them or those after `cursor`."""
        ...

    async def manifest(self, listed: Listed) -> bytes:
        """The manifest's bytes."""
        ...

    async def signature(self, listed: Listed) -> bytes | None:
        """The detached signature over them, where there is one."""
        ...

    async def finished(self, listed: Listed, manifest: Manifest) -> bool:
        """Whether all files that the manifest names lie there in full."""
        ...

    def open(
        self, listed: Listed, file: DeliveredFile, offset: int, tag: str | None
    ) -> AbstractAsyncContextManager[Opened]:
        """A file from `offset` on; `tag` is the version that the bytes before it came from."""
        ...

    async def put_receipt(self, name: str, body: bytes, item: str | None) -> bool:
        """Hand a receipt over; False where this side takes none. `item`: the delivery it is about, if it came this way."""
        ...

    async def taken(self, listed: Listed, manifest: Manifest) -> None:
        """The delivery is in the ledger."""
        ...
