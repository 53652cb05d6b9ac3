"""Receive and take in what lies in one bench's inbox, in a process of its own: `python -m tests.sources.deliver_once HOME`.

It can be killed at any kill point and started again.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sqlalchemy import select

from core.state import Delivery
from sources.arrivals import Arrival, observed, receive
from tests.sources.bench import FIRST_ARRIVAL, Bench


def main(home: Path) -> None:
    """Everything in the inbox, once."""
    bench = Bench(home, home / "state.db")
    for arrival in observed(home / "inbox", bench.clock):
        receive(Arrival(arrival.folder, FIRST_ARRIVAL, "replayed"), bench.archive, bench.state, bench.clock)
    with bench.state.session() as session:
        waiting = session.scalars(select(Delivery.delivery_no).where(Delivery.state == "RECEIVED")).all()
    for number in waiting:
        bench.take_in(number)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
