"""One run of one connection: what it has brought so far, and the tries it may make."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from core.errors import Refusal
from core.progress import Stage
from sources.adapter import Adapter
from sources.connectors.connection import Connection, Retry
from sources.connectors.failure import SourceUnavailable, refused
from sources.connectors.our_side import OurSide
from sources.connectors.pull_state import REFUSED, PullState
from sources.connectors.retry import persist

T = TypeVar("T")

#: Items in a row that may fail before the whole connection counts as down: each costs its tries and waits.
ITEMS_DOWN = 2


@dataclass
class Pulled:
    """What a run came to. `state`: done, busy (another process pulls it), SOURCE_UNAVAILABLE, or why it was refused.

    `new` deliveries are in the ledger now; `refused` are reason codes by item; `waiting` are not finished on the other side.
    """

    connection: str
    state: str = "done"
    new: list[int] = field(default_factory=list)
    bytes: int = 0
    resumed: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    waiting: int = 0
    receipts: int = 0
    problem: str = ""
    remedy: str = ""

    @property
    def well(self) -> bool:
        """Whether nothing needs a person."""
        return self.state == "done" and not self.refused


@dataclass
class Run:
    """A run under way."""

    side: OurSide
    connection: Connection
    retry: Retry
    pulled: Pulled
    down: list[SourceUnavailable] = field(default_factory=list)
    stage: Stage | None = None

    @property
    def pulls(self) -> PullState:
        """What is remembered of the connection."""
        return self.side.pulls(self.connection.connection)

    async def persist(self, work: Callable[[], Awaitable[T]]) -> T:
        """Try as often as the connection allows."""
        return await persist(work, self.retry, self.side.waiting)

    def meter(self, count: int) -> None:
        """So many bytes came."""
        self.pulled.bytes += count
        if self.stage is not None:
            self.stage.advance(count, f"{len(self.pulled.new)} deliveries")

    def land(self, item: str) -> int | None:
        """Bring a whole item into the ledger; None where the ledger refuses it."""
        try:
            number = self.side.land(self.connection.connection, item)
        except Refusal as refusal:
            self.pulled.refused[item] = refusal.code
            self.tell(refusal)
            return None
        self.pulled.new.append(number)
        return number

    def refuse(self, item: str, refusal: Refusal) -> None:
        """Nothing of the item is kept; others go on."""
        shutil.rmtree(self.side.staging(self.connection.connection, item), ignore_errors=True)
        self.pulls.note(item, state=REFUSED, reason=refusal.code, bytes=0, rows=0, cursor=None, etags={})
        self.pulled.refused[item] = refusal.code
        self.tell(refusal)

    def tell(self, refusal: Refusal) -> None:
        """Keep the first problem's words for the report."""
        if not self.pulled.problem:
            self.pulled.problem, self.pulled.remedy = refusal.message, refusal.remedy

    def unavailable(self, failure: SourceUnavailable) -> None:
        """An item couldn't be had; when it is not alone with that, the rest isn't tried."""
        self.down.append(failure)
        if len(self.down) >= ITEMS_DOWN:
            raise self.down[0]

    def adapter(self, name: str) -> Adapter:
        """The adapter of a feed whose rows this connection may bring."""
        adapter = self.side.adapters.get(name)
        if adapter is None:
            raise refused(
                "FEED", f"there is no adapter {name}.", "Correct the feed, or add the adapter's file."
            )
        if adapter.source not in self.connection.brings:
            raise refused(
                "SOURCE",
                f"{name} reads the source {adapter.source}, which this connection doesn't bring.",
                "Name the source in `brings` if it may come this way.",
            )
        return adapter
