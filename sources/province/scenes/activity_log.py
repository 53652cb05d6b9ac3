"""Yunnan: the activity of a provincial platform's users, 1.77 million of them and 7.36 million services.

Every user has at least one service; the rest go to the busy ones. Services come as one delivery a month, logins (Anyang and
Yunnan have both) as one row per user and day.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.months import Month, month_range
from core.progress import Progress, SilentProgress
from sources.arrivals import SCHEDULE_NAME, Arrival, write_schedule
from sources.province.feeds import CHANNEL, RESIDENT, RESULT, THEMES, Codes, Feed, Field
from sources.province.population import tokens
from sources.province.random_streams import stream
from sources.province.rows import NO_CODE, NO_MOMENT, Rows
from sources.province.scenes.sending import send

LEVEL: Codes = (("0", "未实名"), ("1", "基础实名"), ("2", "人脸核验"), ("3", "银行卡核验"))
#: What an item code looks like: catalogue code, region, body and version (GB/T 39554.1); bodies are made up.
ITEM_FORM = "5301Z0700100{theme}-530000000000-000-1153000000000000{theme}X-1-00"

SERVICE = Feed(
    "sim_yn_service", "sim_yn_affairs", RESIDENT, "platform_service", "user_token",
    (
        Field("month", "month", form="%Y%m"),
        Field("case_no", "text", "case"),
        Field("theme", "code", "theme", codes=THEMES),
        Field("item_code", "text", "item"),
        Field("apply_time", "moment", "applied", "%Y-%m-%d %H:%M:%S"),
        Field("finish_time", "moment", "finished", "%Y-%m-%d %H:%M:%S"),
        Field("result", "code", "result", codes=RESULT),
        Field("channel", "code", "channel", codes=CHANNEL),
        Field("rating", "code", "rating", codes=tuple((str(stars), str(stars)) for stars in range(1, 6))),
    ),
    "utf-8", ",",
)  # fmt: skip
LOGIN = Feed(
    "sim_yn_login", "sim_yn_affairs", RESIDENT, "platform_login_day", "user_token",
    (
        Field("month", "month", form="%Y%m"),
        Field("login_date", "date", "day", "%Y-%m-%d"),
        Field("platform_cd", "fixed", form="530000"),
        Field("sessions", "whole", "sessions"),
        Field("level", "code", "level", codes=LEVEL),
    ),
    "utf-8", ",",
)  # fmt: skip


@dataclass(frozen=True)
class ActivityLog:
    """The article's numbers; `logins_a_month` rows of logins are written beside (0: none)."""

    users: int = 1_770_000
    services: int = 7_360_000
    first_month: Month = field(default_factory=lambda: Month(2025, 7))
    months: int = 12
    logins_a_month: int = 0
    seed: int = 2026


@dataclass(frozen=True)
class SentLog:
    """What was sent: arrivals and rows by month."""

    inbox: Path
    arrivals: tuple[Arrival, ...]
    services: dict[str, int]
    users: int


def write(log: ActivityLog, inbox: Path, progress: Progress | None = None) -> SentLog:
    """Write every month's delivery and `arrivals.json`; exactly `services` rows of exactly `users` users."""
    if log.services < log.users:
        raise ValueError("every user needs a service")
    rng = stream(log.seed, "activity log")
    user, month_of = _who_and_when(log, rng)
    pools = {str(RESIDENT): tokens(log.seed, "platform user", log.users)}
    level = rng.choice(4, size=log.users, p=[0.05, 0.40, 0.45, 0.10]).astype(np.int8)
    arrivals, sent = [], {}
    months = month_range(log.first_month, log.first_month.plus(log.months - 1))
    with (progress or SilentProgress()).stage("write the activity log", len(months)) as stage:
        for number, month in enumerate(months):
            who = user[month_of == number]
            arrivals.append(send(SERVICE, _services(who, month, log.seed), month, pools, inbox))
            sent[str(month)] = len(who)
            if log.logins_a_month:
                arrivals.append(send(LOGIN, _logins(log, level, month), month, pools, inbox))
            stage.advance(1, str(month))
    write_schedule(inbox / SCHEDULE_NAME, arrivals)
    return SentLog(inbox, tuple(arrivals), sent, log.users)


def _who_and_when(log: ActivityLog, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """User and month of each service, int32 and int8 (services,)."""
    # A few users ask for much: a squared uniform puts half of the extra services on a third of the users.
    extra = (rng.random(log.services - log.users) ** 2 * log.users).astype(np.int32)
    user = np.concatenate([np.arange(log.users, dtype=np.int32), extra])
    return user, rng.integers(0, log.months, log.services).astype(np.int8)


def _services(who: np.ndarray, month: Month, seed: int) -> Rows:
    rng, n = stream(seed, "services", str(month)), len(who)
    theme = np.minimum(rng.geometric(0.18, n) - 1, len(THEMES) - 1)
    began = (month.first_day - date(1970, 1, 1)).days * 86_400
    applied = began + rng.integers(0, month.last_day.day * 86_400, n)
    result = rng.choice(4, size=n, p=[0.88, 0.05, 0.03, 0.04]).astype(np.int8)
    finished = np.where(result == 3, NO_MOMENT, applied + rng.integers(60, 5 * 86_400, n))
    items = pa.array([ITEM_FORM.format(theme=f"{number:02d}") for number in range(len(THEMES))])
    serial = pc.utf8_lpad(pc.cast(pa.array(np.arange(n)), pa.string()), 8, "0")
    return Rows(
        who,
        {
            "case": pc.binary_join_element_wise(f"YN{month.first_day:%Y%m}", serial, ""),
            "theme": theme,
            "item": items.take(pa.array(theme)),
            "applied": applied,
            "finished": finished,
            "result": result,
            "channel": rng.choice(4, size=n, p=[0.7, 0.12, 0.15, 0.03]).astype(np.int8),
            "rating": np.where(rng.random(n) < 0.3, rng.integers(2, 5, n), NO_CODE).astype(np.int8),
        },
    )


def _logins(log: ActivityLog, level: np.ndarray, month: Month) -> Rows:
    """Different (user, day) pairs of the month, sorted by user."""
    rng = stream(log.seed, "logins", str(month))
    days = month.last_day.day
    pair = np.sort(
        rng.choice(log.users * days, size=min(log.logins_a_month, log.users * days), replace=False)
    )
    who, day = pair // days, pair % days
    return Rows(
        who,
        {
            "day": (month.first_day - date(1970, 1, 1)).days + day,
            "sessions": rng.integers(1, 9, len(who)),
            "level": level[who],
        },
    )
