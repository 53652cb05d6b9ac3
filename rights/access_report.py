"""Everything an installation holds on a subject, to answer a request for access (PIPL art. 45). Reads only.

Grain: sections, each a small table. Raw rows come with the delivery that brought them, scores with the model that made them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy import select

from core import audit
from core.definition_file import Bilingual
from core.errors import GsceneError
from core.state import Delivery, LeadList, ModelVersion, StateDatabase
from rights.erase_archive import names_subject
from rights.installation import Installation
from rights.subject import KnownSubject, find_subject, holds_text, rows_about
from rights.trace import listed_leads, trained_on
from sources.erased import tombstone

#: What each layer of tables is, for people.
LAYERS: dict[str, Bilingual] = {
    "raw": Bilingual(zh="原始记录", en="Records as received"),
    "trial": Bilingual(zh="试运行平台的记录", en="Records of a platform on trial"),
    "facts": Bilingual(zh="月度事实", en="Monthly facts"),
    "features": Bilingual(zh="特征", en="Features"),
    "labels": Bilingual(zh="表现结果", en="Outcomes"),
    "scores": Bilingual(zh="评分", en="Scores"),
    "leads": Bilingual(zh="营销分组", en="Assignments to campaigns"),
    "quarantine": Bilingual(zh="隔离记录", en="Rows held back"),
}

#: Registers are raw tables too, but people look for them first.
REGISTERS = {
    "consent_register": Bilingual(zh="授权登记", en="Consents"),
    "suppression": Bilingual(zh="禁止营销登记", en="Suppressions"),
}


@dataclass(frozen=True)
class Section:
    """One table of the report; `place` says where in the installation it lies, `cells` are texts in the order of `columns`."""

    place: str
    title: Bilingual
    columns: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class AccessReport:
    """The whole answer. `subject_id` and the rows are personal information: hand it to the subject, then delete it."""

    subject_kind: str
    subject_id: str
    provider_code: str
    made_at: datetime
    sections: tuple[Section, ...]

    @property
    def rows(self) -> int:
        """Rows in all sections."""
        return sum(len(section.cells) for section in self.sections)

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        sections = [
            {
                "place": s.place,
                "title": s.title.model_dump(),
                "rows": [dict(zip(s.columns, row, strict=True)) for row in s.cells],
            }
            for s in self.sections
        ]
        about = {name: value for name, value in asdict(self).items() if name != "sections"}
        return about | {"made_at": self.made_at.isoformat(timespec="seconds"), "sections": sections}


def make_report(home: Installation, subject: KnownSubject) -> AccessReport:
    """Look through every store."""
    sections = [
        *_tables(home, subject),
        *_lists(home, subject),
        *_models(home, subject),
        *_files(home, subject),
    ]
    return AccessReport(
        str(subject.kind), subject.subject_id, subject.provider_code, home.clock.now(), tuple(sections)
    )


def note_report(
    home: Installation, subject: KnownSubject, report: AccessReport, actor: str, form: str
) -> None:
    """The audit entry: that a report was made, by a keyed hash of the subject, never what it said."""
    hash_ = tombstone(home.settings.keys, subject.kind, subject.subject_id)
    details = {"sections": len(report.sections), "rows": report.rows, "form": form}
    with home.state.session() as session:
        audit.record(session, home.clock, actor, "subject.reported", f"{subject.kind}/{hash_}", details)


def find(home: Installation, token: str | None, provider_code: str | None, kind: Any) -> KnownSubject:
    """`find_subject` in this home."""
    if (token is None) == (provider_code is None):
        raise GsceneError("say who is meant.", "Give either --subject or --provider-code.")
    return find_subject(home.store, token=token, provider_code=provider_code, kind=kind)


def html(report: AccessReport) -> str:
    """One page in Chinese and English that needs nothing beside it."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("access_report.html.j2").render(report=report)


# -- sections ----------------------------------------------------------------------------------------------------------


def _tables(home: Installation, subject: KnownSubject) -> Iterator[Section]:
    deliveries = _deliveries(home.state)
    for table in home.store.tables():
        number = subject.number_in(table)
        parties = home.party_columns(table)
        rows, named = [], 0
        for file in home.store.files(table):
            opened = home.store.open(file)
            period = file.parent.name.split("=", 1)[1]
            if number is not None and "subject_no" in opened.schema_arrow.names:
                found = rows_about(opened, number)
                rows.append(found.append_column("period", pa.array([period] * found.num_rows, pa.string())))
            named += holds_text(opened, parties, (subject.subject_id,))
        held = pa.concat_tables(rows) if rows else None
        if held is not None and held.num_rows:
            yield _section(home, table, held.sort_by("period"), deliveries)
        if named:
            title = Bilingual(zh="在他人记录中被提及", en="Named in records about others")
            yield Section(table, title, ("files", "columns"), ((str(named), ", ".join(parties)),))


def _section(home: Installation, table: str, rows: pa.Table, deliveries: dict[int, str]) -> Section:
    names = ["period", *(name for name in rows.column_names if name not in ("period", "subject_no"))]
    cells = [[_text(row[name]) for name in names] for row in rows.to_pylist()]
    if "delivery_no" in names:
        place = names.index("delivery_no")
        for row in cells:
            row[place] = deliveries.get(int(row[place]), row[place])
    name = table.rsplit("/", 1)[1]
    contract = home.contracts.get(name)
    layer = LAYERS.get(table.split("/")[0], Bilingual(zh="其他", en="Other"))
    title = REGISTERS.get(name, layer)
    if contract is not None and name not in REGISTERS:
        title = Bilingual(zh=f"{layer.zh}：{contract.title.zh}", en=f"{layer.en}: {contract.title.en}")
    return Section(table, title, tuple(names), tuple(map(tuple, cells)))


def _lists(home: Installation, subject: KnownSubject) -> Iterator[Section]:
    with home.state.session() as session:
        made = {entry.list_version: entry.generated_at for entry in session.scalars(select(LeadList))}
    leads = listed_leads(home, subject)
    if leads:
        yield Section(
            "out/leads",
            Bilingual(zh="已发布的营销名单", en="Published lead lists"),
            ("list", "campaign", "lead", "generated_at"),
            tuple(
                (lead.list_version, lead.campaign_id, lead.lead_id, _text(made[lead.list_version]))
                for lead in leads
            ),
        )


def _models(home: Installation, subject: KnownSubject) -> Iterator[Section]:
    marks = trained_on(home, subject)
    with home.state.session() as session:
        versions = [
            version
            for version in session.scalars(select(ModelVersion).order_by(ModelVersion.model_no))
            if version.model_no in marks
        ]
    if versions:
        yield Section(
            "models",
            Bilingual(
                zh="训练样本可能包含该主体的模型", en="Models whose training may have seen the subject"
            ),
            ("model", "training_month", "bundle", "months"),
            tuple((v.name, v.training_month, v.bundle_sha256[:12], str(marks[v.model_no])) for v in versions),
        )


def _files(home: Installation, subject: KnownSubject) -> Iterator[Section]:
    """Files that people took away, and the vault's hand-over files."""
    settings, found = home.settings, []
    for file in sorted(
        [*(settings.out / "scores").glob("*/*.csv"), *(settings.home / "vault").glob("*.csv")]
    ):
        if names_subject(file, subject.names):
            found.append((str(file.relative_to(settings.home)),))
    if found:
        yield Section(
            "files",
            Bilingual(zh="含有该主体的文件", en="Files that name the subject"),
            ("file",),
            tuple(found),
        )


def _deliveries(state: StateDatabase) -> dict[int, str]:
    with state.session() as session:
        return {
            entry.delivery_no: f"{entry.source} {entry.period} r{entry.revision} (#{entry.delivery_no})"
            for entry in session.scalars(select(Delivery))
        }


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal | int | str):
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, Iterable) else f"{value:g}"
