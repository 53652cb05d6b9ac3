"""Enterprises' months: sales, returns and arrears, staff and contributions, electricity, awards, and the risk that follows.

Signs and order of strength follow domain.md 3.3: tax arrears tell most, then contributions in arrears and lost sales.
Numbers are properties of this simulation, not evidence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sources.province.calendar_effects import SHOCK_STRESS, electricity_season, sales_season, shocked
from sources.province.history import trailing_count, trailing_sum
from sources.province.population import Population
from sources.province.random_streams import sigmoid, stream
from sources.province.regions import REGION_CODES
from sources.province.settings import ProvinceSettings

#: Factor on everything in the risk equation that a platform can see. Set so that LightGBM on twelve-month windows, tested on
#: other firms a year later, reaches 0.76-0.80 AUC.
VISIBLE_STRENGTH = 1.85
WEIGHT_STRESS = 0.35
RISK_NOISE = 0.30
REGION_LEVEL_SPREAD = 0.12
REGION_SLOPE_SPREAD = 0.15
#: Bills later than this may cost the connection, and for what share they do.
CUT_AFTER_DAYS = 35
CUT_SHARE = 0.5
#: Mean awards a month of a firm that takes part in tenders, and the share that does (some 5 % of firms win one in a year).
TENDERERS = 0.10
AWARDS_A_MONTH = 0.05


@dataclass(frozen=True)
class EnterpriseHistory:
    """State matrices of shape (lived months, enterprises); money in CNY, `kwh` per month, lateness in days.

    `filing_late` -1: no return that month. `arrears` is the balance at month end and `arrears_age` its age in months.
    `paid_share` is the part of contributions due that was paid. `risk` is the log-odds of default within twelve months,
    without intercept, if the month's state lasted.
    """

    sales: np.ndarray
    tax_rate: np.ndarray
    filing_late: np.ndarray
    arrears: np.ndarray
    arrears_age: np.ndarray
    staff: np.ndarray
    mean_base: np.ndarray
    paid_share: np.ndarray
    kwh: np.ndarray
    days_late: np.ndarray
    auto_debit: np.ndarray
    cut: np.ndarray
    awards: np.ndarray
    stress: np.ndarray
    risk: np.ndarray


def live(settings: ProvinceSettings, firms: Population) -> EnterpriseHistory:
    """Live through all months."""
    n, lived = len(firms), settings.lived
    rng = stream(settings.seed, "enterprises", "life")
    shape = (lived, n)
    sales, arrears, mean_base, paid_share, kwh, stress, risk = (np.zeros(shape, np.float32) for _ in range(7))
    filing_late, arrears_age, staff, days_late = (np.zeros(shape, np.int16) for _ in range(4))
    awards = np.zeros(shape, np.int8)
    cut = np.zeros(shape, dtype=bool)

    size = rng.standard_normal(n)
    usual = np.exp(np.log(150_000) + 1.1 * size)
    tax_rate = rng.choice([0.13, 0.09, 0.06, 0.03, 0.01], size=n, p=[0.30, 0.12, 0.20, 0.18, 0.20])
    people = np.exp(np.log(9) + 0.8 * size + 0.3 * rng.standard_normal(n))
    power = np.exp(np.log(2_500) + 0.7 * size + 0.7 * rng.standard_normal(n))
    growth = 0.003 + 0.004 * firms.stability - 0.003 * firms.stress
    auto = rng.random(n) < sigmoid(-0.8 + 0.3 * firms.stability)
    pay = np.clip(np.exp(np.log(5_600) + 0.2 * rng.standard_normal(n) + 0.1 * size), 4_200, 21_000)
    tenders = rng.random(n) < np.minimum(TENDERERS * np.exp(0.5 * firms.stability), 1)
    mood, level = rng.standard_normal(n), np.zeros(n)
    owing, owed = np.zeros(n, dtype=np.int16), np.zeros(n)
    for row, month in settings.calendar():
        mood = 0.95 * mood + np.sqrt(1 - 0.95**2) * rng.standard_normal(n)
        now = 0.7 * firms.stress + 0.7 * mood + SHOCK_STRESS * shocked(settings.first_month, month)
        level = 0.97 * level + growth - 0.035 * np.maximum(now, 0) + 0.05 * rng.standard_normal(n)
        sold = usual * sales_season(month) * np.exp(level + 0.18 * rng.standard_normal(n))
        nothing = rng.random(n) < sigmoid(-4.6 + 1.0 * now)
        sold = np.where(nothing, 0.0, sold)
        tax = np.maximum(sold, 0.2 * usual) * tax_rate * 0.35
        enters = (owing == 0) & (rng.random(n) < sigmoid(-5.3 + 1.15 * now - 0.3 * firms.stability))
        clears = (owing > 0) & (rng.random(n) < sigmoid(-1.1 - 0.6 * now))
        owing = np.where(clears, 0, np.where(enters | (owing > 0), owing + 1, 0)).astype(np.int16)
        owed = np.where(
            owing > 0, np.where(owing == 1, 0, owed) * 1.01 + tax * rng.uniform(0.5, 1.0, n) + 50, 0.0
        )
        people = np.maximum(
            people * np.exp(0.15 * growth - 0.012 * np.maximum(now - 0.5, 0) + 0.03 * rng.standard_normal(n)),
            1,
        )
        short = rng.random(n) < sigmoid(-4.4 + 0.9 * now + 0.9 * (owing > 0))
        days = 1 + rng.exponential(6.0 + 5.0 * np.exp(0.5 * np.clip(now, -2, 3)))
        late = (rng.random(n) < sigmoid(-3.2 + 0.8 * now)) & ~auto
        files_late = rng.random(n) < sigmoid(-3.4 + 0.8 * now)
        omits = rng.random(n) < sigmoid(-5.5 + 0.8 * now)
        sales[row], stress[row], arrears[row], arrears_age[row] = sold, now, owed, owing
        filing_late[row] = np.where(omits, -1, np.where(files_late, 1 + rng.exponential(10, n), 0))
        staff[row] = np.clip(np.round(people), 1, 30_000)
        mean_base[row] = pay * (1 + 0.003 * row)
        paid_share[row] = np.where(short, rng.uniform(0.0, 0.9, n), 1.0)
        kwh[row] = (
            power
            * electricity_season(month) ** 0.4
            * np.exp(0.55 * level - 1.2 * nothing + 0.12 * rng.standard_normal(n))
        )
        days_late[row] = np.where(late, np.minimum(days, 180), 0)
        cut[row] = (days_late[row] >= CUT_AFTER_DAYS) & (rng.random(n) < CUT_SHARE)
        awards[row] = np.minimum(rng.poisson(AWARDS_A_MONTH * tenders), 3)
    history = EnterpriseHistory(
        sales,
        tax_rate,
        filing_late,
        arrears,
        arrears_age,
        staff,
        mean_base,
        paid_share,
        kwh,
        days_late,
        auto,
        cut,
        awards,
        stress,
        risk,
    )
    _fill_risk(settings, firms, history)
    return history


def _fill_risk(settings: ProvinceSettings, firms: Population, life: EnterpriseHistory) -> None:
    rng = stream(settings.seed, "enterprises", "risk")
    level = REGION_LEVEL_SPREAD * rng.standard_normal(len(REGION_CODES))[firms.region]
    slope = 1 + REGION_SLOPE_SPREAD * rng.standard_normal(len(REGION_CODES))[firms.region]
    hidden = RISK_NOISE * rng.standard_normal(len(firms)) - 0.15 * firms.stability
    for row, _ in settings.calendar():
        owing = trailing_count(life.arrears, row, 12)
        visible = (
            slope * 0.85 * (life.arrears[row] > 0)
            + 0.16 * np.minimum(owing, 6)
            + 0.60 * np.minimum(trailing_count(life.paid_share[: row + 1] < 1, row, 6), 2)
            - 1.1 * _log_change(life.sales, row)
            + 0.25 * np.minimum(trailing_count(life.sales[: row + 1] == 0, row, 12), 4)
            + 0.18 * np.minimum(trailing_count(life.filing_late, row, 12), 4)
            + 0.12 * np.minimum(trailing_count(life.days_late, row, 12), 6)
            + 0.60 * (trailing_count(life.cut, row, 12) > 0)
            - 0.5 * _log_change(life.kwh, row)
            - 0.4 * (trailing_count(life.awards, row, 12) > 0)
            - 0.10 * np.log(life.staff[row])
        )
        life.risk[row] = level + hidden + WEIGHT_STRESS * life.stress[row] + VISIBLE_STRENGTH * visible


def _log_change(matrix: np.ndarray, row: int) -> np.ndarray:
    """Log of the last six months over the six before, clipped to +-1; 0 while there is no year of history."""
    if row < 11:
        return np.zeros(matrix.shape[1])
    before = trailing_sum(matrix, row - 6, 6)
    ratio = (trailing_sum(matrix, row, 6) + 0.01 * before + 1) / (1.01 * before + 1)
    return np.clip(np.log(ratio), -1.0, 1.0)
