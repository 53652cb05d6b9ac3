"""What approaching a subject is expected to be worth, in CNY, and the bands that lists show instead of the numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from leads.policy import BANDS, LeadPolicy


def expected_value(candidates: pd.DataFrame, policy: LeadPolicy) -> np.ndarray:
    """Expected value of one approach per candidate, float64 CNY of shape (candidates,); NaN where a score is missing.

        value = p x (margin - PD x LGD x exposure) - cost of contact

    p is the column `propensity` or `uplift`, as the policy's basis says. The expected loss stands inside the bracket because
    a loan that isn't taken can't be lost: taken off every contact, it would exceed any margin of a campaign in which one of
    thirty accepts. PD is the subject's own only where the policy has a risk gate and the subject consented to the risk
    purpose (column `risk_consent`); otherwise it is the policy's portfolio figure.
    """
    numbers = policy.value
    p = candidates[policy.basis].to_numpy(dtype=np.float64, na_value=np.nan)
    if policy.risk_gate is None:
        pd_12m = np.full(len(candidates), numbers.portfolio_pd)
    else:
        own = candidates["pd"].to_numpy(dtype=np.float64, na_value=np.nan)
        pd_12m = np.where(candidates["risk_consent"].to_numpy(bool), own, numbers.portfolio_pd)
    loss = pd_12m * numbers.lgd * numbers.exposure_amt
    return np.asarray(p * (numbers.margin_amt - loss) - numbers.contact_cost_amt, dtype=np.float64)


def bands(values: np.ndarray, limits: Sequence[float]) -> np.ndarray:
    """Letters A (best) to E of shape (values,). `limits`: the lower limits of A to D, falling; a limit belongs to the better
    band. Fixed limits rather than quantiles: one subject's withdrawal must not move anybody else's band."""
    if np.isnan(values).any():
        raise ValueError("a missing value has no band; leave unscored subjects out first")
    position = np.searchsorted(np.negative(limits), np.negative(values), side="left")
    return np.array(list(BANDS))[position]
