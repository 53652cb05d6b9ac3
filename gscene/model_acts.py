"""What people decide about a model version: `gscene models submit`, `validate`, `approve`, `promote` and the way back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from core.clock import SystemClock
from gscene.console import Reporter
from gscene.options import home_option, json_option

F = TypeVar("F", bound=Callable[..., Any])

model_argument = click.argument("name")
version_option = click.option(
    "--version",
    help="The version as `list` shows it, or its first digits; the newest that fits when left out.",
)
_reason = click.option("--reason", required=True, help="Why; kept in the audit chain. 理由，记入审计链。")
evidence_option = click.option(
    "--evidence", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file that the signature stands on; may be repeated. 证据文件，可重复。",
)  # fmt: skip
_conditions = click.option(
    "--condition",
    "conditions",
    multiple=True,
    help="`2027-03-31: what has to be done`; may be repeated. 附带条件，可重复。",
)


def as_option(*, required: bool) -> Callable[[F], F]:
    """`--as`: who does this."""
    return click.option("--as", "actor", required=required, help="Name of the person who does this. 经办人。")


def _acting(function: F) -> F:
    """The arguments of every act on a version."""
    for option in (
        json_option,
        home_option("bank"),
        _reason,
        as_option(required=True),
        version_option,
        model_argument,
    ):
        function = option(function)
    return function


@click.command()
@_acting
def submit(name: str, version: str | None, actor: str, reason: str, home: Path, as_json: bool) -> None:
    """Say who developed a version: neither its validator nor its approver can be the same person.

    提交：声明开发人；开发人不得再担任验证人或审批人。

    \b
    Example:
      gscene models submit enterprise_risk --as "Li Wei" --reason "monthly retraining"
    """
    desk = Desk(home, as_json, name, version, "dev")
    desk.signing.submit(desk.version, actor, reason)
    desk.tell()


@click.command()
@evidence_option
@_conditions
@_acting
def validate(
    name: str, version: str | None, actor: str, reason: str, evidence: tuple[Path, ...], conditions: tuple[str, ...],
    home: Path, as_json: bool,
) -> None:  # fmt: skip
    """Vouch for a version on its report and further evidence; on a live one: renew the validation.

    独立验证：以报告和证据文件为依据签署；对已上线版本为重新验证。

    \b
    Example:
      gscene models validate enterprise_risk --as "Zhao Lin" --reason "report read" --evidence validation.json \\
        --condition "2027-03-31: recalibrate by branch"
    """
    from models.conditions import Condition

    desk = Desk(home, as_json, name, version, "dev", "validated", "approved", "live", "monitored")
    asked = [Condition.parse(condition) for condition in conditions]
    told = desk.signing.validate(desk.version, actor, reason, evidence=evidence, conditions=asked)
    desk.tell({"evidence_sha256": told})


@click.command()
@click.option(
    "--pia",
    default="",
    help="Reference of the impact assessment that covers the model. 个人信息保护影响评估编号。",
)
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Last day of the approval; the longest allowed when left out.",
)
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    help="Promotion key; else promotion_key of gscene.yaml. 签署密钥。",
)
@_conditions
@_acting
def approve(
    name: str, version: str | None, actor: str, reason: str, pia: str, until: datetime | None, key: Path | None,
    conditions: tuple[str, ...], home: Path, as_json: bool,
) -> None:  # fmt: skip
    """Approve a validated version and sign that with the promotion key; on a live one: renew the approval.

    审批并用密钥签署；对已上线版本为续期。

    \b
    Example:
      gscene models approve enterprise_risk --as "Chen Yu" --reason "committee of 5 November" --pia PIA-2026-07 \\
        --until 2027-10-31 --key /media/stick/promotion.pem
    """
    from models.conditions import Condition
    from models.promotion_key import load_promotion_key

    desk = Desk(home, as_json, name, version, "validated", "approved", "live", "monitored")
    settings = desk.workplace.settings
    loaded = load_promotion_key(key or settings.promotion_key, settings)
    last: date | None = until.date() if until is not None else None
    asked = [Condition.parse(condition) for condition in conditions]
    told = desk.signing.approve(desk.version, actor, reason, loaded, pia=pia, until=last, conditions=asked)
    desk.tell({"statement_sha256": told, "key_id": loaded.key_id})


@click.command()
@_acting
def promote(name: str, version: str | None, actor: str, reason: str, home: Path, as_json: bool) -> None:
    """Put an approved version live: it scores from the next run on. The one before can be rolled back to.

    上线：从下一次运行起用它评分；原版本保留，可回退。

    \b
    Example:
      gscene models promote enterprise_risk --as "Sun Hao" --reason "go-live"
    """
    desk = Desk(home, as_json, name, version, "approved")
    desk.signing.promote(desk.version, actor, reason)
    desk.tell()


@click.command()
@_acting
def reject(name: str, version: str | None, actor: str, reason: str, home: Path, as_json: bool) -> None:
    """Send a validated or approved version back to dev; what was signed for it is void.

    驳回：退回开发状态，已有签署作废。

    \b
    Example:
      gscene models reject enterprise_risk --as "Chen Yu" --reason "calibration off in two regions"
    """
    desk = Desk(home, as_json, name, version, "validated", "approved")
    desk.signing.reject(desk.version, actor, reason)
    desk.tell()


@click.command()
@click.option("--to", "wanted", help="The earlier champion; the one that was live last when left out.")
@_reason
@model_argument
@as_option(required=True)
@home_option("bank")
@json_option
def rollback(name: str, wanted: str | None, actor: str, reason: str, home: Path, as_json: bool) -> None:
    """Put the earlier champion back live at once; the present one goes back to dev. The next run scores with it.

    回退：立即恢复此前的冠军模型，现版本退回开发状态；下一次运行即用它评分。

    \b
    Example:
      gscene models rollback enterprise_risk --as "Sun Hao" --reason "scores jumped in two branches"
    """
    desk = Desk(home, as_json, name, None)
    desk.version = desk.signing.rollback(name, actor, reason, wanted)
    desk.tell()


@click.command()
@_acting
def retire(name: str, version: str | None, actor: str, reason: str, home: Path, as_json: bool) -> None:
    """End a version for good. Where it was live, nothing scores until another version is.

    退役：永久停用该版本。

    \b
    Example:
      gscene models retire enterprise_risk --version 2025-10-0123 --as "Chen Yu" --reason "replaced"
    """
    desk = Desk(home, as_json, name, version)
    desk.signing.retire(desk.version, actor, reason)
    desk.tell()


@click.command()
@click.argument("number", type=int)
@_reason
@as_option(required=True)
@home_option("bank")
@json_option
def close(number: int, actor: str, reason: str, home: Path, as_json: bool) -> None:
    """Close a condition as met.

    关闭已满足的条件。

    \b
    Example:
      gscene models close 3 --as "Zhao Lin" --reason "shown in annex 2"
    """
    from models.conditions import close_condition
    from pipelines.workplace import Workplace

    reporter, workplace = Reporter(as_json), Workplace.open(home, SystemClock())
    with workplace.state.session() as session:
        close_condition(session, workplace.clock, number, actor, reason)
    reporter.results({"closed": number})
    reporter.finish()


ACTS = (submit, validate, approve, promote, reject, rollback, retire, close)


class Desk:
    """The opened home, the version that is meant, and what is told when the act is done. Like every act, it ends by telling
    MLflow the new aliases if it answers."""

    def __init__(self, home: Path, as_json: bool, name: str, wanted: str | None, *states: str) -> None:
        from models.lifecycle import ModelState, find_version, versions_of
        from models.signing_desk import SigningDesk
        from pipelines.workplace import Workplace

        self.reporter = Reporter(as_json)
        self.workplace = Workplace.open(home, SystemClock(), self.reporter)
        self.signing = SigningDesk(self.workplace.state, self.workplace.settings, self.workplace.clock)
        with self.workplace.state.session() as session:
            fitting = [ModelState(state) for state in states]
            # Where none is in a state that fits, the newest is named, and the act tells why it can't be done.
            fitting = fitting if versions_of(session, name, *fitting) else []
            self.version = find_version(session, name, wanted, *fitting)

    def tell(self, more: dict[str, Any] | None = None) -> None:
        """Where the version stands now."""
        from models.lifecycle import NEXT_STEP, name_of, state_of
        from models.outbox import sync

        with self.workplace.state.session() as session:
            state = state_of(session, self.version)
        synced = sync(self.workplace.state, self.workplace.settings, self.workplace.clock)
        self.reporter.results({"version": name_of(self.version), "state": str(state), **(more or {})})
        self.reporter.say(f"Next / 下一步: {NEXT_STEP[state].replace('NAME', self.version.name)}")
        if synced.waiting:
            self.reporter.results({"waiting for MLflow": synced.waiting})
        self.reporter.finish()
