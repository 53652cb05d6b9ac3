"""Before anything is touched: which leads on published lists and which models go back to the subject. Reads only; what is found
is written down, because the tables that tell it are about to lose the subject.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import delete, select

from core.state import LeadList, ModelMark, ModelVersion, Recall
from leads.monthly_list import APPROACHED
from models.monthly_labels import label_table
from rights.installation import Installation
from rights.subject import KnownSubject, rows_about


@dataclass(frozen=True)
class ListedLead:
    """A lead of the subject on a published list."""

    list_version: str
    campaign_id: str
    lead_id: str


def listed_leads(home: Installation, subject: KnownSubject) -> list[ListedLead]:
    """Every lead of the subject on any published list, oldest first."""
    found = []
    with home.state.session() as session:
        versions = {
            entry.campaign_id: entry.list_version
            for entry in session.scalars(select(LeadList).order_by(LeadList.generated_at))
        }
    for table in home.store.tables():
        number = subject.number_in(table)
        if not table.startswith("leads/") or number is None:
            continue
        for file in home.store.files(table):
            campaign = f"{table.rsplit('/', 1)[1]}-{file.parent.name.split('=', 1)[1]}"
            rows = rows_about(home.store.open(file), number)
            treated = rows.filter(pc.is_in(rows.column("arm"), value_set=pa.array(APPROACHED)))
            if campaign in versions:
                found += [
                    ListedLead(versions[campaign], campaign, lead)
                    for lead in treated.column("lead_id").to_pylist()
                ]
    return sorted(found, key=lambda lead: lead.list_version)


def trained_on(home: Installation, subject: KnownSubject) -> dict[int, int]:
    """Model versions by number whose training may have seen the subject, and in how many as-of months: those with features and
    an outcome up to the training month."""
    found: dict[int, int] = {}
    with home.state.session() as session:
        versions = list(session.scalars(select(ModelVersion)))
    months: dict[str, set[str]] = {}
    for version in versions:
        model = home.models.get(version.name)
        if model is None or model.subject is not subject.kind:
            continue
        tables = (home.feature_sets[model.feature_set].table, label_table(model.subject, model.label))
        for table in tables:
            if table not in months:
                months[table] = _months_with(home, subject, table)
        seen = {m for m in months[tables[0]] & months[tables[1]] if m <= version.training_month}
        if seen:
            found[version.model_no] = len(seen)
    return found


def write_down(
    home: Installation, subject: KnownSubject, erasure_no: int, retrain_by: datetime
) -> dict[str, int]:
    """Keep recalls and model marks of an erasure; doing it again replaces them."""
    leads, models = listed_leads(home, subject), trained_on(home, subject)
    with home.state.session() as session:
        session.execute(delete(Recall).where(Recall.erasure_no == erasure_no))
        session.execute(delete(ModelMark).where(ModelMark.erasure_no == erasure_no))
        for lead in leads:
            session.add(
                Recall(
                    erasure_no=erasure_no,
                    list_version=lead.list_version,
                    lead_id=lead.lead_id,
                    issued_at=home.clock.now(),
                )
            )
        for model_no, rows in models.items():
            session.add(ModelMark(model_no=model_no, erasure_no=erasure_no, rows=rows, retrain_by=retrain_by))
    return {"recalls": len(leads), "models_marked": len(models)}


def _months_with(home: Installation, subject: KnownSubject, table: str) -> set[str]:
    number = subject.number_in(table)
    if number is None:
        return set()
    return {
        file.parent.name.split("=", 1)[1]
        for file in home.store.files(table)
        if rows_about(home.store.open(file), number).num_rows
    }
