"""The list of one policy and month, from what the store knows: scores, consents, suppressions, holdings, contacts, features."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from sqlalchemy import select

from core import audit
from core.clock import Clock
from core.derivation import Partition, record_derivation, require_fresh_content
from core.months import Month, knowledge_cutoff, require_past
from core.purpose import Purpose
from core.settings import Settings
from core.state import LeadList as PublishedList
from core.state import Release, StateDatabase
from core.subject_registry import SubjectRegistry
from core.table_schema import TableSchema
from core.table_store import TableStore
from expectations.receipts import require_receipts
from features.catalogue import FeatureSet
from features.entitlement import Demand, Entitlement, Entitlements
from features.feature_store import usable_features
from features.suppression import OTHER_SCOPES, REFUSES_PROFILING, suppressed
from leads.candidates import assemble
from leads.consent import may_be_approached, not_barred
from leads.keyed_hash import LeadKey
from leads.lead_list import LeadList, build_list
from leads.non_personalised import NON_PERSONALISED
from leads.policy import LeadPolicy
from leads.publication import publish
from leads.talking_points import FOLDER as PHRASES
from leads.talking_points import load_phrases, talking_points
from sources.versions import resolver

#: Arms of assignments whose subjects stand on the list.
APPROACHED = ("treat", NON_PERSONALISED)

#: Share of a firm's approaches that end in a loan where no campaign has been run yet; the middle of what 4-6 % loans keep.
UNTESTED_PROPENSITY = 0.10

#: Stands where the consent number stands on lists whose policy asks for consent at the first contact.
ASK_FIRST = "ask-first"

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
    """A published list: where it lies, rows on it, held out, reasons with counts in order, and rows by arm."""

    list_version: str
    folder: Path
    rows: int
    held_out: int
    waterfall: list[dict[str, object]]
    arms: Mapping[str, int]
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
    entitlements: Entitlements,
    store: TableStore,
    state: StateDatabase,
    settings: Settings,
    registry: SubjectRegistry,
    clock: Clock,
) -> Listed:
    """Build and publish the list of one month, once: a campaign month that has a list keeps it.

    Registers are read as known at the month's cutoff; whom a withdrawal or suppression that is known now takes away isn't
    listed either. GateRefused where the cutoff lies ahead, scores are stale or a register isn't vouched for by a receipt.
    """
    require_past(clock, as_of, settings.cutoff_days)
    campaign = f"{policy.policy}-{as_of}"
    with state.session() as session:
        query = select(PublishedList).where(PublishedList.campaign_id == campaign)
        known = session.scalars(query.order_by(PublishedList.generated_at)).first()
    if known is not None:
        return _listed(known, store, policy, as_of, repeated=True)
    use = entitlements.for_use(as_of, list_day(as_of, settings.cutoff_days))
    schemas = {name: contract.schema() for name, contract in entitlements.contracts.items()}
    knowledge = Knowledge(policy, as_of, store, state, schemas, use, settings.cutoff_days)
    candidates, why_now, model_version = _candidates(
        policy, scores, feature_set, campaign, knowledge, settings, registry
    )
    version = _list_version(policy, as_of, candidates, why_now)
    on = list_day(as_of, settings.cutoff_days)
    leads = build_list(
        candidates, policy, campaign_id=campaign, list_version=version, on=on, key=LeadKey.load(settings.keys),
        model_version=model_version, generated_at=clock.now(), why_now=why_now,
    )  # fmt: skip
    if leads.rows.empty:
        with state.session() as session:
            audit.record(session, clock, "leads", "leads.empty", version, {"candidates": int(registry.size)})
        return Listed(version, settings.out, 0, 0, _steps(leads), leads.arms)
    used = [*knowledge.used, *((t, str(as_of)) for t in (scores.risk, scores.acquisition) if t is not None)]
    _publish(leads, policy, as_of, used, store, state, settings, registry, clock)
    with state.session() as session:
        return _listed(session.get_one(PublishedList, version), store, policy, as_of)


def _publish(
    leads: LeadList,
    policy: LeadPolicy,
    as_of: Month,
    used: list[Partition],
    store: TableStore,
    state: StateDatabase,
    settings: Settings,
    registry: SubjectRegistry,
    clock: Clock,
) -> None:
    """Assignments and vault first, then files and records together; a run that died in between starts over."""
    assignments = pa.Table.from_pandas(leads.assignments, schema=ASSIGNMENTS, preserve_index=False)
    store.replace(lead_table(policy), str(as_of), assignments)
    write_vault(settings.home / "vault" / f"{leads.list_version}.csv", leads, registry)
    record_derivation(state, store, clock, (lead_table(policy), str(as_of)), used, policy.sha256)
    unrecorded = settings.out / "leads" / leads.list_version
    if unrecorded.exists():
        shutil.rmtree(unrecorded)
    with state.session() as session:
        publish(session, clock, "leads", leads, as_of, settings.out / "leads")
        tables = {
            table: store.version(table) for table in sorted({lead_table(policy), *(t for t, _ in used)})
        }
        session.add(
            Release(name=leads.list_version, as_of=str(as_of), tables=tables, released_at=clock.now())
        )


@dataclass
class Knowledge:
    """What the bank knew at the cutoff of a month, register by register; remembers which partitions were read."""

    policy: LeadPolicy
    as_of: Month
    store: TableStore
    state: StateDatabase
    schemas: Mapping[str, TableSchema]
    use: Entitlement
    cutoff_days: int
    used: list[Partition] = field(default_factory=list)

    @property
    def tables(self) -> set[str]:
        """Contracts that the subject kind has rows of."""
        return {
            table.rsplit("/", 1)[1]
            for table in self.store.tables()
            if table.startswith(f"raw/{self.policy.subject}/")
        }

    @property
    def cutoff(self) -> datetime:
        """The knowledge cutoff."""
        return knowledge_cutoff(self.as_of, self.cutoff_days)

    def rows(self, name: str, latest_only: bool = False) -> pa.Table | None:
        """Rows of `raw/<subject>/<name>` up to the as-of month as known at the cutoff, versions resolved over all months
        together; None where nothing was ever delivered. GateRefused where a month isn't vouched for."""
        table = f"raw/{self.policy.subject}/{name}"
        months = [month for month in self.store.partitions(table) if month <= str(self.as_of)]
        months = months[-1:] if latest_only else months
        if not months:
            return None
        require_receipts(self.state, self.store, table, months)
        self.used += [(table, month) for month in months]
        return resolver(self.schemas[name], self.state, table)(self.store.read(table, months), self.cutoff)

    def frame(self, name: str, latest_only: bool = False) -> pd.DataFrame:
        """`rows` as a frame, empty with the contract's columns where nothing was delivered."""
        rows = self.rows(name, latest_only)
        if rows is None:
            rows = self.schemas[name].arrow_with_envelope().empty_table()
        return rows.to_pandas()


def write_vault(file: Path, leads: LeadList, registry: SubjectRegistry) -> None:
    """The hand-over to the bank's vault: lead_id, lead_token and the provider's code, readable by its owner alone.

    Whoever holds a list can't tell who is on it; whoever holds this file can. It never lies beside the list.
    """
    listed = leads.assignments[leads.assignments["arm"].isin(APPROACHED)]
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


def _candidates(
    policy: LeadPolicy,
    scores: Scores,
    feature_set: FeatureSet,
    campaign: str,
    knowledge: Knowledge,
    settings: Settings,
    registry: SubjectRegistry,
) -> tuple[pd.DataFrame, pd.DataFrame | None, str]:
    """Everyone with all that decides about a lead; the sentences; and the versions of the models that scored."""
    store, as_of = knowledge.store, knowledge.as_of
    on, key = list_day(as_of, settings.cutoff_days), LeadKey.load(settings.keys)
    subjects = registry.table().select(["subject_no", "subject_id"]).to_pandas()
    everyone = pd.DataFrame({"subject_no": subjects["subject_no"]})
    risk = _scored(knowledge, scores.risk)
    acquired = (
        everyone.assign(pd=UNTESTED_PROPENSITY, model_version="") if scores.acquisition is None else None
    )
    acquired = _scored(knowledge, str(scores.acquisition)) if acquired is None else acquired
    customers = knowledge.frame("bk_customer", latest_only=True)
    consent, risk_consent = _consents(knowledge, everyone, on)
    if policy.consent_basis == "register":
        branches = customers[["subject_no", "branch_id"]].drop_duplicates("subject_no")
    else:
        branches = everyone.assign(branch_id="unassigned")
    candidates = assemble(
        subjects, policy, campaign_id=campaign, on=on, key=key,
        acquisition=acquired[["subject_no", "pd"]].rename(columns={"pd": "propensity"}),
        marketing_consent=consent, risk_consent=risk_consent,
        suppressions=_suppressions(knowledge, on, OTHER_SCOPES),
        refusing=_suppressions(knowledge, on, [REFUSES_PROFILING])["subject_no"].tolist(),
        branches=branches, risk=risk, holders=_holders(knowledge), contacts=_contacts(knowledge),
        live_leads=_live(store, policy, as_of, on),
    )  # fmt: skip
    versions = sorted({*acquired["model_version"], *risk["model_version"]} - {""})
    return candidates, _why_now(knowledge, feature_set), ",".join(versions)


def _consents(knowledge: Knowledge, everyone: pd.DataFrame, on: date) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Consents to marketing and to risk assessment that subjects may be listed under."""
    policy, use = knowledge.policy, knowledge.use
    knowledge.used += [part for part in (use.earlier or use).registers.used if part not in knowledge.used]
    if policy.consent_basis == "register":
        kinds = policy.consent_kinds
        return may_be_approached(use, Purpose.MARKETING, kinds, on), may_be_approached(
            use, Purpose.RISK, kinds, on
        )
    # Consent is asked for at the first contact; whoever has said no already isn't asked again.
    asked = everyone.assign(consent_id=ASK_FIRST)
    given = [
        asked[not_barred(use, purpose, Demand("none"))[asked["subject_no"].to_numpy()]]
        for purpose in (Purpose.MARKETING, Purpose.RISK)
    ]
    return given[0], given[1]


def _suppressions(knowledge: Knowledge, on: date, scopes: Collection[str]) -> pd.DataFrame:
    """Suppressed under one of these scopes as known at the month's cutoff or as known now."""
    use = knowledge.use
    then = suppressed((use.earlier or use).registers.suppressions, on, scopes)
    now = suppressed(use.registers.suppressions, on, scopes, until=use.until)
    return pd.concat([then, now]).drop_duplicates("subject_no").sort_values("subject_no", ignore_index=True)


def _scored(knowledge: Knowledge, table: str) -> pd.DataFrame:
    made = (table, str(knowledge.as_of))
    require_fresh_content(knowledge.state, knowledge.store, made)
    columns = ["subject_no", "pd", "grade", "model_version"]
    return knowledge.store.read(table, [made[1]], columns=columns).to_pandas()


def _why_now(knowledge: Knowledge, feature_set: FeatureSet) -> pd.DataFrame | None:
    permitted = feature_set.for_purpose(Purpose.MARKETING)
    if not permitted:
        return None
    book = load_phrases(PHRASES / f"{knowledge.policy.subject}.yaml", permitted)
    usable = usable_features(
        knowledge.store, feature_set, [knowledge.as_of], Purpose.MARKETING, knowledge.use
    )
    return talking_points(usable.frame.reset_index(), book)


def _list_version(
    policy: LeadPolicy, as_of: Month, candidates: pd.DataFrame, why_now: pd.DataFrame | None
) -> str:
    """Named after everything that decides who is listed and what is said: policy, candidates, sentences."""
    digest = hashlib.sha256(policy.sha256.encode())
    for frame in (candidates, why_now):
        if frame is not None:
            digest.update(frame.to_csv(index=False).encode())
    return f"{policy.policy}-{as_of}-{digest.hexdigest()[:8]}"


def _holders(knowledge: Knowledge) -> Collection[int]:
    """Subjects with one of the policy's products in the last month, and firms whose outcome the bank knows already."""
    rows = knowledge.frame("bk_account_month", latest_only=True)
    products = rows.loc[rows["product"].isin(knowledge.policy.holder_products), "subject_no"]
    known = (
        knowledge.frame("bank_outcome")["subject_no"]
        if "bank_outcome" in knowledge.tables
        else products.iloc[:0]
    )
    return np.unique(np.concatenate([products, known])).tolist()


def _contacts(knowledge: Knowledge) -> pd.DataFrame:
    rows = knowledge.frame("mk_assignment")
    treated = rows[rows["arm"] == "treat"]
    return treated.groupby("subject_no")["assigned_date"].max().rename("last_contact").reset_index()


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
            listed = rows[rows["arm"].isin(APPROACHED)]
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
        known.list_version,
        Path(known.folder),
        known.rows,
        held_out,
        list(known.waterfall["steps"]),
        dict(known.waterfall.get("arms", {})),
        repeated,
    )


def _steps(leads: LeadList) -> list[dict[str, object]]:
    return [
        dict(zip(leads.waterfall.columns, row, strict=True)) for row in leads.waterfall.to_numpy().tolist()
    ]
