"""What the time of year and the economy do to everyone alike."""

from __future__ import annotations

import numpy as np

from core.months import Month

#: Row of the mild macro shock, counted from the first delivered month, and how long it lasts.
SHOCK_AFTER_MONTHS = 9
SHOCK_MONTHS = 3
#: Rise of everyone's stress (standard deviations) while it lasts.
SHOCK_STRESS = 0.20

#: Electricity by calendar month against the yearly mean: hot summers, cold Januaries.
_ELECTRICITY = np.array([1.20, 1.10, 0.92, 0.80, 0.82, 0.98, 1.30, 1.36, 1.08, 0.82, 0.78, 0.94])
#: Firms' sales by calendar month: Spring Festival dip, year-end peak.
_SALES = np.array([0.98, 0.72, 1.02, 0.99, 1.00, 1.05, 0.97, 0.98, 1.03, 0.99, 1.04, 1.23])


def shocked(first_month: Month, month: Month) -> bool:
    """Whether the macro shock is on in this month."""
    return 0 <= month.index - first_month.index - SHOCK_AFTER_MONTHS < SHOCK_MONTHS


def electricity_season(month: Month) -> float:
    """Factor on consumption."""
    return float(_ELECTRICITY[month.month - 1])


def sales_season(month: Month) -> float:
    """Factor on a firm's sales."""
    return float(_SALES[month.month - 1])
