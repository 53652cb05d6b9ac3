"""Randomised arms, conversions above the organic rate for the approached, and consents as told."""

import numpy as np
import pytest

from core.subject import SubjectKind
from sources.province import bank_codes, campaigns, consent, world
from sources.province.settings import ProvinceSettings


@pytest.fixture(scope="module")
def made() -> world.World:
    return world.make(ProvinceSettings(residents=12_000, enterprises=12_000, months=24, seed=11))


@pytest.mark.parametrize("kind", list(SubjectKind))
def test_arms_are_random_and_approaches_help(made, kind):
    runs = made.subjects[kind].campaigns
    assert [str(run.month) for run in runs[:2]] == ["2024-08", "2024-11"]
    treated = np.concatenate([run.treated for run in runs])
    opened = np.concatenate(
        [
            np.isin(run.subject, run.event_subject[run.event == bank_codes.EVENTS.index("open")])
            for run in runs
        ]
    )
    organic, uplift = (np.concatenate([getattr(run, name) for run in runs]) for name in ("organic", "uplift"))
    assert abs(treated.mean() - campaigns.TREAT_SHARE) < 0.01
    assert abs(organic[treated].mean() - organic[~treated].mean()) < 0.002
    scale = campaigns.PILOT_SCALE
    assert abs(opened[~treated].mean() - scale * campaigns.ORGANIC[kind]) < 0.008
    gain = opened[treated].mean() - opened[~treated].mean()
    assert abs(gain - 0.95 * scale * campaigns.UPLIFT[kind]) < 0.010
    assert (uplift < 0).mean() == pytest.approx(campaigns.SLEEPING_DOGS, abs=0.01)


@pytest.mark.parametrize("kind", list(SubjectKind))
def test_only_consenting_subjects_without_a_loan_are_in_a_campaign(made, kind):
    each = made.subjects[kind]
    for run in each.campaigns:
        row = made.settings.row_of(run.month)
        assert each.consents.in_force("marketing", row, len(each.people))[run.subject].all()
        assert not each.consents.suppressed(row, len(each.people))[run.subject].any()
        assert not np.isin(run.subject, each.accounts.subject[each.accounts.reported[row]]).any()


def test_events_follow_each_other_within_the_window(made):
    for run in made.subjects[SubjectKind.RESIDENT].campaigns:
        days = {event: dict(zip(run.event_subject[run.event == code], run.event_day[run.event == code], strict=True))
                for code, event in enumerate(bank_codes.EVENTS)}  # fmt: skip
        assert set(days["drawdown"]) <= set(days["open"]) <= set(days["apply"])
        for who, day in days["open"].items():
            assert run.assigned < days["apply"][who] <= day <= run.assigned + campaigns.WINDOW_DAYS
            assert day <= days["drawdown"].get(who, day) <= run.assigned + campaigns.WINDOW_DAYS


@pytest.mark.parametrize("purpose", bank_codes.PURPOSES)
def test_shares_of_consent_and_withdrawal(made, purpose):
    register = made.subjects[SubjectKind.RESIDENT].consents
    mine = register.purpose == bank_codes.PURPOSES.index(purpose)
    assert mine.sum() / 12_000 == pytest.approx(consent.CONSENT_SHARE[purpose], abs=0.02)
    gone = register.withdrawn_row < consent.NEVER_ROW
    assert 0 < gone[mine].mean() < 0.12
    assert (register.withdrawn[gone] > register.granted[gone]).all()
    assert len(register.kept_off) / 12_000 == pytest.approx(consent.SUPPRESSED_SHARE, abs=0.006)
