"""The list of one policy and month, from what the store knows: scores, consents, suppressions, holdings, contacts, features."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from core import audit
from core.clock import Clock
from core.derivation import Partition, record_derivation, require_fresh_content
from core.months import Month, knowledge_cutoff
from core.purpose import Purpose
from core.settings import Settings
from core.state import LeadList as PublishedList
from core.state import Release, StateDatabase
from core.subject_registry import SubjectRegistry
from core.table_store import TableStore
from expectations.receipts import require_receipts
from features.catalogue import FeatureSet
from features.feature_store import read_features
from leads.candidates import assemble
from leads.consent import consented
from leads.eligibility import (
    Rule,
    below_value,
    in_campaign_holdout,
    in_global_holdout,
    product_holder,
    unscored,
    worse_grade,
)
from leads.keyed_hash import LeadKey
from leads.lead_list import LeadList, build_list
from leads.policy import LeadPolicy
from leads.publication import publish
from leads.suppression import suppressed
from leads.talking_points import FOLDER as PHRASES
from leads.talking_points import load_phrases, talking_points

#: Share of a firm's approaches that end in a loan where no campaign has been run yet; the middle of what 4-6 % loans keep.
UNTESTED_PROPENSITY = 0.10

ASSIGNMENTS = pa.schema(
    [
        ("subject_no", pa.int32()),
        ("arm", pa.string()),
        ("prob", pa.float64()),
        ("assigned_date", pa.date32()),
        ("lead_id", pa.string()),
        ("expires_on", pa.date32()),
    ]
)


@dataclass(frozen=True)
class Listed:
    """A published list: where it lies, rows on it and on the waiting list, held out, and reasons with counts in order."""

    list_version: str
    folder: Path
    rows: int
    held_out: int
    waterfall: list[dict[str, object]]
    repeated: bool = False


@dataclass(frozen=True)
class Scores:
    """Score tables that a list stands on; acquisition is None where no campaign has been run yet."""

    risk: str
    acquisition: str | None


def lead_table(policy: LeadPolicy) -> str:
    """Table-store name of a policy's assignments (who was listed, waits, or is held out); internal, never exported."""
    return f"leads/{policy.subject}/{policy.policy}"


def list_monthly(
    policy: LeadPolicy,
    scores: Scores,
    feature_set: FeatureSet,
    as_of: Month,
    *,
    store: TableStore,
    state: StateDatabase,
    settings: Settings,
    registry: SubjectRegistry,
    clock: Clock,
) -> Listed:
    """Build and publish the list of one month. The same inputs give the same list version, which is published once.

    GateRefused where scores are stale or a register isn't vouched for by a receipt.
    """
    used = _used(policy, scores, as_of, store)
    for made in used:
        if made[0].startswith("scores/"):
            require_fresh_content(state, store, made)
    for table in sorted({table for table, _ in used if table.startswith("raw/")}):
        require_receipts(state, store, table, [period for name, period in used if name == table])
    version = _list_version(policy, as_of, used, store)
    with state.session() as session:
        known = session.get(PublishedList, version)
    if known is not None:
        return _listed(known, store, policy, as_of, repeated=True)
    leads = _build(policy, scores, feature_set, as_of, version, store, settings, registry, clock)
    assignments = pa.Table.from_pandas(leads.assignments, schema=ASSIGNMENTS, preserve_index=False)
    if leads.rows.empty:
        with state.session() as session:
            audit.record(session, clock, "leads", "leads.empty", version, {"candidates": int(registry.size)})
        return Listed(version, settings.out, 0, 0, _steps(leads))
    store.replace(lead_table(policy), str(as_of), assignments)
    write_vault(settings.home / "vault" / f"{version}.csv", leads, registry)
    record_derivation(state, store, clock, (lead_table(policy), str(as_of)), used, policy.sha256)
    with state.session() as session:
        publish(session, clock, "leads", leads, as_of, settings.out / "leads")
        tables = {table: store.version(table) for table, _ in used} | {
            lead_table(policy): store.version(lead_table(policy))
        }
        session.add(Release(name=version, as_of=str(as_of), tables=tables, released_at=clock.now()))
    with state.session() as session:
        return _listed(session.get_one(PublishedList, version), store, policy, as_of)


def write_vault(file: Path, leads: LeadList, registry: SubjectRegistry) -> None:
    """The hand-over to the bank's vault: lead_id, lead_token and the provider's code, readable by its owner alone.

    Whoever holds a list can't tell who is on it; whoever holds this file can. It never lies beside the list.
    """
    listed = leads.assignments[leads.assignments["arm"] == "treat"]
    codes = registry.provider_codes(listed["subject_no"].to_numpy(dtype=np.int32)).to_pylist()
    code_of = dict(zip(listed["lead_id"], codes, strict=True))
    rows = leads.rows[["lead_id", "lead_token"]].assign(provider_code=leads.rows["lead_id"].map(code_of))
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = file.with_suffix(".part")
    part.touch(mode=0o600)
    rows.to_csv(part, index=False)
    part.replace(file)


def list_day(as_of: Month, cutoff_days: int) -> date:
    """The day a list of this month is for: the day after the knowledge cutoff."""
    return as_of.last_day + timedelta(days=cutoff_days + 1)


def _build(
    policy: LeadPolicy,
    scores: Scores,
    feature_set: FeatureSet,
    as_of: Month,
    version: str,
    store: TableStore,
    settings: Settings,
    registry: SubjectRegistry,
    clock: Clock,
) -> LeadList:
    on, cutoff = list_day(as_of, settings.cutoff_days), knowledge_cutoff(as_of, settings.cutoff_days)
    key = LeadKey.load(settings.keys)
    campaign = f"{policy.policy}-{as_of}"
    subjects = registry.table().select(["subject_no", "subject_id"]).to_pandas()
    risk = store.read(
        scores.risk, [str(as_of)], columns=["subject_no", "pd", "grade", "model_version"]
    ).to_pandas()
    everyone = pd.DataFrame({"subject_no": subjects["subject_no"]})
    rules: list[Rule] | None = None
    if scores.acquisition is None:
        # A feed under the firm's own query authorisation (see its contract) has no consent register and no campaigns yet:
        # whoever has no outcome with the bank is a prospect, and the list says that consent to contact comes first.
        acquisition = everyone.assign(propensity=UNTESTED_PROPENSITY)
        holders = (
            store.read(f"raw/{policy.subject}/bank_outcome", columns=["subject_no"]).column(0).to_pylist()
        )
        consent = everyone.assign(consent_id="ask-first")
        risk_consent, branches = consent, everyone.assign(branch_id="unassigned")
        suppressions, contacts = everyone.iloc[:0], None
        gate = [worse_grade(policy.risk_gate.worst_grade)] if policy.risk_gate is not None else []
        value = [below_value(policy.minimum_value_amt)] if policy.minimum_value_amt is not None else []
        rules = [product_holder(), unscored(), *gate, *value, in_global_holdout(), in_campaign_holdout()]
    else:
        columns = ["subject_no", "pd", "model_version"]
        propensity = store.read(scores.acquisition, [str(as_of)], columns=columns).to_pandas()
        acquisition = propensity[["subject_no", "pd"]].rename(columns={"pd": "propensity"})
        register = _register(store, policy, "consent_register", as_of)
        consent = consented(register, Purpose.MARKETING, on, cutoff, policy.consent_kinds)
        risk_consent = consented(register, Purpose.RISK, on, cutoff, policy.consent_kinds)
        suppressions = suppressed(_register(store, policy, "suppression", as_of), on, cutoff)
        branches = _branches(store, policy, as_of)
        contacts = _contacts(store, policy, as_of)
        holders = _holders(store, policy, as_of)
    candidates = assemble(
        subjects, policy, campaign_id=campaign, on=on, key=key, acquisition=acquisition, marketing_consent=consent,
        suppressions=suppressions, branches=branches, risk=risk, risk_consent=risk_consent, holders=holders,
        contacts=contacts, live_leads=_live(store, policy, as_of, on),
    )  # fmt: skip
    acquired = pd.Series(dtype=str) if scores.acquisition is None else propensity["model_version"]
    model_version = ",".join(sorted({*acquired, *risk["model_version"]}))
    return build_list(
        candidates, policy, campaign_id=campaign, list_version=version, on=on, key=key, model_version=model_version,
        generated_at=clock.now(), why_now=_why_now(store, policy, feature_set, as_of), rules=rules,
    )  # fmt: skip


def _why_now(
    store: TableStore, policy: LeadPolicy, feature_set: FeatureSet, as_of: Month
) -> pd.DataFrame | None:
    permitted = feature_set.for_purpose(Purpose.MARKETING)
    if not permitted:
        return None
    book = load_phrases(PHRASES / f"{policy.subject}.yaml", permitted)
    return talking_points(read_features(store, feature_set, [as_of]).reset_index(), book)


def _used(policy: LeadPolicy, scores: Scores, as_of: Month, store: TableStore) -> list[Partition]:
    """Every partition that the list depends on."""
    used = [(table, str(as_of)) for table in (scores.risk, scores.acquisition) if table is not None]
    registers = ["bank_outcome"]
    if scores.acquisition is not None:
        registers = ["consent_register", "suppression", "bk_customer", "bk_account_month", "mk_assignment"]
    for name in registers:
        table = f"raw/{policy.subject}/{name}"
        months = [month for month in store.partitions(table) if month <= str(as_of)]
        used += [
            (table, month)
            for month in (months[-1:] if name in ("bk_customer", "bk_account_month") else months)
        ]
    return used


def _list_version(policy: LeadPolicy, as_of: Month, used: list[Partition], store: TableStore) -> str:
    body = "\n".join([policy.sha256, *(f"{t}/{p}={store.content_hash(t, p)}" for t, p in used)])
    return f"{policy.policy}-{as_of}-{hashlib.sha256(body.encode()).hexdigest()[:8]}"


def _register(store: TableStore, policy: LeadPolicy, name: str, as_of: Month) -> pa.Table:
    table = f"raw/{policy.subject}/{name}"
    return store.read(table, [month for month in store.partitions(table) if month <= str(as_of)])


def _branches(store: TableStore, policy: LeadPolicy, as_of: Month) -> pd.DataFrame:
    rows = _latest(store, policy, "bk_customer", as_of)[["subject_no", "branch_id"]]
    return rows.drop_duplicates("subject_no")


def _holders(store: TableStore, policy: LeadPolicy, as_of: Month) -> Collection[int]:
    rows = _latest(store, policy, "bk_account_month", as_of)
    return np.unique(rows.loc[rows["product"].isin(policy.holder_products), "subject_no"]).tolist()


def _latest(store: TableStore, policy: LeadPolicy, name: str, as_of: Month) -> pd.DataFrame:
    table = f"raw/{policy.subject}/{name}"
    months = [month for month in store.partitions(table) if month <= str(as_of)]
    return store.read(table, months[-1:]).to_pandas()


def _contacts(store: TableStore, policy: LeadPolicy, as_of: Month) -> pd.DataFrame:
    rows = _register(store, policy, "mk_assignment", as_of).to_pandas()
    treated = rows[rows["arm"] == "treat"]
    last = treated.groupby("subject_no")["assigned_date"].max().rename("last_contact")
    return last.reset_index()


def _live(store: TableStore, policy: LeadPolicy, as_of: Month, on: date) -> Collection[int]:
    """Subjects on any other list of the kind that hasn't expired on the day."""
    live: set[int] = set()
    for table in store.tables():
        if not table.startswith(f"leads/{policy.subject}/"):
            continue
        months = [
            m
            for m in store.partitions(table)
            if (table, m) != (lead_table(policy), str(as_of)) and m <= str(as_of)
        ]
        if months:
            rows = store.read(table, months, columns=["subject_no", "arm", "expires_on"]).to_pandas()
            listed = rows[rows["arm"] == "treat"]
            live |= set(
                listed.loc[pd.to_datetime(listed["expires_on"]) >= pd.Timestamp(on), "subject_no"].tolist()
            )
    return live


def _listed(
    known: PublishedList, store: TableStore, policy: LeadPolicy, as_of: Month, *, repeated: bool = False
) -> Listed:
    arms = store.read(lead_table(policy), [str(as_of)], columns=["arm"]).column("arm").to_pylist()
    held_out = sum(arm in ("control", "control_below_cut", "global_holdout") for arm in arms)
    return Listed(
        known.list_version, Path(known.folder), known.rows, held_out, list(known.waterfall["steps"]), repeated
    )


def _steps(leads: LeadList) -> list[dict[str, object]]:
    return [
        dict(zip(leads.waterfall.columns, row, strict=True)) for row in leads.waterfall.to_numpy().tolist()
    ]
