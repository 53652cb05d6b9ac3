"""The early proxy: who is late within three months, as known then; immature is no good; compared with earlier months alone."""

from __future__ import annotations

import pandas as pd
import pytest

from core.months import Month, month_range
from models.definition import AccountDpdLabel
from models.labels import BAD, GOOD
from models.monitoring.early_delinquency import early_delinquency, early_outcomes
from models.monitoring.measure import Measure, Monitored

VINTAGE = Month(2026, 3)
RULE = AccountDpdLabel(kind="account_dpd", version=1, bad_dpd=90, min_months_on_book=0)


def accounts(dpd: dict[int, list[int]]) -> pd.DataFrame:
    """Days past due of each subject's account from the vintage on, one number a month."""
    rows = [
        {
            "subject_no": subject, "acct_id": f"A{subject}", "period": str(VINTAGE.plus(place)), "dpd": days, "max_dpd_m": days,
            "five_class": "normal", "writeoff_flag": False, "months_on_book": 9 + place,
        }
        for subject, each in dpd.items()
        for place, days in enumerate(each)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_thirty_days_within_three_months_is_early_and_an_open_window_is_neither() -> None:
    dpd = {1: [0, 0, 31, 0], 2: [0, 5, 29, 0], 3: [35, 40, 50, 60], 4: [0, 0, 0, 0]}
    known = month_range(VINTAGE, VINTAGE.plus(3))
    told = early_outcomes(accounts(dpd), VINTAGE, RULE, known).set_index("subject_no")["outcome"]
    assert told.to_dict() == {1: BAD, 2: GOOD, 4: GOOD}, "3 was late already"
    open_window = early_outcomes(accounts({k: v[:3] for k, v in dpd.items()}), VINTAGE, RULE, known[:3])
    assert open_window.set_index("subject_no")["outcome"].to_dict() == {1: BAD}


def month(share: float) -> Monitored:
    told = Measure("early_delinquency", share, 1000, events=round(1000 * share))
    return Monitored("m", "2026-01", "v", "", "", "", (told,))


@pytest.mark.parametrize(("late", "alarms"), [(21, False), (80, True)])
def test_a_rise_has_to_be_proven_against_earlier_months(late: int, alarms: bool) -> None:
    scores = pd.DataFrame({"subject_no": range(1000), "pd": [0.5 if n < late else 0.01 for n in range(1000)]})
    outcomes = pd.DataFrame({"subject_no": range(1000), "outcome": [BAD] * late + [GOOD] * (1000 - late)})
    told = {each.measure: each for each in early_delinquency(scores, outcomes, VINTAGE, [month(0.02)] * 3)}
    rise = told["early_delinquency_rise"].value
    assert rise is not None and (rise > 1.0) == alarms and (rise > 0.0) == alarms
    assert told["early_auc"].value == 1.0 and told["early_delinquency"].events == late
    few = {each.measure: each for each in early_delinquency(scores, outcomes, VINTAGE, [month(0.02)] * 2)}
    assert few["early_delinquency_rise"].value is None, "two months are no comparison"
