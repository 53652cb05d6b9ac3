"""Policies: read, refused with a place, and turned into expected values."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import GsceneError, Refusal
from leads.policy import FOLDER, load_policies, load_policy, policy_in_force
from leads.value import bands, expected_value
from tests.leads.worlds import ON, policy


def test_the_shipped_policies_load():
    policies = load_policies()
    assert {
        "resident_consumer_loan",
        "enterprise_credit_line",
        "invoice_prospects",
    } <= set(policies)
    assert len({shipped.sha256 for shipped in policies.values()}) == len(policies)
    assert all(shipped.title.zh and shipped.title.en for shipped in policies.values())


def test_every_number_is_in_the_hash_and_the_layout_is_not(tmp_path):
    text = (FOLDER / "resident_consumer_loan.yaml").read_text(encoding="utf-8")
    copy = tmp_path / "resident_consumer_loan.yaml"
    copy.write_text("# another comment\n" + text, encoding="utf-8")
    original = load_policy("resident_consumer_loan")
    assert load_policy("resident_consumer_loan", tmp_path).sha256 == original.sha256
    copy.write_text(text.replace("lgd: 0.65", "lgd: 0.66"), encoding="utf-8")
    assert load_policy("resident_consumer_loan", tmp_path).sha256 != original.sha256


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("  lgd: 0.65", "  lgd: 1.65", "lgd"),
        (
            "minimum_value_amt: 0 ",
            "minimum_value_amt: 0\nmaximum_value_amt: 1 ",
            "maximum_value_amt",
        ),
        ("campaign_share: 0.10", "campaign_share: 0", "campaign_share"),
        ("[0.04, 0.025, 0.015, 0.008]", "[0.04, 0.05, 0.015, 0.008]", "propensity"),
        ("sms]", "telex]", "channels"),
    ],
)
def test_a_wrong_entry_is_told_by_file_and_line(tmp_path, old, new, word):
    text = (FOLDER / "resident_consumer_loan.yaml").read_text(encoding="utf-8")
    assert text.count(old) == 1
    copy = tmp_path / "resident_consumer_loan.yaml"
    copy.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(Refusal) as refused:
        load_policy("resident_consumer_loan", tmp_path)
    assert word in str(refused.value)
    assert refused.value.file == str(copy)
    assert refused.value.line in {
        no for no, line in enumerate(copy.read_text(encoding="utf-8").splitlines(), 1) if word in line
    }


def test_the_line_of_a_wrong_number_is_its_own(tmp_path):
    text = (
        (FOLDER / "resident_consumer_loan.yaml").read_text(encoding="utf-8").replace("lgd: 0.65", "lgd: 1.65")
    )
    (tmp_path / "resident_consumer_loan.yaml").write_text(text, encoding="utf-8")
    expected = next(no for no, line in enumerate(text.splitlines(), 1) if "lgd" in line)
    with pytest.raises(Refusal) as refused:
        load_policy("resident_consumer_loan", tmp_path)
    assert refused.value.line == expected


def test_a_policy_in_a_file_of_another_name_is_refused(tmp_path):
    text = (FOLDER / "resident_consumer_loan.yaml").read_text(encoding="utf-8")
    (tmp_path / "another.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(Refusal, match="another name"):
        load_policy("another", tmp_path)


def test_effective_dates():
    dated = policy(effective_from=date(2026, 1, 1), effective_to=date(2027, 1, 1))
    assert [dated.in_force(day) for day in (date(2025, 12, 31), date(2026, 1, 1), date(2026, 12, 31), date(2027, 1, 1))] == [
        False, True, True, False,
    ]  # fmt: skip
    with pytest.raises(GsceneError, match="isn't in force"):
        policy_in_force("resident_consumer_loan", date(2000, 1, 1))
    assert policy_in_force("resident_consumer_loan", ON).policy == "resident_consumer_loan"


NUMBERS = {
    "horizon_months": 12,
    "margin_amt": 1000.0,
    "contact_cost_amt": 10.0,
    "exposure_amt": 20000.0,
    "lgd": 0.5,
    "portfolio_pd": 0.04,
}


def test_expected_value_by_hand():
    candidates = pd.DataFrame(
        {
            "propensity": [0.10, 0.10, np.nan, 0.10],
            "pd": [0.02, 0.02, 0.02, np.nan],
            "risk_consent": [True, False, True, True],
        }
    )
    gated = policy(value=NUMBERS)
    # 0.10 x (1000 - 0.02 x 0.5 x 20000) - 10 = 70; without consent the portfolio's 0.04 counts: 0.10 x (1000 - 400) - 10 = 50
    assert expected_value(candidates, gated) == pytest.approx([70.0, 50.0, np.nan, np.nan], nan_ok=True)
    open_to_all = policy(value=NUMBERS, risk_gate=None)
    assert expected_value(candidates, open_to_all) == pytest.approx([50.0, 50.0, np.nan, 50.0], nan_ok=True)


def test_expected_value_on_uplift():
    candidates = pd.DataFrame(
        {
            "uplift": [-0.01, 0.02],
            "propensity": [0.5, 0.5],
            "pd": 0.0,
            "risk_consent": True,
        }
    )
    assert expected_value(candidates, policy(value=NUMBERS, basis="uplift")) == pytest.approx([-20.0, 10.0])


def test_bands_and_their_limits():
    limits = [0.2, 0.1, 0.05, 0.02]
    assert "".join(bands(np.array([0.5, 0.2, 0.1999, 0.1, 0.05, 0.02, 0.0199, -1.0]), limits)) == "AABBCDEE"
    with pytest.raises(ValueError, match="no band"):
        bands(np.array([np.nan]), limits)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2))
def test_a_greater_value_never_has_a_worse_band(values):
    letters = bands(np.sort(np.array(values)), [500, 100, 0, -50])
    assert list(letters) == sorted(letters, reverse=True)
