"""Residents' months: work and contributions, wages, electricity bills, use of the platform, and the risk that follows.

The risk equation is domain.md 4.4, without its terms of the housing fund and of fines where the city has no other offices
(`city_scenes`). It reads the true history up to the month, whether or not any platform knows it. Numbers are properties of this
simulation, not evidence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sources.province import fines
from sources.province.calendar_effects import SHOCK_STRESS, electricity_season, shocked
from sources.province.fines import Fines
from sources.province.history import longest_run, trailing_count, trailing_max
from sources.province.housing_fund import members
from sources.province.population import Population
from sources.province.random_streams import sigmoid, stream
from sources.province.regions import REGION_CODES
from sources.province.settings import ProvinceSettings

#: Provincial average wage, CNY a month.
AVERAGE_WAGE = 7_000.0
#: Factor on everything in the risk equation that a platform can see; 1.0 is the equation as published. Set so that LightGBM
#: on twelve-month windows, tested on other people a year later, reaches 0.68-0.72 AUC.
VISIBLE_STRENGTH = 0.82
#: The same where fines and the housing fund count too: more is seen, so each counts for less.
VISIBLE_STRENGTH_WITH_SCENES = 0.74
#: Weights of what nobody sees.
WEIGHT_STRESS = 0.50
WEIGHT_STABILITY = -0.25
WEIGHT_AGE = -0.012
RISK_NOISE = 0.35
#: Regions differ in level, and in how much late bills tell.
REGION_LEVEL_SPREAD = 0.12
REGION_SLOPE_SPREAD = 0.20
#: Bills later than this may cost the connection, and for what share they do.
CUT_AFTER_DAYS = 35
#: Months of the housing fund beyond which more say nothing more.
MOST_MONTHS_PAID_IN = 60
CUT_SHARE = 0.5


@dataclass(frozen=True)
class ResidentHistory:
    """State matrices of shape (lived months, residents); money in CNY, `kwh` per month, `days_late` after the due date.

    `changed_job` marks the first month with another employer; `back_paid` a contribution made up for later; `cases` the
    services asked for on the platform. `risk` is the log-odds of default within twelve months, without intercept, if the
    month's state lasted.
    """

    employed: np.ndarray
    employer: np.ndarray
    changed_job: np.ndarray
    back_paid: np.ndarray
    base: np.ndarray
    wage: np.ndarray
    kwh: np.ndarray
    days_late: np.ndarray
    auto_debit: np.ndarray
    cut: np.ndarray
    cases: np.ndarray
    stress: np.ndarray
    fines: Fines
    risk: np.ndarray


def live(settings: ProvinceSettings, people: Population, employers: int) -> ResidentHistory:
    """Live through all months; `employers` is how many distinct employers there are to work for."""
    n, lived = len(people), settings.lived
    rng = stream(settings.seed, "residents", "life")
    shape = (lived, n)
    employed, back_paid, changed, cut = (np.zeros(shape, dtype=bool) for _ in range(4))
    employer = np.zeros(shape, dtype=np.int32)
    base, wage, kwh, stress = (np.zeros(shape, dtype=np.float32) for _ in range(4))
    days_late, cases = np.zeros(shape, dtype=np.int16), np.zeros(shape, dtype=np.int8)

    works = rng.random(n) < sigmoid(2.2 + 0.7 * people.stability - 0.3 * people.stress)
    job = rng.integers(0, employers, n)
    pay = np.exp(
        np.log(6_000) + 0.40 * rng.standard_normal(n) + 0.12 * people.stability - 0.10 * people.stress
    )
    drift = 0.004 + 0.004 * rng.standard_normal(n) - 0.002 * people.stress
    home = np.exp(np.log(170) + 0.5 * rng.standard_normal(n))
    auto = rng.random(n) < sigmoid(-1.0 + 0.3 * people.stability)
    active = np.exp(-1.4 + 0.8 * rng.standard_normal(n)) * people.known_to["platform"]
    mood = rng.standard_normal(n)
    for row, month in settings.calendar():
        shock = shocked(settings.first_month, month)
        mood = 0.9 * mood + np.sqrt(1 - 0.9**2) * rng.standard_normal(n)
        # Being out of work strains; what strains also loses work.
        now = 0.8 * people.stress + 0.6 * mood + 0.4 * ~works + SHOCK_STRESS * shock
        draw = rng.random(n)
        leaves = works & (draw < sigmoid(-4.3 + 0.55 * now - 0.55 * people.stability + 0.4 * shock))
        moves = works & ~leaves & (rng.random(n) < sigmoid(-4.5 + 0.35 * now - 0.5 * people.stability))
        returns = ~works & (rng.random(n) < sigmoid(-1.5 + 0.4 * people.stability - 0.2 * now))
        job = np.where(moves | returns, rng.integers(0, employers, n), job)
        pay = pay * np.exp(drift * (month.month == 7) * 12 + 0.004 * rng.standard_normal(n))
        pay = np.where(moves | returns, pay * np.exp(0.10 * rng.standard_normal(n) - 0.04 * now), pay)
        works = (works & ~leaves) | returns
        late_chance = sigmoid(-3.1 + 0.85 * now + 0.4 * ~works) * ~auto
        late = rng.random(n) < late_chance
        days = 1 + rng.exponential(7.0 + 5.0 * np.exp(0.5 * np.clip(now, -2, 3)))
        employed[row], employer[row], changed[row], stress[row] = works, job, moves | returns, now
        back_paid[row] = works & (rng.random(n) < sigmoid(-4.2 + 0.6 * now))
        base[row] = np.clip(pay, 0.6 * AVERAGE_WAGE, 3 * AVERAGE_WAGE)
        wage[row] = pay * np.exp(0.06 * rng.standard_normal(n)) * (1 + (month.month == 1) * rng.random(n))
        kwh[row] = home * electricity_season(month) * np.exp(0.15 * rng.standard_normal(n))
        days_late[row] = np.where(late, np.minimum(days, 180), 0)
        cut[row] = (days_late[row] >= CUT_AFTER_DAYS) & (rng.random(n) < CUT_SHARE)
        cases[row] = np.minimum(rng.poisson(active * 0.6), 5)
    history = ResidentHistory(
        employed,
        employer,
        changed,
        back_paid,
        base,
        wage,
        kwh,
        days_late,
        auto,
        cut,
        cases,
        stress,
        fines.give(settings, stress),
        risk=np.zeros(shape, dtype=np.float32),
    )
    _fill_risk(settings, people, history)
    return history


def _fill_risk(settings: ProvinceSettings, people: Population, life: ResidentHistory) -> None:
    rng = stream(settings.seed, "residents", "risk")
    n = len(people)
    hidden = WEIGHT_AGE * (rng.integers(22, 61, n) - 40) + RISK_NOISE * rng.standard_normal(n)
    hidden += WEIGHT_STABILITY * people.stability
    level = REGION_LEVEL_SPREAD * rng.standard_normal(len(REGION_CODES))[people.region]
    slope = 1 + REGION_SLOPE_SPREAD * rng.standard_normal(len(REGION_CODES))[people.region]
    fund = members(settings, people)
    paid_in = fund.saved.copy()
    for row, _ in settings.calendar():
        paid_in += fund.member & life.employed[row]
        gap = longest_run(~life.employed, row, 12)
        late = trailing_count(life.days_late, row, 12)
        earlier = life.base[max(row - 11, 0)]
        visible = (
            0.09 * np.minimum(gap, 8)
            + 0.18 * np.minimum(trailing_count(life.changed_job, row, 24), 3)
            - 0.35 * np.log(life.base[row] / AVERAGE_WAGE)
            - 0.45 * life.employed[row]
            + 0.08 * np.minimum(trailing_count(life.back_paid, row, 12), 4)
            + slope * 0.16 * np.minimum(late, 6)
            + 0.012 * np.minimum(trailing_max(life.days_late, row, 12), 60)
            + 0.5 * (trailing_count(life.cut, row, 12) > 0)
            + 0.35 * ((gap >= 3) & (late >= 2))
            - 1.0 * np.log(life.base[row] / earlier)
        )
        strength = VISIBLE_STRENGTH
        if settings.city_scenes:
            strength = VISIBLE_STRENGTH_WITH_SCENES
            visible = (
                visible
                + 0.25 * np.minimum(life.fines.unpaid(row, 12), 3)
                + 0.05 * trailing_count(life.fines.traffic, row, 12)
                - fund.member * (0.35 * life.employed[row] + 0.010 * np.minimum(paid_in, MOST_MONTHS_PAID_IN))
            )
        life.risk[row] = level + hidden + WEIGHT_STRESS * life.stress[row] + strength * visible
