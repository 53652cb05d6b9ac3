"""A small province with models and lists: what a withdrawal changes, what is reported, what an erasure leaves."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.compute as pc
import pytest
from sqlalchemy import select

from core.clock import FixedClock
from core.errors import GateRefused
from core.months import Month
from core.progress import SilentProgress
from core.state import AuditEvent, IneligibleCount, LeadList, ModelMark, ModelVersion, Recall
from core.subject import SubjectKind
from leads.export import verify_export
from leads.keyed_hash import LeadKey
from leads.policy import load_policy
from models.marks import require_trained_again
from models.monthly_scores import score_monthly
from pipelines.asset_style import asset_key
from pipelines.catch_up import bring_up_to_date, take_in_waiting
from pipelines.launch import launch
from pipelines.workplace import Workplace, blueprint
from rights.access_report import find, html, make_report, note_report
from rights.erasure import erase
from sources.arrivals import Arrival, read_schedule, receive
from sources.delivery import folder_of, write_manifest
from sources.province.settings import ProvinceSettings
from sources.province.simulate import simulate
from tests.pipelines.small_province import AS_OF, ENTERPRISES, LISTS, MONTHS, ON, RESIDENTS, TABLES, lighter
from tests.rights.traces import files_with

pytestmark = pytest.mark.slow

NOW = datetime(2025, 11, 6, 4, tzinfo=UTC)
KIND, MODEL = SubjectKind.ENTERPRISE, "enterprise_risk"


@dataclass
class Homes:
    """`kept`: as it came out, with its lists. `changed`: the same before its lists were made, for a withdrawal."""

    kept: Workplace
    changed: Workplace


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Homes]:
    plan = blueprint()
    plan = replace(plan, models={name: lighter(model) for name, model in plan.models.items()})
    with pytest.MonkeyPatch.context() as patch:
        for module in ("pipelines.workplace", "pipelines.build"):
            patch.setattr(f"{module}.blueprint", lambda: plan)
        yield made(tmp_path_factory.mktemp("rights"), patch)


def made(folder: Path, patch: pytest.MonkeyPatch) -> Homes:
    home = folder / "kept"
    home.mkdir()
    (home / "gscene.yaml").write_text("threads: 1\nsign_off: automatic_in_demo\n", encoding="utf-8")
    workplace = Workplace.open(home, FixedClock(NOW))
    settings = ProvinceSettings(
        residents=RESIDENTS, enterprises=ENTERPRISES, first_month=AS_OF.plus(1 - MONTHS), months=MONTHS, seed=1,
        only_tables=TABLES,
    )  # fmt: skip
    simulate(settings, home / "inbox", SilentProgress())
    for arrival in read_schedule(home / "inbox" / "arrivals.json"):
        receive(arrival, workplace.settings.archive, workplace.state, workplace.clock)
    with pytest.MonkeyPatch.context() as without_lists:
        without_lists.setattr("pipelines.catch_up.LISTS", {})
        bring_up_to_date(workplace, AS_OF)
    LeadKey.load(workplace.settings.keys)  # one key, so that both homes draw the same holdout
    workplace.state.engine.dispose()
    shutil.copytree(home, folder / "changed")
    kept = Workplace.open(home, FixedClock(NOW))
    list_leads(kept)
    return Homes(kept, Workplace.open(folder / "changed", FixedClock(NOW)))


def list_leads(workplace: Workplace) -> None:
    launch(workplace, [asset_key("leads", kind, name) for kind, name in LISTS.items()], AS_OF, AS_OF)


def score_again(workplace: Workplace) -> None:
    names = [m.name for m in workplace.blueprint.models.values() if m.name != "invoice_risk"]
    kinds = {m.name: m.subject for m in workplace.blueprint.models.values()}
    launch(workplace, [asset_key("scores", kinds[name], name) for name in names], AS_OF, AS_OF)


def lines_of(workplace: Workplace, model: str) -> list[str]:
    return (workplace.settings.out / "scores" / model / f"{AS_OF}.csv").read_text().splitlines()


def leads_of(workplace: Workplace, kind: SubjectKind) -> pd.DataFrame:
    with workplace.state.session() as session:
        entry = session.scalars(select(LeadList).where(LeadList.subject == str(kind))).one()
    return pd.read_parquet(Path(entry.folder) / "leads.parquet")


def listed(workplace: Workplace, kind: SubjectKind) -> list[int]:
    table = workplace.store.read(f"leads/{kind}/{LISTS[kind]}", [str(AS_OF)]).to_pandas()
    return sorted(table.loc[table["arm"] == "treat", "subject_no"])


def consents_of(workplace: Workplace, number: int) -> pd.DataFrame:
    rows = workplace.store.read(f"raw/{KIND}/consent_register")
    rows = rows.filter(pc.equal(rows.column("subject_no"), number)).to_pandas(date_as_object=True)
    return rows.sort_values("received_at").drop_duplicates("consent_id", keep="last")


def withdraw(workplace: Workplace, number: int, purposes: tuple[str, ...], on: date) -> None:
    """The bank's system sends the withdrawal after the cutoff of the as-of month."""
    token = workplace.registry(KIND).subject_ids(pd.Series([number]).to_numpy()).to_pylist()[0]
    month = AS_OF.plus(1)
    rows = consents_of(workplace, number)
    known = [
        [token, str(month), r.consent_id, r.purpose, r.kind, r.granted_at, r.valid_to, on]
        for r in rows[rows["purpose"].isin(purposes)].itertuples()
    ]
    assert known
    header = [
        "subject_token",
        "month",
        "consent_id",
        "purpose",
        "kind",
        "granted_on",
        "valid_to",
        "withdrawn_on",
    ]
    folder = workplace.settings.home / "late"
    folder.mkdir()
    data = folder / "consents.csv"
    with data.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *known])
    manifest = write_manifest(
        data, source="sim_bank", adapter="sim_bank_consent_register_enterprise", subject=KIND, table="consent_register",
        period=str(month), rows=len(known), mode="supplement",
    )  # fmt: skip
    target = folder_of(workplace.settings.home / "inbox", manifest)
    shutil.move(folder, target)
    receive(
        Arrival(target, NOW - timedelta(minutes=5), "observed"), workplace.settings.archive, workplace.state, workplace.clock
    )  # fmt: skip
    take_in_waiting(workplace)


def without(lines: list[str], token: str) -> list[str]:
    return [line for line in lines if token not in line]


# -- a withdrawal ------------------------------------------------------------------------------------------------------


def test_a_withdrawal_takes_exactly_one_subject_from_scores_and_lists(homes: Homes) -> None:
    """Received after the cutoff: features as known then stay to the bit, nothing new is made about the subject, and every row
    about anybody else stays as it was, byte for byte."""
    kept, changed = homes.kept, homes.changed
    number = listed(kept, KIND)[3]
    token = kept.registry(KIND).subject_ids(pd.Series([number]).to_numpy()).to_pylist()[0]
    features = changed.blueprint.feature_sets["enterprise_monthly"].table
    before = changed.store.content_hash(features, str(AS_OF))
    withdraw(changed, number, ("risk", "marketing"), date(2025, 11, 5))
    launch(changed, [asset_key("features", KIND, "enterprise_monthly")], AS_OF, AS_OF)
    assert changed.store.content_hash(features, str(AS_OF)) == before
    score_again(changed)
    list_leads(changed)
    for model in ("enterprise_risk", "enterprise_acquisition"):
        assert any(token in line for line in lines_of(kept, model))
        assert lines_of(changed, model) == without(lines_of(kept, model), token), model
    for model in ("resident_risk", "resident_acquisition"):
        assert lines_of(changed, model) == lines_of(kept, model)
    assert listed(changed, KIND) == [each for each in listed(kept, KIND) if each != number]
    same = [
        "lead_id",
        "lead_token",
        "branch_id",
        "propensity_band",
        "expected_value_band",
        "why_now_zh",
        "consent_id",
    ]
    mine, theirs = (leads_of(each, KIND).set_index("lead_id", drop=False) for each in (changed, kept))
    gone = set(theirs["lead_id"]) - set(mine["lead_id"])
    assert len(gone) == 1 and set(mine["lead_id"]) < set(theirs["lead_id"])
    pd.testing.assert_frame_equal(mine[same].sort_index(), theirs.drop(list(gone))[same].sort_index())
    with changed.state.session() as session:
        told = session.scalars(
            select(IneligibleCount).where(
                IneligibleCount.table == f"scores/{KIND}/{MODEL}",
                IneligibleCount.partition == str(AS_OF),
                IneligibleCount.reason == "withdrawn",
            )
        ).all()
        assert told and all(each.purpose == "risk" and each.subjects >= 1 for each in told)


def test_next_months_features_leave_the_subject_out(homes: Homes) -> None:
    """The month after is made under registers in which the withdrawal is known (runs after the test above)."""
    changed = homes.changed
    gone = set(listed(homes.kept, KIND)) - set(listed(changed, KIND))
    assert len(gone) == 1
    later = Workplace.open(changed.settings.home, FixedClock(datetime(2025, 12, 7, tzinfo=UTC)))
    launch(later, [asset_key("features", KIND, "enterprise_monthly")], AS_OF.plus(1), AS_OF.plus(1))
    features = later.blueprint.feature_sets["enterprise_monthly"].table
    now = (
        later.store.read(features, [str(AS_OF.plus(1))], columns=["subject_no"])
        .column("subject_no")
        .to_pylist()
    )
    assert now and not gone & set(now)


def test_who_refuses_automated_marketing_is_in_the_drawn_arm_or_nowhere(homes: Homes) -> None:
    found = 0
    for kind, policy in LISTS.items():
        entries = homes.kept.store.read(f"raw/{kind}/suppression").to_pandas()
        begun = pd.to_datetime(entries["from_date"]) <= pd.Timestamp(ON)
        entries = entries[begun & ~(pd.to_datetime(entries["to_date"]) < pd.Timestamp(ON))]
        other = set(entries.loc[entries["scope"] != "automated_marketing", "subject_no"])
        refusing = set(entries.loc[entries["scope"] == "automated_marketing", "subject_no"]) - other
        arms = homes.kept.store.read(f"leads/{kind}/{policy}", [str(AS_OF)]).to_pandas()
        theirs = arms[arms["subject_no"].isin(refusing)]
        assert set(theirs["arm"]) <= {"non_personalised", "non_personalised_waitlist"}
        assert set(arms.loc[arms["arm"] == "non_personalised", "subject_no"]) <= refusing
        drawn = leads_of(homes.kept, kind).query("arm == 'non_personalised'")
        assert len(drawn) == (arms["arm"] == "non_personalised").sum()
        assert (drawn[["propensity_band", "model_version"]] == "").all(axis=None)
        with homes.kept.state.session() as session:
            entry = session.scalars(select(LeadList).where(LeadList.subject == str(kind))).one()
        assert entry.waterfall["arms"]["non_personalised"] == len(drawn)
        manifest = json.loads((Path(entry.folder) / "manifest.json").read_text())
        assert manifest["rows_by_arm"].get("non_personalised", 0) == len(drawn)
        found += len(drawn)
    assert found


def test_a_subject_has_features_of_consented_sources_only(homes: Homes) -> None:
    """Firms whose consent is separate but not written: awards may be used, what the tax office knows may not."""
    store = homes.kept.store
    rows = store.read(f"raw/{KIND}/consent_register").to_pandas(date_as_object=True)
    risk = rows[(rows["purpose"] == "risk") & (rows["received_at"] < pd.Timestamp(NOW - timedelta(days=40)))]
    strongest = risk.groupby("subject_no")["kind"].agg(set)
    separate = set(strongest[strongest.map(lambda kinds: kinds == {"separate"})].index)
    features = store.read("features/enterprise/enterprise_monthly", [str(AS_OF)]).to_pandas()
    theirs = features[features["subject_no"].isin(separate)]
    tax = [
        f.name for f in homes.kept.blueprint.feature_sets["enterprise_monthly"].features if "tax" in f.facts
    ]
    awards = [c for c in features.columns if c.startswith("award_") and "since" not in c]
    assert len(theirs) > 5 and theirs[tax].isna().all(axis=None)
    assert features.loc[~features["subject_no"].isin(separate), tax].notna().any(axis=None)
    assert theirs[awards].notna().any(axis=None)
    with homes.kept.state.session() as session:
        key = (
            "features/enterprise/enterprise_monthly",
            str(AS_OF),
            "risk",
            "tax_vat_return",
            "kind_too_weak",
        )
        assert session.get_one(IneligibleCount, key).subjects > 5


# -- access ------------------------------------------------------------------------------------------------------------


def subject_of(workplace: Workplace, number: int) -> Any:
    token = workplace.registry(KIND).subject_ids(pd.Series([number]).to_numpy()).to_pylist()[0]
    return find(workplace.installation(), token, None, None)


def employer_listed(workplace: Workplace) -> int:
    """A listed firm that stands as employer in residents' records, too."""
    employers = set(
        workplace.store.read("raw/resident/si_person_month", columns=["employer_subject_id"])
        .column("employer_subject_id").to_pylist()
    )  # fmt: skip
    tokens = dict(
        zip(
            workplace.registry(KIND).table().column("subject_no").to_pylist(),
            workplace.registry(KIND).table().column("subject_id").to_pylist(),
            strict=True,
        )
    )
    return next(number for number in listed(workplace, KIND) if tokens[number] in employers)


def test_the_report_holds_everything_and_leaves_only_an_audit_entry(homes: Homes, tmp_path: Path) -> None:
    kept = homes.kept
    home, subject = kept.installation(), subject_of(kept, employer_listed(kept))
    versions = {table: kept.store.version(table) for table in kept.store.tables()}
    report = make_report(home, subject)
    places = {section.place for section in report.sections}
    number = subject.numbers[str(KIND)]
    for table in kept.store.tables():
        if table.split("/")[0] == "registry" or table.split("/")[1] != str(KIND):
            continue
        if "subject_no" not in kept.store.read(table).column_names:
            # What monitoring keeps is about models, not about anybody.
            assert table.startswith("monitoring/")
            continue
        rows = kept.store.read(table, columns=["subject_no"]).column("subject_no").to_pylist().count(number)
        told = sum(len(s.cells) for s in report.sections if s.place == table and "files" not in s.columns)
        assert told == rows, table
    assert {
        "out/leads",
        "models",
        "files",
        "raw/resident/si_person_month",
        f"scores/{KIND}/{MODEL}",
    } <= places
    scores = next(s for s in report.sections if s.place == f"scores/{KIND}/{MODEL}")
    assert "model_version" in scores.columns
    assert json.loads(json.dumps(report.plain()))["subject_id"] == subject.subject_id
    page = html(report)
    assert (
        subject.subject_id in page
        and "个人信息查阅报告" in page
        and "http" not in page.replace("https://", "http")
    )
    note_report(home, subject, report, "dpo", "html")
    with kept.state.session() as session:
        event = session.scalars(select(AuditEvent).order_by(AuditEvent.event_no.desc())).first()
        assert (
            event is not None
            and event.action == "subject.reported"
            and subject.subject_id not in str(vars(event))
        )
        assert event.details["rows"] == report.rows
    assert versions == {table: kept.store.version(table) for table in kept.store.tables()}


# -- erasure -----------------------------------------------------------------------------------------------------------


def own_values(workplace: Workplace, number: int) -> list[str]:
    """Texts that only this firm's rows have: numbers of consents, accounts, awards."""
    found = []
    for table, column in (
        ("consent_register", "consent_id"),
        ("bk_account_month", "acct_id"),
        ("gov_award", "award_id"),
    ):
        rows = workplace.store.read(f"raw/{KIND}/{table}").to_pandas()
        if column in rows.columns:
            theirs = set(rows.loc[rows["subject_no"] == number, column])
            found += sorted(theirs - set(rows.loc[rows["subject_no"] != number, column]))
    return [value for value in found if len(value) > 7]


def test_after_an_erasure_nothing_is_left_and_nobody_else_has_changed(homes: Homes) -> None:
    kept = homes.kept
    number = employer_listed(kept)
    subject = subject_of(kept, number)
    traces = [subject.subject_id, *own_values(kept, number)]
    assert len(traces) > 1 and len(files_with(kept.settings.home, traces)) > 40
    scores = {
        model: lines_of(kept, model)
        for model in ("enterprise_risk", "enterprise_acquisition", "resident_risk")
    }
    leads, others = leads_of(kept, KIND), leads_of(kept, SubjectKind.RESIDENT)
    facts = kept.store.content_hash("facts/resident/si_person_month", str(AS_OF))

    done = erase(
        kept.installation(),
        token=subject.subject_id,
        request_ref="R-7",
        reason="subject_request",
        actor="dpo",
    )

    assert files_with(kept.settings.home, traces) == []
    assert (
        done.told["recalls"] == 1
        and done.told["models_marked"] >= 1
        and done.told["archived_cells_replaced"] > 0
    )
    reopened = Workplace.open(kept.settings.home, FixedClock(NOW + timedelta(hours=1)))
    for model, lines in scores.items():
        assert lines_of(reopened, model) == without(lines, subject.subject_id), model
    after = leads_of(reopened, KIND)
    gone = set(leads["lead_id"]) - set(after["lead_id"])
    assert len(gone) == 1
    pd.testing.assert_frame_equal(
        after.reset_index(drop=True), leads[~leads["lead_id"].isin(gone)].reset_index(drop=True)
    )
    pd.testing.assert_frame_equal(leads_of(reopened, SubjectKind.RESIDENT), others)
    # The firm stood as employer in residents' records: a stand-in took its place, so that what is counted of employers stays.
    assert reopened.store.content_hash("facts/resident/si_person_month", str(AS_OF)) == facts
    with reopened.state.session() as session:
        for entry in session.scalars(select(LeadList)):
            assert verify_export(Path(entry.folder)).sha256 == entry.sha256
        recall = session.scalars(select(Recall)).one()
        assert {recall.lead_id} == gone and recall.acknowledged_at is None
        marked = session.scalars(select(ModelMark.model_no)).all()
        version = session.get_one(ModelVersion, marked[0])
    notice = json.loads((reopened.settings.out / "recalls" / f"recall-{recall.recall_no}.json").read_text())
    assert notice["lead_id"] == recall.lead_id and notice["zh"] and notice["en"]
    require_trained_again(reopened.state, version, reopened.clock)
    with pytest.raises(GateRefused, match="erased subjects"):
        require_trained_again(reopened.state, version, FixedClock(NOW + timedelta(days=91)))


def test_the_next_run_works_trains_without_the_subject_and_keeps_the_lists(homes: Homes) -> None:
    """Runs after the erasure above: receipts, derivations and the ledger still fit, so nothing is refused or taken in again."""
    home = homes.kept.settings.home
    reopened = Workplace.open(home, FixedClock(NOW + timedelta(hours=2)))
    # What staff's facts tell of an erased employer goes when they are joined again: these alone are made anew.
    joined = {facts.fact_table for facts in reopened.blueprint.facts.values() if facts.upstream}
    raw = {
        table: reopened.store.version(table)
        for table in reopened.store.tables()
        if table[:3] in ("raw", "fac") and table not in joined
    }
    leads = leads_of(reopened, KIND)
    done = bring_up_to_date(reopened, AS_OF)
    assert len(done.models) == 4 and sorted(done.lists) == sorted(LISTS.values())
    assert {table: reopened.store.version(table) for table in raw} == raw
    pd.testing.assert_frame_equal(leads_of(reopened, KIND), leads)
    with reopened.state.session() as session:
        marked = set(session.scalars(select(ModelMark.model_no)))
        newest = session.scalars(
            select(ModelVersion).where(ModelVersion.name == MODEL).order_by(ModelVersion.model_no.desc())
        ).first()
        assert newest is not None and newest.model_no not in marked, "trained again, without the subject"


def test_a_late_erasure_stops_scoring_with_a_model_that_learned_from_the_subject(homes: Homes) -> None:
    """Every version is marked as overdue: scoring is refused until the model has been trained again."""
    kept = homes.kept
    with kept.state.session() as session:
        erasure_no = session.scalars(select(ModelMark.erasure_no)).first()
        for version in session.scalars(select(ModelVersion).where(ModelVersion.name == MODEL)):
            session.merge(
                ModelMark(
                    model_no=version.model_no, erasure_no=erasure_no, rows=1, retrain_by=NOW - timedelta(1)
                )
            )
    model = kept.blueprint.models[MODEL]
    with pytest.raises(GateRefused, match="had to be trained again"):
        score_monthly(
            model, kept.blueprint.feature_sets[model.feature_set], AS_OF, store=kept.store, state=kept.state,
            settings=kept.settings, registry=kept.registry(KIND), clock=kept.clock, entitlements=kept.entitlements(KIND),
        )  # fmt: skip


def test_the_shipped_policies_admit_no_weaker_consent_than_separate() -> None:
    for name in (*LISTS.values(), "invoice_prospects"):
        assert set(load_policy(name).consent_kinds) <= {"separate", "written"}
    assert Month(2025, 10) == AS_OF
