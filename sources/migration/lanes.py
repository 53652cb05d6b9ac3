"""On which lane a source's deliveries come in: live, on trial beside the live ones, or not at all any more.

While a platform is on trial its deliveries fill `trial/<owner>/<table>`: kept, validated, known to nobody else. After the
cut-over it is the old platform's turn, until the rollback window ends.
"""

from __future__ import annotations

from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.errors import Refusal
from core.state import MigrationChange, PlatformMigration
from core.subject_registry import Lane
from sources.migration.states import State

Side = Literal["old", "new"]

#: Lane of each side by state; None: refused.
_LANES: dict[State, dict[Side, Lane | None]] = {
    State.MAPPED: {"old": "live", "new": "trial"},
    State.DUAL_RUN: {"old": "live", "new": "trial"},
    State.PARITY_OK: {"old": "live", "new": "trial"},
    State.SIGNED_OFF: {"old": "live", "new": "trial"},
    # Between the two sides nobody may come in under a key that is being changed.
    State.CUT_OVER: {"old": "trial", "new": "trial"},
    State.ROLLBACK_WINDOW: {"old": "trial", "new": "live"},
    State.RETIRED: {"old": None, "new": "live"},
    State.ROLLED_BACK: {"old": "live", "new": "trial"},
}


def side_of(migration: PlatformMigration, source: str) -> Side | None:
    """Which side of the migration a source is on."""
    for table in migration.definition["tables"]:
        if any(feed["source"] == source for feed in table["old"]):
            return "old"
        if any(feed["source"] == source for feed in table["new"]):
            return "new"
    return None


def lane_of(session: Session, source: str) -> Lane:
    """The lane for a delivery of this source that arrives now. Refusal REFUSED/RETIRED_SOURCE for a platform that a finished
    migration has retired. Of several migrations that name the source the one planned last decides."""
    for migration in planned(session, latest_first=True):
        side = side_of(migration, source)
        if side is None:
            continue
        lane = "trial" if migration.under_way else _LANES[State(migration.state)][side]
        if lane is None:
            raise Refusal(
                "REFUSED/RETIRED_SOURCE",
                f"{source} was retired by the migration {migration.name}.",
                file="manifest.json",
                remedy=f"Take the table from {', '.join(_new_sources(migration))}, or plan a migration back.",
            )
        return lane
    return "live"


def planned(session: Session, latest_first: bool = False) -> list[PlatformMigration]:
    """All migrations in the order in which they were first planned."""
    first = (
        select(MigrationChange.migration, func.min(MigrationChange.change_no).label("first"))
        .group_by(MigrationChange.migration)
        .subquery()
    )
    order = first.c.first.desc() if latest_first else first.c.first
    query = select(PlatformMigration).join(first, first.c.migration == PlatformMigration.name).order_by(order)
    return list(session.scalars(query))


def may_use_old_key(session: Session, source: str) -> bool:
    """Whether a live source may still send pseudonyms that a migration has replaced: it was named for the dual-key window,
    which lasts as long as the cut-over can be rolled back."""
    migrations = session.scalars(select(PlatformMigration))
    return any(
        State(m.state) in (State.CUT_OVER, State.ROLLBACK_WINDOW) and source in m.definition["dual_key"]
        for m in migrations
    )


def _new_sources(migration: PlatformMigration) -> list[str]:
    return sorted({feed["source"] for table in migration.definition["tables"] for feed in table["new"]})
