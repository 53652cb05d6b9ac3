"""The account months that the early proxy reads, from deliveries of a simulated province: as known then, with receipts."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from core.clock import FixedClock
from core.errors import GateRefused
from core.months import Month, knowledge_cutoff
from core.progress import SilentProgress
from core.subject import SubjectKind
from models.definition import AccountDpdLabel
from models.monitoring.early_delinquency import TABLE, early_outcomes, known_accounts
from pipelines.asset_style import asset_key
from pipelines.launch import launch
from pipelines.workplace import Workplace
from sources.arrivals import read_schedule, receive
from sources.province.settings import ProvinceSettings
from sources.province.simulate import simulate

KIND = SubjectKind.ENTERPRISE
FIRST, LAST = Month(2025, 3), Month(2025, 7)
VINTAGE = Month(2025, 4)


def test_only_accounts_known_at_the_cutoff_are_read_and_an_unvouched_month_is_refused(tmp_path: Path) -> None:
    workplace = Workplace.open(tmp_path / "home", FixedClock(datetime(2026, 1, 1, tzinfo=UTC)))
    settings = ProvinceSettings(
        residents=20, enterprises=250, first_month=FIRST, months=5, only_tables=frozenset({TABLE}),
    )  # fmt: skip
    simulate(settings, tmp_path / "home" / "inbox", SilentProgress())
    for arrival in read_schedule(tmp_path / "home" / "inbox" / "arrivals.json"):
        receive(arrival, workplace.settings.archive, workplace.state, workplace.clock)
    launch(workplace, [asset_key("raw", KIND, TABLE)], FIRST, LAST)
    entitlements = workplace.entitlements(KIND)
    rule = workplace.blueprint.models["enterprise_risk"].label
    assert isinstance(rule, AccountDpdLabel)

    def known(cutoff_of: Month) -> tuple[pd.DataFrame, list[Month]]:
        cutoff = pd.Timestamp(knowledge_cutoff(cutoff_of))
        schema, use = entitlements.contracts[TABLE].schema(), entitlements.for_use(cutoff_of)
        return known_accounts(workplace.store, workplace.state, schema, KIND, VINTAGE, cutoff, use)

    accounts, months = known(LAST)
    assert months == [FIRST.plus(place) for place in range(5)]
    assert len(accounts) and set(accounts["period"]) == {str(month) for month in months}
    outcomes = early_outcomes(accounts, VINTAGE, rule, months)
    assert len(outcomes) > 10 and set(outcomes["outcome"]) <= {"good", "bad"}
    earlier, _ = known(VINTAGE)
    assert set(earlier["period"]) == {str(FIRST), str(VINTAGE)}
    assert "good" not in set(early_outcomes(earlier, VINTAGE, rule, [FIRST, VINTAGE])["outcome"])
    raw = f"raw/{KIND}/{TABLE}"
    rows = workplace.store.read(raw, [str(LAST)]).drop_columns(["period"])
    workplace.store.replace(raw, str(LAST), rows.slice(1))
    with pytest.raises(GateRefused):
        known(LAST)
