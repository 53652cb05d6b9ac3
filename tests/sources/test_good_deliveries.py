"""500 drawn deliveries in every format, encoding, line end, quoting and packing come in, exact to the fen."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from core.months import Month
from tests.sources.bench import Bench
from tests.sources.written_feed import COLUMNS, FORMS, Row, feed_in, random_rows, written

EACH = 56
assert EACH * len(FORMS) >= 500


@pytest.mark.parametrize("form", FORMS)
def test_good_deliveries_come_in_exactly(bench: Bench, form: str) -> None:
    adapter = feed_in(bench, form)
    for seed in range(EACH):
        rng = random.Random(f"{form} {seed}")
        # A few deliveries a month: every one is a revision of its own month and replaces the one before.
        period, revision = str(Month(2026, 1).plus(seed // 4)), 1 + seed % 4
        files = [random_rows(rng, rng.choice([0, 1, 5, 40])) for _ in range(rng.choice([1, 1, 1, 2, 3]))]
        rows = [row for part in files for row in part]
        columns = rng.sample(COLUMNS, len(COLUMNS)) if rng.random() < 0.5 else None
        bodies = [written(part, adapter.file, period, rng, columns) for part in files]
        total = Decimal(sum(row.fen or 0 for row in rows)) / 100
        folder = bench.lay_files(
            bodies,
            [len(part) for part in files],
            period=period,
            revision=revision,
            control_sums={"js": f"{total:f}"} if rng.random() < 0.7 else None,
        )
        result = bench.take_in(bench.receive(folder))
        counted = [row for row in rows if not row.test]
        assert (result.delivered, result.accepted) == (len(rows), len(counted)), seed
        assert result.left_out == ({"test_row": len(rows) - len(counted)} if len(counted) < len(rows) else {})
        assert bench.known(period) == expected(counted), seed


def expected(rows: list[Row]) -> list[tuple[object, ...]]:
    return sorted((row.known for row in rows), key=repr)
