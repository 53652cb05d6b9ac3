"""A province so small that it fits a test, and what running it twice leaves behind."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import select

from core.clock import FixedClock
from core.months import Month, knowledge_cutoff
from core.progress import SilentProgress
from core.state import LeadList
from core.subject import SubjectKind
from models.definition import ModelDefinition
from pipelines.catch_up import CaughtUp, bring_up_to_date
from pipelines.workplace import Workplace
from sources.arrivals import read_schedule, receive
from sources.province.settings import ProvinceSettings
from sources.province.simulate import simulate

AS_OF = Month(2025, 10)
MONTHS = 24
RESIDENTS, ENTERPRISES = 900, 700
#: Most of the time goes into the number of deliveries, so some feeds are left out.
TABLES = frozenset(
    {
        "bk_account_month", "bk_customer", "consent_register", "suppression", "mk_assignment", "mk_response",
        "si_person_month", "platform_service", "tax_vat_return", "gov_award",
    }
)  # fmt: skip
#: The day that lists of the as-of month are for: the day after its knowledge cutoff.
ON = date(2025, 11, 6)
LISTS = {
    SubjectKind.RESIDENT: "resident_consumer_loan",
    SubjectKind.ENTERPRISE: "enterprise_credit_line",
}


@dataclass(frozen=True)
class Province:
    """The home after the first and the second run, and what each left behind."""

    workplace: Workplace
    first: CaughtUp
    second: CaughtUp
    versions: dict[str, int]
    versions_again: dict[str, int]
    lists: list[str]


def lighter(model: ModelDefinition) -> ModelDefinition:
    """The shipped definition with fewer folds, trees and bad cases: what is tested is the way, not the fit."""
    fewer = {"folds": 3} | ({"repeats": 1} if "repeats" in type(model.split).model_fields else {})
    return model.model_copy(
        update={
            "split": model.split.model_copy(update=fewer),
            "lightgbm": model.lightgbm.model_copy(update={"rounds": 40}),
            "min_bads": 8,
        }
    )


def run_twice(tmp_path_factory: pytest.TempPathFactory) -> Province:
    home = tmp_path_factory.mktemp("province") / "home"
    home.mkdir()
    # A few hundred rows train faster without threads that wait for each other.
    (home / "gscene.yaml").write_text("threads: 1\nsign_off: automatic_in_demo\n", encoding="utf-8")
    workplace = Workplace.open(home, FixedClock(datetime(2025, 11, 6, 4, tzinfo=UTC)))
    settings = ProvinceSettings(
        residents=RESIDENTS, enterprises=ENTERPRISES, first_month=AS_OF.plus(1 - MONTHS), months=MONTHS, seed=1,
        only_tables=TABLES,
    )  # fmt: skip
    simulate(settings, home / "inbox", SilentProgress())
    for arrival in read_schedule(home / "inbox" / "arrivals.json"):
        receive(arrival, workplace.settings.archive, workplace.state, workplace.clock)
    first = bring_up_to_date(workplace, AS_OF)
    versions, lists = versions_of(workplace), published(workplace)
    reopened = Workplace.open(home, FixedClock(datetime(2025, 11, 7, 4, tzinfo=UTC)))
    second = bring_up_to_date(reopened, AS_OF)
    return Province(reopened, first, second, versions, versions_of(reopened), lists)


def versions_of(workplace: Workplace) -> dict[str, int]:
    return {table: workplace.store.version(table) for table in workplace.store.tables()}


def published(workplace: Workplace) -> list[str]:
    with workplace.state.session() as session:
        return sorted(session.scalars(select(LeadList.list_version)))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def register(province: Province, kind: SubjectKind, name: str, key: list[str]) -> pd.DataFrame:
    """The register as known at the cutoff of the as-of month: the latest version of every entry."""
    rows = province.workplace.store.read(f"raw/{kind}/{name}").to_pandas(date_as_object=True)
    rows = rows[rows["received_at"] <= pd.Timestamp(knowledge_cutoff(AS_OF))]
    rows = rows.sort_values(["received_at", "revision", "delivery_no", "row_no"], kind="stable")
    return rows.drop_duplicates(key, keep="last")


def in_force(row: Any) -> bool:
    """Whether a consent allows contact on the day, by itself."""
    return (
        row.kind in ("separate", "written")
        and row.granted_at <= ON
        and (pd.isna(row.valid_to) or row.valid_to > ON)
        and pd.isna(row.withdrawn_at)
    )


def approached(province: Province, kind: SubjectKind) -> set[int]:
    """Subjects that the list approaches."""
    table = province.workplace.store.read(f"leads/{kind}/{LISTS[kind]}", [str(AS_OF)]).to_pandas()
    return set(table.loc[table["arm"] == "treat", "subject_no"])
