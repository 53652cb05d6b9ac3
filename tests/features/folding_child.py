"""Folds a made-up world month by month into a store and makes its features, a line on stdout for each step."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from core.months import Month
from core.table_store import TableStore
from features.feature_store import write_features
from tests.features.random_worlds import FIRST, Delivered, Row, World, folded
from tests.features.test_slow_reference import BACK, EVENTS, FEATURES, ROWS

MONTHS = 5


def some_world() -> World:
    """Every month in two deliveries, the second of which corrects the first."""
    first = [
        Delivered(m, "full", 3, tuple(Row(k, k % 5, 7 * k + 11 * m) for k in range(8)), None, 1)
        for m in range(MONTHS)
    ]
    second = [
        Delivered(m, "supplement", 20, (Row(m, m % 5, 5), Row(m + 1, (m + 1) % 5, 9)), None, 2)
        for m in range(MONTHS)
    ]
    return sorted([*first, *second], key=lambda item: item.at)


def interruptible() -> None:
    """Ctrl-C interrupts also where whoever started the tests had it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def run(root: Path) -> None:
    """Fold and make features, a line a step."""
    store, world = TableStore(root), some_world()
    print("ready", flush=True)
    for month in range(MONTHS):
        for definition in (ROWS, EVENTS, BACK):
            store.replace(definition.fact_table, str(FIRST.plus(month)), folded(world, definition, month))
            print(f"{definition.facts} {month}", flush=True)
    for month in range(2, MONTHS):
        write_features(store, FEATURES, FIRST.plus(month))
        print(f"features {month}", flush=True)


def tables() -> dict[str, list[Month]]:
    """What a whole run leaves."""
    facts = {each.fact_table: [FIRST.plus(m) for m in range(MONTHS)] for each in (ROWS, EVENTS, BACK)}
    return {**facts, FEATURES.table: [FIRST.plus(m) for m in range(2, MONTHS)]}


if __name__ == "__main__":
    interruptible()
    run(Path(sys.argv[1]))
