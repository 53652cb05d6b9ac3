"""`gscene demo`: a simulated province, end to end, for residents and enterprises."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
from sqlalchemy import func, select

from core.clock import SystemClock
from core.errors import GsceneError
from core.months import Month
from core.state import Delivery
from gscene.console import Reporter
from gscene.options import MonthType, home_option, json_option
from gscene.run import finish, receive_all

if TYPE_CHECKING:
    from sources.province.settings import ProvinceSettings

#: Which province a home folder holds.
NOTE = "province.json"


@click.command()
@click.option("--residents", default=12_000, show_default=True, help="Simulated residents.")
@click.option("--enterprises", default=6_000, show_default=True, help="Simulated enterprises.")
@click.option("--months", default=30, show_default=True, help="Months of history, the as-of month included.")
@click.option("--as-of", type=MonthType(), default="2026-10", show_default=True, help="The last month.")
@click.option(
    "--seed", default=1, show_default=True, help="The same seed gives the same province, to the byte."
)
@click.option(
    "--faults", default="default", show_default=True, help="Faults of the feeds: default, none, or F01,F04,…"
)
@click.option(
    "--scenes",
    is_flag=True,
    help="Also the city's log-ins, fines and disconnections: some 240 deliveries more.",
)
@home_option("demo")
@json_option
def demo(
    residents: int,
    enterprises: int,
    months: int,
    as_of: Month,
    seed: int,
    faults: str,
    scenes: bool,
    home: Path,
    as_json: bool,
) -> int:
    """Simulate a small province and run one as-of month from raw deliveries to lead lists.

    模拟一个小省份，从原始交付一直跑到营销名单。

    The people and firms are made up; the way is the real one: dialect files with faults, adapters,
    contracts, facts, features, models, scores, lists. The models are signed by the program under the name `demo`: everything
    that comes out says that no person approved it.
    """
    from core.settings import Settings
    from models.demo_sign_off import mark_as_demo
    from pipelines.workplace import Workplace
    from sources.arrivals import read_schedule
    from sources.province.settings import ProvinceSettings
    from sources.province.simulate import simulate

    reporter = Reporter(as_json)
    if not (home / "state.db").exists():
        mark_as_demo(Settings.load(home))
    workplace = Workplace.open(home, SystemClock(), reporter)
    inbox = workplace.settings.home / "inbox"
    try:
        province = ProvinceSettings(
            residents=residents,
            enterprises=enterprises,
            first_month=as_of.plus(1 - months),
            months=months,
            seed=seed,
            firm_records=True,
            payments=True,
            faults=chosen_faults(faults),
            housing_fund=True,
            city_scenes=scenes,
        )
    except ValueError as error:
        raise click.UsageError(f"{error}.") from None
    with workplace.state.session() as session:
        in_use = session.scalar(select(func.count()).select_from(Delivery)) or 0
    if not already_made(province, workplace.settings.home, in_use > 0):
        simulate(province, inbox, reporter)
        remember(province, workplace.settings.home)
    receive_all(workplace, read_schedule(inbox / "arrivals.json"), reporter)
    return finish(workplace, as_of, reporter)


def already_made(province: ProvinceSettings, home: Path, in_use: bool) -> bool:
    """Whether this very province lies in the home folder; GsceneError where another one or real data (`in_use`) does."""
    note = home / NOTE
    if not (home / "inbox").exists() and not note.exists() and not in_use:
        return False
    if note.exists() and note.read_text(encoding="utf-8") == _told(province):
        return True
    raise GsceneError(
        f"{home} holds other data: another province, an unfinished one, or real deliveries.",
        "Choose another folder with --home, or delete this one.",
    )


def remember(province: ProvinceSettings, home: Path) -> None:
    """Note which province was made; written last, so that a broken-off simulation isn't taken for a whole one."""
    (home / NOTE).write_text(_told(province), encoding="utf-8")


def _told(province: ProvinceSettings) -> str:
    values = {
        name: sorted(value) if isinstance(value, frozenset) else value
        for name, value in vars(province).items()
    }
    return json.dumps(values, default=str, sort_keys=True, indent=1) + "\n"


def chosen_faults(text: str) -> frozenset[str]:
    """`default`, `none` or a list of fault numbers."""
    from sources.province.faults import DEFAULT_FAULTS, FAULTS

    if text in ("default", "none"):
        return DEFAULT_FAULTS if text == "default" else frozenset()
    asked = frozenset(part.strip().upper() for part in text.split(",") if part.strip())
    unknown = sorted(asked - set(FAULTS))
    if unknown:
        raise click.UsageError(f"--faults: {', '.join(unknown)} is not one of {', '.join(sorted(FAULTS))}")
    return asked
