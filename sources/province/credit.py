"""Loans and how they are repaid: who borrows, when default begins, and days past due at every month end.

Default is a monthly hazard that follows the risk equation of the same month, so that it can be foreseen only from histories.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.subject import SubjectKind
from sources.province.population import Population
from sources.province.random_streams import sigmoid, stream
from sources.province.settings import BURN_IN_MONTHS, ProvinceSettings

#: Share of borrowers who become bad within twelve months (domain.md 4.1: 90+ days; 60+ for enterprises).
BAD_SHARE = {SubjectKind.RESIDENT: 0.025, SubjectKind.ENTERPRISE: 0.035}
#: Some accounts are repaid before they would have gone bad; the share is solved that much higher.
REPAID_FIRST = 1.06
#: Months after the first missed payment until an account counts as bad (90+ days; 60+ for enterprises).
MONTHS_TO_BAD = {SubjectKind.RESIDENT: 3, SubjectKind.ENTERPRISE: 2}
#: Approval prefers the safer: correlation-like weight of risk beside pure chance.
APPROVAL_ON_RISK = 0.35
#: Share of accounts that are open before the first delivered month.
OPEN_BEFORE = 0.80
CLOSE_A_MONTH = 0.006
#: No default in an account's first months.
MONTHS_BEFORE_DEFAULT = 2
WRITE_OFF_DPD = 180
NEVER = 9_999
#: Borrowers that the intercept is solved with.
SOLVE_WITH_BORROWERS = 4_000
#: Share of accounts a month that fall briefly behind and pay up, and the share of those that pass 30 days.
BENIGN_A_MONTH = 0.02
BENIGN_PAST_30 = 0.15
#: Days past due at the end of the month of the first missed payment.
FIRST_DPD = (5, 27)


@dataclass(frozen=True)
class Accounts:
    """One account per borrower. Arrays of shape (accounts,) unless said; months are rows of the state matrices.

    `default_row` is the month of the first payment missed for good (NEVER: none), `close_row` the first month without a row
    after repayment. `dpd` and `worst_dpd` have shape (lived, accounts), days; `reported` tells where a row exists;
    `write_off_row` is the terminal one. `intercept` turns `risk` into log-odds; `limit` in CNY.
    """

    kind: SubjectKind
    subject: np.ndarray
    product: np.ndarray
    open_row: np.ndarray
    close_row: np.ndarray
    default_row: np.ndarray
    write_off_row: np.ndarray
    dpd: np.ndarray
    worst_dpd: np.ndarray
    reported: np.ndarray
    limit: np.ndarray
    intercept: float


def lend(settings: ProvinceSettings, people: Population, risk: np.ndarray) -> Accounts:
    """Choose borrowers, solve the intercept, and let defaults happen. `risk` has shape (lived, subjects)."""
    rng = stream(settings.seed, "credit", str(people.kind))
    subject = _borrowers(rng, risk[BURN_IN_MONTHS - 1], settings.borrower_share)
    n, lived = len(subject), settings.lived
    open_row = np.where(
        rng.random(n) < OPEN_BEFORE,
        -rng.integers(0, 36, n),
        BURN_IN_MONTHS + rng.integers(0, settings.months, n),
    )
    lasts = rng.geometric(CLOSE_A_MONTH, n)
    close_row = np.maximum(open_row, BURN_IN_MONTHS) + 3 + lasts
    own = risk[:, subject]
    intercept = _intercept(own[BURN_IN_MONTHS:], people.kind)
    default_row = _default_rows(rng, own + intercept, open_row, people.kind)
    close_row = np.where(default_row < close_row, NEVER, close_row)
    late, worst = _benign(rng, lived, n)
    first = rng.integers(FIRST_DPD[0], FIRST_DPD[1] + 1, n)
    dpd, worst_dpd, write_off = _days_past_due(late, worst, default_row, first)
    rows = np.arange(lived)[:, None]
    reported = (rows >= open_row) & (rows < close_row) & (rows <= write_off)
    limit = np.round(
        np.exp(rng.normal(np.log(60_000 if people.kind is SubjectKind.RESIDENT else 600_000), 0.6, n)), -3
    )
    product = (rng.random(n) < 0.3).astype(np.int8)
    return Accounts(
        people.kind,
        subject,
        product,
        open_row,
        close_row,
        default_row,
        write_off,
        dpd,
        worst_dpd,
        reported,
        limit,
        intercept,
    )


def yearly_default(risk: np.ndarray, intercept: float) -> np.ndarray:
    """True probability of becoming bad within twelve months if the state behind `risk` lasted."""
    return sigmoid(np.asarray(risk, dtype=np.float64) + intercept)


def _borrowers(rng: np.random.Generator, risk: np.ndarray, share: float) -> np.ndarray:
    """Indexes of the approved, ascending: safer than average, but chance decides more."""
    spread = risk.std() if len(risk) and risk.std() > 0 else 1.0
    merit = -APPROVAL_ON_RISK * (risk - risk.mean()) / spread if len(risk) else risk
    order = np.argsort(-(merit + rng.standard_normal(len(risk))), kind="stable")
    return np.sort(order[: round(share * len(risk))])


def _hazard(log_odds: np.ndarray, kind: SubjectKind) -> np.ndarray:
    """Monthly hazard whose effect over the months that can still become bad in a year is the yearly probability."""
    chances = 13 - MONTHS_TO_BAD[kind]
    return -np.expm1(-np.logaddexp(0, log_odds) / chances)


def _intercept(risk: np.ndarray, kind: SubjectKind) -> float:
    """Bisect for the intercept with which BAD_SHARE of those still good become bad within a year, on average over months.

    `risk` has shape (months, borrowers); a few thousand borrowers are enough. A run of less than a year is solved for the
    part of the share that falls into it.
    """
    sample = risk[:, :SOLVE_WITH_BORROWERS].astype(np.float64)
    chances = 13 - MONTHS_TO_BAD[kind]
    ahead = min(chances, len(sample))
    low, high = -20.0, 10.0
    for _ in range(40 if sample.size else 0):
        middle = (low + high) / 2
        good = np.cumprod(1 - _hazard(sample + middle, kind), axis=0)
        good = np.concatenate([np.ones((1, sample.shape[1])), good])
        share = 1 - good[ahead:].sum() / good[: len(good) - ahead].sum()
        low, high = (
            (middle, high) if share < REPAID_FIRST * BAD_SHARE[kind] * ahead / chances else (low, middle)
        )
    return (low + high) / 2


def _default_rows(
    rng: np.random.Generator, log_odds: np.ndarray, open_row: np.ndarray, kind: SubjectKind
) -> np.ndarray:
    default_row = np.full(log_odds.shape[1], NEVER)
    for row in range(BURN_IN_MONTHS, len(log_odds)):
        hit = rng.random(log_odds.shape[1]) < _hazard(log_odds[row], kind)
        can = (default_row == NEVER) & (row >= open_row + MONTHS_BEFORE_DEFAULT)
        default_row = np.where(hit & can, row, default_row)
    return default_row


def _benign(rng: np.random.Generator, lived: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Days past due of those who only forget: at month end and at worst within the month, both below 60."""
    dpd, worst = np.zeros((lived, n), np.int16), np.zeros((lived, n), np.int16)
    goes_on = np.zeros(n, dtype=np.int64)
    for row in range(lived):
        days = rng.integers(1, 28, n)
        slips = (rng.random(n) < BENIGN_A_MONTH) & (goes_on == 0)
        longer = slips & (rng.random(n) < BENIGN_PAST_30)
        dpd[row] = np.where(goes_on > 0, goes_on + 30, np.where(slips & (longer | (days > 9)), days, 0))
        # A slip that is paid before month end shows only in the month's worst day.
        worst[row] = np.where(goes_on > 0, goes_on + 31, np.where(slips, days, 0))
        goes_on = np.where(longer, days, 0)
    return dpd, worst


def _days_past_due(
    late: np.ndarray, worst: np.ndarray, default_row: np.ndarray, first: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Overlay the way from the first missed payment to write-off on the benign lateness."""
    since = np.arange(len(late))[:, None] - default_row
    way = (first + 30 * since).astype(np.int16)
    dpd = np.where(since >= 0, way, late)
    write_off = default_row + -(-(WRITE_OFF_DPD - first) // 30)
    return (
        dpd,
        np.where(since >= 0, way, np.maximum(worst, dpd)),
        np.where(default_row == NEVER, NEVER, write_off),
    )
