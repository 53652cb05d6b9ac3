"""What the meters showed: running totals of the consumption, for the dialects that send readings."""

from __future__ import annotations

import numpy as np

from core.subject import SubjectKind
from sources.province.random_streams import stream
from sources.province.rows import Rows
from sources.province.world import World

#: What the meters showed when the simulated life began, at most.
FIRST_READING = 20_000


def with_readings(world: World, kind: SubjectKind, rows: Rows, row: int) -> Rows:
    """The bills with `previous` and `current` readings in kWh; current less previous is the consumption of the row."""
    life = world.residents if kind is SubjectKind.RESIDENT else world.enterprises
    rng = stream(world.settings.seed, "first reading", str(kind))
    who = rows.subject
    began = rng.random((1, life.kwh.shape[1]))[0, who] * FIRST_READING
    used = np.maximum(np.round(life.kwh[:row, who].astype(np.float64), 2), 0).sum(axis=0)
    previous = np.asarray(np.round(began + used, 2))
    current = np.asarray(np.round(previous + np.asarray(rows.columns["consumption"], dtype=np.float64), 2))
    return rows.with_columns(previous=previous, current=current)
