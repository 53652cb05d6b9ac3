"""Keep outcomes of as-of months in the store: `labels/<subject>/<label kind>`, one row per subject.

An outcome is what was known when its performance window closed: T + window, at that month's knowledge cutoff. Later
corrections of account records don't rewrite history.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from core.clock import Clock
from core.derivation import record_derivation
from core.errors import GsceneError
from core.months import Month, knowledge_cutoff
from core.purpose import Purpose
from core.state import StateDatabase
from core.subject import SubjectKind
from core.table_schema import TableSchema
from core.table_store import TableStore
from expectations.receipts import require_receipt
from features.entitlement import ENTITLED, Entitlement, Entitlements, counts
from models.definition import AccountDpdLabel, BankOutcomeLabel, CampaignResponseLabel, Label
from models.labels import Outcomes, account_outcomes, bank_outcomes, campaign_outcomes
from sources.versions import resolver

SCHEMA = pa.schema([("subject_no", pa.int32()), ("outcome", pa.string())])


def label_table(kind: SubjectKind, label: Label) -> str:
    """Table-store name of the outcomes."""
    return f"labels/{kind}/{label.kind}"


def label_recipe(label: Label) -> str:
    """Hash of the label's definition: outcomes made by another one are stale."""
    return label.sha256


def source_tables(label: Label) -> tuple[str, ...]:
    """Contracts whose rows decide the outcome."""
    if isinstance(label, AccountDpdLabel):
        return ("bk_account_month",)
    return ("bank_outcome",) if isinstance(label, BankOutcomeLabel) else ("mk_assignment", "mk_response")


def build_labels(
    store: TableStore,
    state: StateDatabase,
    clock: Clock,
    kind: SubjectKind,
    label: Label,
    as_of: Month,
    entitlements: Entitlements,
) -> Outcomes:
    """Compute and store the outcomes of one as-of month; GateRefused where no receipt vouches for a month of the sources.

    Outcomes of subjects whose records of a source may not be used now for the label's purpose - the bank's own records need no
    consent, but a withdrawn purpose bars them too - are left out and counted among the steps.
    """
    cutoff_days = entitlements.cutoff_days
    schemas = {name: contract.schema() for name, contract in entitlements.contracts.items()}
    last = as_of.plus(_window(label))
    frames, inputs = {}, []
    for table in source_tables(label):
        name = f"raw/{kind}/{table}"
        first = as_of if isinstance(label, BankOutcomeLabel) else as_of.plus(-1)
        if isinstance(label, AccountDpdLabel):
            first = as_of.plus(-12)
        periods = [p for p in store.partitions(name) if first <= Month.parse(p) <= last]
        for period in periods:
            require_receipt(state, store, name, period)
        inputs += [(name, period) for period in periods]
        frames[table] = _known(store, state, schemas[table], name, periods, last, cutoff_days)
    outcomes = _usable(_outcomes(label, frames, as_of, last, cutoff_days), label, entitlements.for_use(last))
    rows = outcomes.table.sort_values("subject_no")
    store.replace(
        label_table(kind, label),
        str(as_of),
        pa.Table.from_pandas(rows[["subject_no", "outcome"]], schema=SCHEMA, preserve_index=False),
    )
    record_derivation(
        state, store, clock, (label_table(kind, label), str(as_of)), inputs, label_recipe(label)
    )
    return outcomes


def purpose_of(label: Label) -> Purpose:
    """What an outcome is looked at for: responses for marketing, everything else for risk."""
    return Purpose.MARKETING if isinstance(label, CampaignResponseLabel) else Purpose.RISK


def _usable(outcomes: Outcomes, label: Label, use: Entitlement) -> Outcomes:
    numbers = outcomes.table["subject_no"].to_numpy(dtype="int64")
    reasons = np.zeros(len(numbers), dtype=np.int8)
    for table in source_tables(label):
        reasons = np.maximum(reasons, use.reasons(purpose_of(label), table)[numbers])
    left_out = {f"left out: {reason}": subjects for reason, subjects in counts(reasons).items()}
    return Outcomes(outcomes.table[reasons == ENTITLED], outcomes.steps | left_out)


def read_labels(store: TableStore, kind: SubjectKind, label: Label, as_of: list[Month]) -> pd.DataFrame:
    """Stored outcomes: subject_no, as_of, outcome. GsceneError names an as-of month that has none."""
    table = label_table(kind, label)
    missing = sorted({str(month) for month in as_of} - set(store.partitions(table)))
    if missing:
        raise GsceneError(
            f"there are no outcomes in {table} for {', '.join(missing)}.", f"Run the asset {table} first."
        )
    return store.read(table, [str(month) for month in as_of]).to_pandas().rename(columns={"period": "as_of"})


def _window(label: Label) -> int:
    if isinstance(label, AccountDpdLabel):
        return label.window_months
    return 2 + label.response_days // 31 if isinstance(label, CampaignResponseLabel) else 0


def _known(
    store: TableStore,
    state: StateDatabase,
    schema: TableSchema,
    table: str,
    periods: list[str],
    last: Month,
    cutoff_days: int,
) -> pd.DataFrame:
    cutoff = knowledge_cutoff(last, cutoff_days)
    pieces = [
        resolver(schema, state, table, period)(store.read(table, [period]), cutoff).to_pandas()
        for period in periods
    ]
    if not pieces:
        columns = ["subject_no", *(c.name for c in schema.columns if c.name != "subject_id"), "period"]
        return pd.DataFrame(columns=list(dict.fromkeys(columns)))
    return pd.concat(pieces, ignore_index=True)


def _outcomes(
    label: Label, frames: dict[str, pd.DataFrame], as_of: Month, last: Month, cutoff_days: int
) -> Outcomes:
    if isinstance(label, AccountDpdLabel):
        accounts = frames["bk_account_month"]
        known = [Month.parse(str(period)) for period in accounts["period"].unique()]
        return account_outcomes(accounts, as_of, label, known)
    if isinstance(label, BankOutcomeLabel):
        return bank_outcomes(frames["bank_outcome"], as_of)
    assert isinstance(label, CampaignResponseLabel)
    # Responses of the days between month end and cutoff lie in the next month's file, which isn't read.
    known_until = last.last_day
    found = campaign_outcomes(frames["mk_assignment"], frames["mk_response"], label, known_until, cutoff_days)
    table = found.table[found.table["as_of"] == str(as_of)]
    return Outcomes(table, found.steps | {"of this as-of month": len(table)})
