"""An accepted delivery without rows is a delivery: of a source that lists events only it says that there were none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import GateRefused
from core.months import Month
from features.as_of import feature_table
from features.fact_store import months_in_step
from features.feature_store import facts_in_step
from pipelines.catch_up import take_in_waiting
from tests.pipelines.test_employer_facts import FIRMS, MONTHS, EmployerHome

pytestmark = pytest.mark.slow

ARREARS = "facts/enterprise/tax_arrears"
HEADER = "nsrbh|tjyf|zsxm|qsye|qsts|xzqh|bz|env_flag"


def tell(home: EmployerHome, month: Month, owing: int, revision: int = 1) -> None:
    """The tax office's month, with so many of the firms in arrears."""
    rows = [f"{firm}|{month}|10101|500|30|||0" for firm in FIRMS[:owing]]
    home.deliver_arrears(month, [HEADER, *rows], revision)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> EmployerHome:
    """February's delivery is empty, March's too until it is sent again in the month after."""
    made = EmployerHome(tmp_path_factory.mktemp("empty"))
    for month in MONTHS:
        made.staff(month)
        made.firms(month)
    tell(made, MONTHS[1], 0)
    tell(made, MONTHS[2], 0)
    tell(made, MONTHS[2], 1, revision=2)
    take_in_waiting(made.workplace)
    return made


def values(home: EmployerHome, name: str, feature: str, as_of: Month) -> list[float]:
    found = feature_table(home.store, home.workplace.blueprint.feature_sets[name], as_of)
    return found.column(feature).to_pylist()


def test_no_arrears_are_none_where_the_month_was_delivered_empty(home: EmployerHome) -> None:
    assert home.store.partitions("raw/enterprise/tax_arrears") == [str(MONTHS[2])], "no row of February"
    assert home.store.partitions(ARREARS) == [str(MONTHS[1]), str(MONTHS[2])]
    january, february, march = (values(home, "enterprise_monthly", "arrears_months_3m", m) for m in MONTHS)
    assert np.isnan(january).all(), "nothing was delivered of January"
    assert february == [0.0, 0.0] and march == [0.0, 0.0]
    # What March's second delivery tells is known in April.
    assert values(home, "enterprise_monthly", "arrears_months_3m", MONTHS[2].plus(1)) == [1.0, 0.0]


def test_the_staff_of_firms_without_arrears_are_told_so(home: EmployerHome) -> None:
    assert values(home, "resident_monthly", "employer_tax_arrears_share_6m", MONTHS[1]) == [0.0, 0.0, 0.0]
    assert np.isnan(values(home, "resident_monthly", "employer_tax_arrears_share_6m", MONTHS[0])).all()


def test_an_empty_month_is_behind_the_same_gate(home: EmployerHome, tmp_path: Path) -> None:
    plan = home.workplace.blueprint
    used = facts_in_step(home.store, home.state, plan.feature_sets["enterprise_monthly"], MONTHS[2])
    assert (ARREARS, str(MONTHS[1])) in used
    later = EmployerHome(tmp_path)
    later.firms(MONTHS[1])
    take_in_waiting(later.workplace)
    tell(later, MONTHS[1], 0)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("pipelines.catch_up._facts_of", lambda *_: [])
        take_in_waiting(later.workplace)
    definition = next(f for f in plan.facts.values() if f.fact_table == ARREARS)
    with pytest.raises(GateRefused, match="has not been made yet"):
        months_in_step(later.store, later.state, definition, MONTHS[1], MONTHS[1])
    take_in_waiting(later.workplace)
    assert months_in_step(later.store, later.state, definition, MONTHS[1], MONTHS[1])
