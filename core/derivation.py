"""What derived partitions were made from, so that a stale one is noticed before it is read and lineage can be told."""

from __future__ import annotations

from collections.abc import Sequence

from core.clock import Clock
from core.errors import GateRefused
from core.state import Derivation, StateDatabase
from core.table_store import TableStore

#: One partition of one table.
Partition = tuple[str, str]


def record_derivation(
    state: StateDatabase,
    store: TableStore,
    clock: Clock,
    made: Partition,
    inputs: Sequence[Partition],
    recipe_hash: str,
) -> None:
    """Remember the exact content that `made` was derived from; the earlier record of the same partition is replaced."""
    hashes = {f"{table}/{partition}": store.content_hash(table, partition) for table, partition in inputs}
    with state.session() as session:
        session.merge(
            Derivation(
                table=made[0],
                partition=made[1],
                content_hash=store.content_hash(*made),
                recipe_hash=recipe_hash,
                inputs=hashes,
                made_at=clock.now(),
            )
        )


def require_fresh(
    state: StateDatabase,
    store: TableStore,
    made: Partition,
    inputs: Sequence[Partition],
    recipe_hash: str,
) -> None:
    """GateRefused unless `made` was derived from the inputs as they are now, by this recipe, and holds that content still."""
    with state.session() as session:
        known = session.get(Derivation, made)
    hashes = {f"{table}/{partition}": store.content_hash(table, partition) for table, partition in inputs}
    if known is None:
        why = "has not been made yet"
    elif known.content_hash != store.content_hash(*made):
        why = "no longer holds what was made"
    elif known.recipe_hash != recipe_hash:
        why = "was made by an older definition"
    elif known.inputs != hashes:
        changed = sorted(name for name in hashes if known.inputs.get(name) != hashes[name])
        why = f"is older than its input {', '.join(changed) or 'list'}"
    else:
        return
    raise GateRefused(
        f"{made[0]} of {made[1]} {why}.",
        f"Run the asset {made[0]} and what comes before it for {made[1]}, then this one.",
    )


def require_fresh_content(
    state: StateDatabase, store: TableStore, made: Partition, recipe_hash: str | None = None
) -> None:
    """GateRefused unless `made` holds what was recorded when it was made, from inputs that haven't changed since - and, where
    `recipe_hash` is given, by that recipe."""
    with state.session() as session:
        known = session.get(Derivation, made)
    if known is None:
        raise GateRefused(
            f"{made[0]} of {made[1]} has not been made yet.", f"Run the asset {made[0]} for {made[1]}."
        )
    inputs = [(name.rsplit("/", 1)[0], name.rsplit("/", 1)[1]) for name in known.inputs]
    require_fresh(state, store, made, inputs, known.recipe_hash if recipe_hash is None else recipe_hash)
