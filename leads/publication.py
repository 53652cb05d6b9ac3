"""Publishing a list: the files, the row in the state database and the audit event belong together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from sqlalchemy.orm import Session

from core import audit, state
from core.clock import Clock
from core.errors import GsceneError
from core.months import Month
from leads.export import ExportedList, export_list
from leads.lead_list import LeadList


def publish(
    session: Session, clock: Clock, actor: str, leads: LeadList, as_of: Month, folder: Path
) -> ExportedList:
    """Export the list below `folder` and record it within the caller's transaction.

    GsceneError for an empty list or a list version that is recorded or lies in the folder already. If recording fails the files
    are taken away again; if the caller's transaction fails later, the files stay without a record and the version stays unused.
    """
    if session.get(state.LeadList, leads.list_version) is not None:
        raise GsceneError(
            f"list {leads.list_version} is published already.", "Give the new list a new version."
        )
    exported = export_list(leads, folder)
    try:
        session.add(
            state.LeadList(
                list_version=leads.list_version,
                campaign_id=leads.campaign_id,
                as_of=str(as_of),
                subject=str(leads.subject),
                rows=exported.rows,
                folder=str(exported.folder),
                sha256=exported.sha256,
                policy_sha256=leads.policy_sha256,
                waterfall={
                    "steps": json.loads(leads.waterfall.to_json(orient="records", force_ascii=False)),
                    "arms": dict(leads.arms),
                },
                generated_at=leads.generated_at,
            )
        )
        audit.record(
            session,
            clock,
            actor,
            "leads.publish",
            leads.list_version,
            {"rows": exported.rows, "sha256": exported.sha256, "policy_sha256": leads.policy_sha256},
        )
    except Exception:
        shutil.rmtree(exported.folder)
        raise
    return exported
