"""The sign-off of a model version, and the gate that scoring passes only with one.

A statement (JSON) says which bundle was approved by whom, on which evidence, until when; the promotion key signs its exact
bytes. Both lie beside the bundle in `<bundle>.signed/`. The state database says which statement counts; neither alone suffices.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.clock import Clock
from core.definition_file import Bilingual
from core.errors import SignOffRefused
from core.model_state import ModelSignOff
from core.months import CHINA_TIME, Month
from core.settings import Settings
from core.state import ModelVersion, StateDatabase
from models.lifecycle import IN_FORCE, NEXT_STEP, ModelState, history_of, name_of, state_of, versions_of
from models.promotion_key import PromotionKey, check_signature, sha256_of
from models.sign_off_policy import load_sign_off_policy

FORMAT = "gscene-sign-off/1"

#: Follows the version of a model that no person approved, wherever the version is named: score tables, lists, manifests.
DEMO_MARK = "+demo"
NOT_APPROVED = Bilingual(zh="未经人工审批（演示）", en="not approved by people (demo)")
APPROVED = Bilingual(zh="已经人工审批", en="approved by people")

_SIGN = "gscene models show NAME tells what is missing; then gscene models submit, validate, approve and promote NAME."


@dataclass(frozen=True)
class SignOff:
    """A verified sign-off. `mark` follows the version's name; `fast`: the fast scorer gave equal results when it was signed."""

    name: str
    statement_sha256: str
    bundle_sha256: str
    evidence_sha256: str
    evidence_files: Mapping[str, str]
    expires_at: datetime
    automatic: bool
    fast: bool

    @property
    def mark(self) -> str:
        """`+demo` where no person approved."""
        return DEMO_MARK if self.automatic else ""


def approval_of(model_version: str) -> Bilingual:
    """Whether people approved the versions named in a score table or list."""
    return NOT_APPROVED if DEMO_MARK in model_version else APPROVED


def signed_folder(settings: Settings, version: ModelVersion) -> Path:
    """Where statements and signatures of a version lie."""
    bundle = settings.home / version.bundle
    return bundle.with_name(f"{bundle.name}.signed")


def write_statement(
    settings: Settings, version: ModelVersion, body: Mapping[str, Any], key: PromotionKey
) -> str:
    """Write and sign a statement; returns its sha256. It counts once the state database names it."""
    data = (
        json.dumps({"format": FORMAT, **body}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    ).encode()
    sha256, folder = sha256_of(data), signed_folder(settings, version)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in ((f"{sha256}.json", data), (f"{sha256}.sig", key.sign(data).encode())):
        part = folder / f".{name}.part"
        part.write_bytes(content)
        os.replace(part, folder / name)
    return sha256


def standing_sign_off(session: Session, version: ModelVersion) -> ModelSignOff | None:
    """The latest approval that wasn't taken away."""
    query = select(ModelSignOff).where(
        ModelSignOff.model_no == version.model_no, ModelSignOff.voided_at.is_(None)
    )
    return session.scalars(query.order_by(ModelSignOff.sign_off_no.desc())).first()


def verified_sign_off(session: Session, settings: Settings, version: ModelVersion, clock: Clock) -> SignOff:
    """The sign-off of a version; SignOffRefused with a code for each way in which it doesn't hold."""
    name = name_of(version)
    known = standing_sign_off(session, version)
    if known is None:
        raise _refuse("MISSING", f"nobody has approved {name}", _SIGN, version)
    if known.bundle_sha256 != version.bundle_sha256:
        raise _refuse("OTHER_MODEL", f"the approval of {name} was given for another bundle", _SIGN, version)
    if known.expires_at <= clock.now():
        day = known.expires_at.astimezone(CHINA_TIME)
        raise _refuse(
            "EXPIRED",
            f"the approval of {name} ended on {day:%Y-%m-%d}",
            "Renew it: gscene models validate NAME, then gscene models approve NAME.",
            version,
        )
    if known.policy_sha256 != load_sign_off_policy(settings).sha256_for(version.name):
        again = "Approve it under the present one: gscene models approve NAME."
        raise _refuse("OTHER_POLICY", f"{name} was approved under another sign-off policy", again, version)
    if known.automatic and not settings.demo:
        raise _refuse("AUTOMATIC", f"{name} was signed by the demo, not by people", _SIGN, version)
    statement = _statement(settings, version, known)
    return SignOff(
        name, known.statement_sha256, known.bundle_sha256, known.evidence_sha256, statement["evidence_files"],
        known.expires_at, known.automatic, bool(statement["fast_scoring"]),
    )  # fmt: skip


def _statement(settings: Settings, version: ModelVersion, known: ModelSignOff) -> dict[str, Any]:
    """The signed statement; it must say what the state database says."""
    folder = signed_folder(settings, version)
    again = "Restore the folder from a backup, or approve it again: gscene models approve NAME."
    try:
        body = (folder / f"{known.statement_sha256}.json").read_bytes()
        signature = (folder / f"{known.statement_sha256}.sig").read_bytes()
    except OSError:
        raise _refuse(
            "SIGNATURE", f"the signed statement of {name_of(version)} is missing", again, version
        ) from None
    if sha256_of(body) != known.statement_sha256:
        raise _refuse("SIGNATURE", f"the statement of {name_of(version)} was changed", again, version)
    key_id = check_signature(body, signature, settings)
    told = json.loads(body)
    same = {
        "model": name_of(version), "bundle_sha256": known.bundle_sha256, "evidence_sha256": known.evidence_sha256,
        "policy_sha256": known.policy_sha256, "approver": known.approver, "expires_at": known.expires_at.isoformat(),
        "automatic": known.automatic,
    }  # fmt: skip
    if key_id != known.key_id or any(told.get(entry) != value for entry, value in same.items()):
        raise _refuse(
            "SIGNATURE", f"state database and statement of {name_of(version)} disagree", again, version
        )
    return dict(told)


def version_to_score(session: Session, name: str, as_of: Month) -> ModelVersion:
    """The version that scores an as-of month: the live one; for a month before its training, the latest that was live before.

    SignOffRefused SIGN_OFF/MISSING where there is none. No version ever scores a month before its training.
    """
    known = [v for v in versions_of(session, name, *IN_FORCE) if v.training_month <= str(as_of)]
    if not known:
        earlier = [
            v for v in versions_of(session, name, ModelState.APPROVED) if v.training_month <= str(as_of)
        ]
        known = [v for v in earlier if any(c.to_state == ModelState.LIVE for c in history_of(session, v))]
    if known:
        return known[-1]
    trained = [version for version in versions_of(session, name) if version.training_month <= str(as_of)]
    if not trained:
        raise SignOffRefused(
            "SIGN_OFF/MISSING",
            f"{name} has not been trained by {as_of}.",
            f"Run the asset models/…/{name} first.",
        )
    here = state_of(session, trained[-1])
    raise SignOffRefused(
        "SIGN_OFF/MISSING",
        f"no version of {name} is live; the newest, {name_of(trained[-1])}, is in the state {here}.",
        NEXT_STEP[here].replace("NAME", name),
    )


def require_sign_off(
    state: StateDatabase, settings: Settings, name: str, as_of: Month, clock: Clock
) -> tuple[ModelVersion, SignOff]:
    """The version that may score an as-of month, and its verified sign-off; SignOffRefused otherwise."""
    with state.session() as session:
        version = version_to_score(session, name, as_of)
        return version, verified_sign_off(session, settings, version, clock)


def _refuse(code: str, message: str, remedy: str, version: ModelVersion) -> SignOffRefused:
    return SignOffRefused(f"SIGN_OFF/{code}", f"{message}.", remedy.replace("NAME", version.name))
