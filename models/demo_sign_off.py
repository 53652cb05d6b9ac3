"""The demo signs its own models, under the name `demo`, so that a demonstration runs in one command.

It does so only where the home folder's settings say `sign_off: automatic_in_demo`. What it signs says everywhere that no person
approved it, is refused by scoring once that setting is gone, and is never signed beside people: where a person has ever signed,
the demo doesn't.
"""

from __future__ import annotations

from sqlalchemy import select

from core.clock import Clock
from core.errors import GsceneError, SignOffRefused
from core.model_state import ModelChange
from core.settings import FILE_NAME, SIGN_OFF, Settings
from core.state import ModelVersion, StateDatabase
from models.lifecycle import DEMO, IN_FORCE, ModelState, state_of
from models.promotion_key import create_key, load_promotion_key
from models.sign_off import NOT_APPROVED, verified_sign_off
from models.signing_desk import SigningDesk

REASON = f"{NOT_APPROVED.zh} / {NOT_APPROVED.en}"

#: The demo's own key lies beside the other secrets of the home; a bank's lies where training can't read it.
KEY = "demo_promotion.pem"


def mark_as_demo(settings: Settings) -> None:
    """Write the setting into a new home folder; GsceneError where the folder is in use: an installation never becomes a demo."""
    if settings.demo:
        return
    file = settings.home / FILE_NAME
    if (settings.home / "state.db").exists() or (
        file.exists() and "sign_off" in file.read_text(encoding="utf-8")
    ):
        raise GsceneError(
            f"{settings.home} is in use and no demo, or its {FILE_NAME} says that people sign.",
            "Choose a new folder with --home; models of this one are signed by people: gscene models --help.",
        )
    settings.home.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as opened:
        opened.write(
            "# A demonstration: models are signed by the program, not approved by people. Never use this in a real home.\n"
            f"# 演示环境：模型由程序自动签署，未经人工审批。正式环境不得使用。\nsign_off: {SIGN_OFF[1]}\n"
        )


def sign_automatically(state: StateDatabase, settings: Settings, clock: Clock, version: ModelVersion) -> None:
    """Take a version the whole way to live as `demo`; nothing to do where it is live with a sign-off that holds."""
    _require_alone(state)
    desk = SigningDesk(state, settings, clock, automatic=True)
    with state.session() as session:
        here = state_of(session, version)
        if here in IN_FORCE:
            try:
                verified_sign_off(session, settings, version, clock)
                return
            except SignOffRefused:
                pass
    if here is ModelState.RETIRED:
        return
    if here is ModelState.DEV:
        desk.submit(version, DEMO, REASON)
    desk.validate(version, DEMO, REASON)
    file = settings.keys / KEY
    if not file.exists():
        create_key(file, settings, state, clock, DEMO)
    desk.approve(version, DEMO, REASON, load_promotion_key(file, settings))
    if here not in IN_FORCE:
        desk.promote(version, DEMO, REASON)


def _require_alone(state: StateDatabase) -> None:
    with state.session() as session:
        signed = session.scalars(select(ModelChange.actor).where(ModelChange.automatic.is_(False))).first()
    if signed is not None:
        raise SignOffRefused(
            "SIGN_OFF/PEOPLE",
            "people have signed models in this home; the demo doesn't sign beside them.",
            f"Take sign_off: {SIGN_OFF[1]} out of {FILE_NAME}.",
        )
