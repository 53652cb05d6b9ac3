"""A proxy before the window closes: who of a vintage was 30 days past due or worse within three months after it.

Assumption, stated with every figure: what is late early is alike to what is bad in twelve months. It usually ranks alike; its
level says nothing about the level of the PD, so it is compared with earlier vintages and never with the PD.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from core.months import Month
from core.purpose import Purpose
from core.state import StateDatabase
from core.subject import SubjectKind
from core.table_schema import TableSchema
from core.table_store import TableStore
from expectations.receipts import require_receipt
from features.entitlement import ENTITLED, Entitlement
from models.definition import AccountDpdLabel
from models.discrimination import auc_interval
from models.labels import BAD, GOOD, account_outcomes
from models.monitoring.backtest import rate_interval
from models.monitoring.measure import Measure, Monitored
from sources.versions import resolver

TABLE = "bk_account_month"
MONTHS, DAYS = 3, 30

#: Earlier monitored months that a vintage is compared with.
BEFORE = 6


def early_outcomes(
    accounts: pd.DataFrame, vintage: Month, rule: AccountDpdLabel, known: Sequence[Month]
) -> pd.DataFrame:
    """subject_no and outcome of a vintage by the model's own label with a shorter window and a lower bar; immature is no good."""
    # Not validated on purpose: the declared label may not have so low a bar, this proxy is no label.
    early = rule.model_copy(
        update={"bad_dpd": DAYS, "indeterminate_dpd": DAYS, "window_months": MONTHS, "bad_classes": rule.bad_classes}
    )  # fmt: skip
    table = account_outcomes(accounts, vintage, early, known).table
    return table[table["outcome"].isin([GOOD, BAD])]


def early_delinquency(
    scores: pd.DataFrame, outcomes: pd.DataFrame, vintage: Month, earlier: Sequence[Monitored]
) -> list[Measure]:
    """`early_delinquency` (share, Jeffreys 95 %), `early_auc` of the pd given then, and `early_delinquency_rise`: how far even
    the lower end lies above the earlier months' share, 0.5 = half as much again. `scores`: subject_no, pd of the vintage."""
    both, about = scores.merge(outcomes, on="subject_no"), str(vintage)
    late = (both["outcome"] == BAD).to_numpy()
    n, hits = len(both), int(late.sum())
    if not n:
        return [Measure(name, None, about=about) for name in ("early_delinquency", "early_delinquency_rise")]
    low, high = rate_interval(hits, n)
    before = [told for month in earlier[-BEFORE:] if (told := month.one("early_delinquency")) and told.events]
    pooled = (
        sum(told.events or 0 for told in before) / sum(told.n for told in before) if len(before) >= 3 else 0.0
    )
    found = [
        Measure("early_delinquency", hits / n, n, about, low=low, high=high, events=hits),
        Measure(
            "early_delinquency_rise", low / pooled - 1.0 if pooled else None, n, about, pooled or None, events=hits
        ),
    ]  # fmt: skip
    if min(hits, n - hits) >= 2:
        ranks = auc_interval(late.astype(np.int8), both["pd"].to_numpy())
        found.append(Measure("early_auc", ranks.auc, n, about, low=ranks.low, high=ranks.high, events=hits))
    return found


def known_accounts(
    store: TableStore,
    state: StateDatabase,
    schema: TableSchema,
    kind: SubjectKind,
    vintage: Month,
    cutoff: pd.Timestamp,
    use: Entitlement,
) -> tuple[pd.DataFrame, list[Month]]:
    """Account months from a year before the vintage to `MONTHS` after it as known at `cutoff`, of subjects who may be used, and
    the months delivered. GateRefused for one that no receipt vouches for."""
    raw, last = f"raw/{kind}/{TABLE}", vintage.plus(MONTHS)
    periods = [period for period in store.partitions(raw) if vintage.plus(-12) <= Month.parse(period) <= last]
    pieces = []
    for period in periods:
        require_receipt(state, store, raw, period)
        rows = resolver(schema, state, raw, period)(store.read(raw, [period]), cutoff.to_pydatetime())
        pieces.append(rows.to_pandas())
    if not pieces:
        return pd.DataFrame(), []
    accounts = pd.concat(pieces, ignore_index=True)
    may = use.reasons(Purpose.RISK, TABLE)[accounts["subject_no"].to_numpy(dtype=np.int64)] == ENTITLED
    return accounts[may], [Month.parse(period) for period in periods]
