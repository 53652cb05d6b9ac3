"""Public security and vehicles: flags that are true or false, vehicles without plates, fines without places.

What the founding article mentions beyond that (faces, movements) has no column here and is refused as one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np

from core.months import Month
from sources.arrivals import SCHEDULE_NAME, Arrival, write_schedule
from sources.province.feeds import RESIDENT, YES_NO, Codes, Feed, Field
from sources.province.population import tokens
from sources.province.random_streams import stream
from sources.province.rows import NO_DAY, Rows, numbered
from sources.province.scenes.sending import send

FLAG: Codes = (("1", "实名核验通过"), ("2", "本地户籍"), ("3", "居住证有效"), ("4", "已故"))
#: How often each flag is true.
FLAG_SHARES = (0.97, 0.7, 0.2, 0.004)
PLATE: Codes = (
    ("02", "小型汽车"), ("52", "小型新能源汽车"), ("01", "大型汽车"), ("51", "大型新能源汽车"), ("07", "摩托车"),
)  # fmt: skip

FLAGS = Feed(
    "sim_hn_ps_flag", "sim_hn_police", RESIDENT, "ps_flag", "rydh",
    (
        Field("tjny", "month", form="%Y%m"),
        Field("bslx", "code", "flag", codes=FLAG),
        Field("bsz", "code", "value", codes=YES_NO),
        Field("hyrq", "date", "verified", "%Y%m%d"),
    ),
)  # fmt: skip
VEHICLES = Feed(
    "sim_hn_vehicle", "sim_hn_traffic", RESIDENT, "veh_registration", "syrdh",
    (
        Field("tjny", "month", form="%Y%m"),
        Field("cldh", "text", "vehicle"),
        Field("hpzl", "code", "plate", codes=PLATE),
        Field("clyl", "whole", "age"),
        Field("yybz", "code", "commercial", codes=YES_NO),
        Field("dybz", "code", "mortgaged", codes=YES_NO),
        Field("djrq", "date", "registered", "%Y%m%d"),
    ),
)  # fmt: skip
VIOLATIONS = Feed(
    "sim_hn_violation", "sim_hn_traffic", RESIDENT, "veh_violation", "jsrdh",
    (
        Field("tjny", "month", form="%Y%m"),
        Field("wfbh", "text", "event"),
        Field("wfrq", "date", "day", "%Y%m%d"),
        Field("wfjfs", "whole", "points"),
        Field("fkje", "money", "fine", "CNY"),
        Field("jkrq", "date", "paid", "%Y%m%d"),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Registers:
    """One month of the registers' persons."""

    persons: int = 400
    month: Month = field(default_factory=lambda: Month(2026, 3))
    seed: int = 2026


def write(scene: Registers, inbox: Path) -> dict[str, tuple[Arrival, int]]:
    """Write one delivery a table; (arrival, rows) by table."""
    rng, n = stream(scene.seed, "registers", str(scene.month)), scene.persons
    pools = {str(RESIDENT): tokens(scene.seed, "registered person", n)}
    first = (scene.month.first_day - date(1970, 1, 1)).days
    everyone = np.arange(n)
    flags = Rows(
        np.tile(everyone, len(FLAG)),
        {
            "flag": np.repeat(np.arange(len(FLAG)), n),
            "value": np.concatenate([rng.random(n) < share for share in FLAG_SHARES]).astype(np.int8),
            "verified": np.full(n * len(FLAG), first + 19),
        },
    )
    owners = np.flatnonzero(rng.random(n) < 0.4)
    age = rng.integers(0, 180, len(owners))
    vehicles = Rows(
        owners,
        {
            "vehicle": numbered("CL", len(owners), 8),
            "plate": rng.choice(5, size=len(owners), p=[0.6, 0.25, 0.03, 0.02, 0.1]).astype(np.int8),
            "age": age,
            "commercial": (rng.random(len(owners)) < 0.06).astype(np.int8),
            "mortgaged": (rng.random(len(owners)) < 0.15).astype(np.int8),
            "registered": first - age * 30,
        },
    )
    drivers = rng.choice(owners, size=len(owners) // 4)
    day = first + rng.integers(0, 20, len(drivers))
    violations = Rows(
        drivers,
        {
            "event": numbered(f"WF{scene.month.first_day:%Y%m}", len(drivers)),
            "day": day,
            "points": rng.choice([0, 1, 3, 6], size=len(drivers), p=[0.4, 0.3, 0.25, 0.05]),
            "fine": rng.choice([5_000, 10_000, 15_000, 20_000], size=len(drivers)),
            "paid": np.where(rng.random(len(drivers)) < 0.7, day + 8, NO_DAY),
        },
    )
    sent = {
        feed.table: (send(feed, rows, scene.month, pools, inbox), len(rows))
        for feed, rows in ((FLAGS, flags), (VEHICLES, vehicles), (VIOLATIONS, violations))
    }
    write_schedule(inbox / SCHEDULE_NAME, [arrival for arrival, _ in sent.values()])
    return sent
