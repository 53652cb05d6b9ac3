"""Keyed hashes: private, stable, and fair draws."""

import stat
from datetime import date

import numpy as np
import pytest

from core.errors import GsceneError
from leads.holdout import campaign_holdout, global_holdout
from leads.keyed_hash import LeadKey
from tests.leads.worlds import KEY, subject_id

IDS = [subject_id(no) for no in range(20_000)]


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
    draws = KEY.draws("holdout", IDS)
    assert draws.min() >= 0.0 and draws.max() < 1.0
    counts, _ = np.histogram(draws, bins=10, range=(0, 1))
    # chi-square with 9 degrees of freedom: 27.9 is the 0.1 % point; the draw is fixed, so this can't flicker
    assert ((counts - 2000) ** 2 / 2000).sum() < 27.9


def test_a_draw_is_what_it_was():
    # golden: a change of the scheme would reshuffle every running campaign's control group
    assert KEY.draws("holdout", ["campaign|autumn|1:00"])[0] == 0.21873208940041444


def test_holdout_doesn_t_depend_on_order_or_company():
    everyone = campaign_holdout(KEY, "autumn", IDS, 0.1)
    assert (campaign_holdout(KEY, "autumn", IDS[::-1], 0.1)[::-1] == everyone).all()
    assert (campaign_holdout(KEY, "autumn", IDS[500:700], 0.1) == everyone[500:700]).all()


def test_holdout_share_and_growth():
    ten = campaign_holdout(KEY, "autumn", IDS, 0.10)
    assert abs(ten.mean() - 0.10) < 0.0075
    assert (campaign_holdout(KEY, "autumn", IDS, 0.20) >= ten).all()
    assert not campaign_holdout(KEY, "autumn", IDS, 0.0).any()
    assert campaign_holdout(KEY, "autumn", IDS, 1.0).all()
    with pytest.raises(ValueError, match="between 0 and 1"):
        campaign_holdout(KEY, "autumn", IDS, 10)


def test_campaigns_and_years_draw_apart():
    autumn, spring = (campaign_holdout(KEY, name, IDS, 0.1) for name in ("autumn", "spring"))
    assert abs((autumn & spring).mean() - 0.01) < 0.003
    this, next_ = (global_holdout(KEY, date(year, 1, 1), IDS, 0.1) for year in (2026, 2027))
    assert abs((this & next_).mean() - 0.01) < 0.003
    assert (global_holdout(KEY, date(2026, 12, 31), IDS, 0.1) == this).all()
