"""The report of a migration that whoever signs can read: lights, what stands in the way and whom to call, then the numbers.

One HTML file in both languages that loads nothing from anywhere, and the same as JSON. Statistics and counts only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from core.definition_file import Bilingual
from core.months import CHINA_TIME
from core.state import MigrationChange, ParityCheck, PlatformMigration
from pipelines.workplace import Workplace
from sources.migration.acts import findings_of, named_by_signature
from sources.migration.check_texts import CheckText, check_texts, percent
from sources.migration.definition import MigrationDefinition
from sources.migration.finding import BLOCKING, CHECKS, ParityFinding, Verdict
from sources.migration.states import NEXT_STEP, State, changes, definition_of, find, last_check, state_of

TEMPLATE = Path(__file__).parent / "migration_report.html.j2"

#: The way of a migration as the report shows it.
WAY = {
    State.MAPPED: Bilingual(zh="已规划", en="planned"),
    State.DUAL_RUN: Bilingual(zh="双轨运行", en="dual run"),
    State.PARITY_OK: Bilingual(zh="核对通过", en="parity"),
    State.SIGNED_OFF: Bilingual(zh="已签署", en="signed off"),
    State.CUT_OVER: Bilingual(zh="切换中", en="cut-over"),
    State.ROLLBACK_WINDOW: Bilingual(zh="回退期", en="rollback window"),
    State.RETIRED: Bilingual(zh="旧平台退役", en="old one retired"),
    State.ROLLED_BACK: Bilingual(zh="已回退", en="rolled back"),
}

#: Lights, worst first.
RED, AMBER, GREY, GREEN, NONE = "red", "amber", "grey", "green", "none"
LIGHTS = {
    RED: Bilingual(zh="阻断", en="blocks"),
    AMBER: Bilingual(zh="须确认", en="to be accepted"),
    GREY: Bilingual(zh="无法逐行核对", en="not row-verifiable"),
    GREEN: Bilingual(zh="通过", en="pass"),
    NONE: Bilingual(zh="不适用", en="not applicable"),
}

#: The picture's axis: equal shares from here to 1; smaller ones are drawn at the left edge.
PICTURE_FROM = 0.99


def light_of(finding: ParityFinding) -> str:
    """The light of one finding."""
    if finding.blocks:
        return RED
    if finding.verdict is Verdict.NOT_ROW_VERIFIABLE:
        return GREY
    return GREEN if finding.verdict is Verdict.PASS else AMBER


@dataclass(frozen=True)
class CheckLight:
    """One check: its light, its findings (worst first) and its words."""

    check: str
    light: str
    text: CheckText
    findings: list[ParityFinding]

    @property
    def blocks_by_rule(self) -> bool:
        """Whether a miss stands in the way of the cut-over."""
        return self.check in BLOCKING


def lights_of(findings: Sequence[ParityFinding]) -> list[CheckLight]:
    """All fifteen checks in order."""
    order = list(LIGHTS)
    found = []
    for check in CHECKS:
        own = sorted(
            (f for f in findings if f.check == check),
            key=lambda f: (order.index(light_of(f)), f.table, f.column),
        )
        light = light_of(own[0]) if own else NONE
        found.append(CheckLight(check, light, check_texts().checks[check], own))
    return found


def write_migration_report(workplace: Workplace, name: str) -> tuple[Path, Path]:
    """Write `<home>/out/migrations/<name>/report.html` and `report.json` from what is on record; returns both paths."""
    with workplace.state.session() as session:
        migration, check, told = find(session, name), last_check(session, name), changes(session, name)
    folder = workplace.settings.out / "migrations" / name
    folder.mkdir(parents=True, exist_ok=True)
    page, plain = folder / "report.html", folder / "report.json"
    page.write_text(render_report(migration, check, told), encoding="utf-8")
    text = json.dumps(report_as_plain(migration, check, told), ensure_ascii=False, indent=1)
    plain.write_text(text + "\n", encoding="utf-8")
    return page, plain


def render_report(
    migration: PlatformMigration, check: ParityCheck | None, told: Sequence[MigrationChange]
) -> str:
    """The page as text; the same record gives the same text."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "count": "{:,}".format,
        "moment": _moment,
        "number": _number,
        "limits": check_texts().limits,
        "remedy": check_texts().remedy,
        "light": light_of,
    }
    definition, findings = definition_of(migration), [] if check is None else findings_of(check)
    lights = lights_of(findings)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        definition=definition,
        migration=migration,
        check=check,
        lights=lights,
        words=LIGHTS,
        measures=check_texts().measures,
        blocked=[one for one in lights if one.light == RED],
        accept=[one for one in lights if one.check in named_by_signature(findings) and one.light != RED],
        verdict=verdict(migration, check),
        way=way(migration),
        tables=table_rows(definition, findings),
        picture=picture_rows(findings),
        told=told,
        state_words=WAY,
        next_step=NEXT_STEP[state_of(migration)].replace("NAME", migration.name),
    )


def verdict(migration: PlatformMigration, check: ParityCheck | None) -> tuple[str, Bilingual]:
    """Colour and sentence at the head of the page."""
    here = state_of(migration)
    if here in (State.ROLLBACK_WINDOW, State.RETIRED):
        return GREEN, Bilingual(zh="已切换到新平台。", en="The new platform is live.")
    if here is State.CUT_OVER or migration.under_way:
        return AMBER, Bilingual(
            zh="切换或回退尚未完成，请继续执行。", en="A cut-over or rollback hasn't ended: run it again."
        )
    if here is State.ROLLED_BACK:
        return AMBER, Bilingual(zh="已回退到旧平台。", en="Rolled back: the old platform is live.")
    if check is None:
        return GREY, Bilingual(zh="尚未核对。", en="Not checked yet.")
    if not check.passed:
        return RED, Bilingual(zh="现在不能切换。", en="It can't be cut over as it is.")
    if here is State.SIGNED_OFF:
        return GREEN, Bilingual(zh="已签署，可以切换。", en="Signed off: it can be cut over.")
    if here is not State.PARITY_OK:
        return AMBER, Bilingual(
            zh="定义在核对之后已修改，请重新核对。", en="The definition has changed since: check again."
        )
    named = named_by_signature(findings_of(check))
    if named:
        told = "、".join(named)
        return AMBER, Bilingual(
            zh=f"可以签署，签署人须逐项确认 {told}。",
            en=f"It can be signed; whoever signs must name {', '.join(named)}.",
        )
    return GREEN, Bilingual(zh="全部通过，可以签署。", en="Everything passes: it can be signed.")


def way(migration: PlatformMigration) -> list[tuple[Bilingual, str]]:
    """The states in order, each `done`, `here` or `ahead`."""
    here = state_of(migration)
    states = [
        State.MAPPED,
        State.DUAL_RUN,
        State.PARITY_OK,
        State.SIGNED_OFF,
        State.CUT_OVER,
        State.ROLLBACK_WINDOW,
    ]
    states.append(State.ROLLED_BACK if here is State.ROLLED_BACK else State.RETIRED)
    at = states.index(here)
    return [(WAY[s], "done" if i < at else "here" if i == at else "ahead") for i, s in enumerate(states)]


def table_rows(definition: MigrationDefinition, findings: Sequence[ParityFinding]) -> list[dict[str, Any]]:
    """One line per migrated table: sources, rows and subjects of both sides, worst light."""
    rows = []
    for table in definition.tables:
        own = [f for f in findings if f.table == table.name]
        volume = next((dict(f.counts) for f in own if f.measure == "rows_total"), {})
        people = next((dict(f.counts) for f in own if f.measure in ("subjects_found", "subjects_ratio")), {})
        worst = min((list(LIGHTS).index(light_of(f)) for f in own), default=list(LIGHTS).index(NONE))
        rows.append(
            {
                "name": table.name,
                "old": ", ".join(feed.source for feed in table.old),
                "new": ", ".join(feed.source for feed in table.new),
                "rows": (volume.get("rows_old"), volume.get("rows_new")),
                "subjects": (people.get("old"), people.get("found", people.get("new"))),
                "light": list(LIGHTS)[worst],
            }
        )
    return rows


def picture_rows(findings: Sequence[ParityFinding]) -> list[dict[str, Any]]:
    """Columns whose pairs were compared, the least equal first: name, share, place on the axis in %, and whether it passes."""
    found = [f for f in findings if f.measure == "matched_equal" and f.statistic is not None]
    rows = []
    for finding in sorted(found, key=lambda f: (f.statistic or 0.0, f.table, f.column)):
        share, limit = finding.statistic or 0.0, finding.low or 0.0
        rows.append(
            {
                "name": f"{finding.table.split('/')[-1]}.{finding.column}",
                "share": share,
                "told": percent(share),
                "at": _place(share),
                "limit": _place(limit),
                "light": light_of(finding),
                "below": share < PICTURE_FROM,
            }
        )
    return rows


def report_as_plain(
    migration: PlatformMigration, check: ParityCheck | None, told: Sequence[MigrationChange]
) -> dict[str, Any]:
    """The same for programs."""
    findings = [] if check is None else findings_of(check)
    colour, sentence = verdict(migration, check)
    return {
        "migration": migration.name,
        "state": migration.state,
        "verdict": {"light": colour, **sentence.model_dump()},
        "check": None
        if check is None
        else {
            "check_no": check.check_no,
            "actor": check.actor,
            "checked_at": check.checked_at.isoformat(),
            "passed": check.passed,
            "evidence_sha256": check.evidence_sha256,
        },
        "lights": {one.check: one.light for one in lights_of(findings)},
        "to_be_named_by_signature": named_by_signature(findings),
        "findings": [finding.as_plain() for finding in findings],
        "changes": [
            {
                "from": change.from_state, "to": change.to_state, "actor": change.actor, "at": change.at.isoformat(),
                "evidence_sha256": change.evidence_sha256, "audit_event": change.event_no, "details": change.details,
            }
            for change in told
        ],
    }  # fmt: skip


def _moment(at: datetime) -> str:
    return f"{at.astimezone(CHINA_TIME):%Y-%m-%d %H:%M}"


def _number(finding: ParityFinding) -> Bilingual:
    return check_texts().number(finding, finding.statistic)


def _place(share: float) -> float:
    return round(100 * max(0.0, (share - PICTURE_FROM) / (1 - PICTURE_FROM)), 2)
