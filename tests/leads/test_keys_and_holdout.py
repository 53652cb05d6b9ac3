"""Keyed hashes: private, stable, and fair draws."""

import stat
from datetime import date

import numpy as np
import pandas as pd
import pytest

from core.errors import GsceneError
from core.subject import SubjectKind
from leads.holdout import campaign_holdout, global_holdout
from leads.keyed_hash import LeadKey
from leads.lead_list import build_list
from tests.leads.worlds import AT, CAMPAIGN, KEY, ON, candidates_of, numbers, policy, wanted_person

IDS = list(range(20_000))
KIND = SubjectKind.RESIDENT


def test_a_key_is_made_once_and_only_its_owner_reads_it(tmp_path):
    first = LeadKey.load(tmp_path / "keys")
    file = tmp_path / "keys" / "leads.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert LeadKey.load(tmp_path / "keys") == first
    assert first.secret.hex() not in repr(first)
    assert str(first.secret) not in repr(first)
    file.chmod(0o640)
    with pytest.raises(GsceneError, match="chmod 600"):
        LeadKey.load(tmp_path / "keys")


def test_a_short_key_is_refused():
    with pytest.raises(ValueError, match="32"):
        LeadKey(b"short")


def test_uses_don_t_share_hashes():
    assert KEY.token("lead_token", "a") != KEY.token("opt_out", "a")
    assert KEY.token("lead_token", "a") != LeadKey(b"K" * 32).token("lead_token", "a")
    assert KEY.tokens("lead_token", ["a"]) == [KEY.token("lead_token", "a")]


def test_draws_are_uniform():
    draws = KEY.draws("holdout", map(str, IDS))
    assert draws.min() >= 0.0 and draws.max() < 1.0
    counts, _ = np.histogram(draws, bins=10, range=(0, 1))
    # chi-square with 9 degrees of freedom: 27.9 is the 0.1 % point; the draw is fixed, so this can't flicker
    assert ((counts - 2000) ** 2 / 2000).sum() < 27.9


def test_a_draw_is_what_it_was():
    # golden: a change of the scheme would reshuffle every running campaign's control group
    assert KEY.draws("holdout", ["campaign|autumn|1:00"])[0] == 0.21873208940041444


def test_holdout_doesn_t_depend_on_order_or_company():
    everyone = campaign_holdout(KEY, "autumn", KIND, IDS, 0.1)
    assert (campaign_holdout(KEY, "autumn", KIND, IDS[::-1], 0.1)[::-1] == everyone).all()
    assert (campaign_holdout(KEY, "autumn", KIND, IDS[500:700], 0.1) == everyone[500:700]).all()


def test_holdout_share_and_growth():
    ten = campaign_holdout(KEY, "autumn", KIND, IDS, 0.10)
    assert abs(ten.mean() - 0.10) < 0.0075
    assert (campaign_holdout(KEY, "autumn", KIND, IDS, 0.20) >= ten).all()
    assert not campaign_holdout(KEY, "autumn", KIND, IDS, 0.0).any()
    assert campaign_holdout(KEY, "autumn", KIND, IDS, 1.0).all()
    with pytest.raises(ValueError, match="between 0 and 1"):
        campaign_holdout(KEY, "autumn", KIND, IDS, 10)


def test_campaigns_and_years_draw_apart():
    autumn, spring = (campaign_holdout(KEY, name, KIND, IDS, 0.1) for name in ("autumn", "spring"))
    assert abs((autumn & spring).mean() - 0.01) < 0.003
    this, next_ = (global_holdout(KEY, date(year, 1, 1), KIND, IDS, 0.1) for year in (2026, 2027))
    assert abs((this & next_).mean() - 0.01) < 0.003
    assert (global_holdout(KEY, date(2026, 12, 31), KIND, IDS, 0.1) == this).all()


def test_firms_and_residents_of_one_number_draw_apart():
    firms, people = (global_holdout(KEY, date(2026, 1, 1), kind, IDS, 0.1) for kind in SubjectKind)
    assert abs((firms & people).mean() - 0.01) < 0.003


def test_a_change_of_pseudonyms_leaves_every_group_and_the_order_alone():
    """A migration gives a subject another pseudonym and keeps its number (sources.migration)."""
    rules_of = policy(holdout={"campaign_share": 0.3, "global_share": 0.2}, leads_per_branch=20)
    people = [wanted_person() for _ in range(60)] + [wanted_person(refuses=True) for _ in range(60)]
    before = candidates_of(people, rules_of)
    after = candidates_of(people, rules_of, pseudonym=lambda no: f"k2:{no * 7919:040x}")
    assert not set(before["subject_id"]) & set(after["subject_id"])
    pd.testing.assert_frame_equal(before.drop(columns="subject_id"), after.drop(columns="subject_id"))
    lists = [
        build_list(
            frame,
            rules_of,
            campaign_id=CAMPAIGN,
            list_version="v",
            on=ON,
            key=KEY,
            model_version="m",
            generated_at=AT,
        )
        for frame in (before, after)
    ]
    groups = ["subject_no", "arm", "prob"]
    pd.testing.assert_frame_equal(lists[0].assignments[groups], lists[1].assignments[groups])
    assert set(lists[0].assignments["arm"]) >= {"treat", "control", "global_holdout", "non_personalised"}
    assert numbers(lists[0].rows) == numbers(lists[1].rows)
