"""A province so small that it fits a test, from raw deliveries to lists, twice: the second time nothing may change."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest
from markupsafe import escape
from sqlalchemy import select

from core import audit
from core.clock import FixedClock
from core.errors import ExitCode, SignOffRefused
from core.progress import SilentProgress
from core.purpose import Purpose
from core.state import Delivery, ModelVersion
from core.subject import SubjectKind
from features.consent_mask import stored_mask
from features.ineligible import Ineligible
from gscene.console import Reporter
from gscene.run import finish
from leads.policy import load_policies
from models.artefact import load_bundle
from models.decision.judged_scores import judged_scores
from models.decision.policy import SHIPPED, check_policy, load_decision_policy
from models.decision.study import study_policy
from models.explanation.asked_reasons import ask_reasons
from models.lifecycle import name_of
from models.lifecycle import versions_of as trained_versions
from models.promotion_key import create_key, load_promotion_key
from models.reproduction import reproduce
from models.signing_desk import SigningDesk
from pipelines.asset_style import asset_key
from pipelines.launch import launch
from pipelines.workplace import Workplace, blueprint
from tests.features.spark_parity import apart
from tests.pipelines.small_province import (
    AS_OF,
    LISTS,
    ON,
    Province,
    approached,
    in_force,
    lighter,
    published,
    register,
    rows_of,
    run_twice,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def province(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Province]:
    plan = blueprint()
    plan = replace(plan, models={name: lighter(model) for name, model in plan.models.items()})
    with pytest.MonkeyPatch.context() as patch:
        for module in ("pipelines.workplace", "pipelines.build"):
            patch.setattr(f"{module}.blueprint", lambda: plan)
        yield run_twice(tmp_path_factory)


# -- it runs -----------------------------------------------------------------------------------------------------------


def test_every_model_and_list_of_the_province_is_made(province: Province) -> None:
    assert sorted(province.first.models) == [
        "enterprise_acquisition", "enterprise_risk", "resident_acquisition", "resident_risk",
    ]  # fmt: skip
    assert sorted(province.first.lists) == sorted(LISTS.values())
    assert len(province.lists) == 2


def test_every_delivered_row_is_accounted_for(province: Province) -> None:
    with province.workplace.state.session() as session:
        entries = list(session.scalars(select(Delivery)))
        assert {entry.state for entry in entries} == {"ACCEPTED"}
        for entry in entries:
            left = sum(reason.rows for reason in entry.left_out)
            assert entry.rows_delivered == (entry.rows_accepted or 0) + left, entry.delivery_no
        told = Counter[str]()
        for entry in entries:
            told[f"raw/{entry.subject}/{entry.table}"] += entry.rows_accepted or 0
    store = province.workplace.store
    for table, rows in told.items():
        assert sum(store.rows(table, period) for period in store.partitions(table)) == rows, table


# -- nothing new, nothing changes --------------------------------------------------------------------------------------


def test_running_again_with_nothing_new_changes_no_table(province: Province) -> None:
    assert province.second == province.first
    assert province.versions_again == province.versions


def test_running_again_publishes_no_second_list(province: Province) -> None:
    assert published(province.workplace) == province.lists
    assert (
        sorted(folder.name for folder in (province.workplace.settings.out / "leads").iterdir())
        == province.lists
    )


def test_there_is_one_training_and_one_mlflow_run_a_model(province: Province) -> None:
    with province.workplace.state.session() as session:
        recorded = {v.name: v.mlflow_run_id for v in session.scalars(select(ModelVersion))}
        assert session.query(ModelVersion).count() == 4
    file = province.workplace.settings.home / "mlflow.db"
    with sqlite3.connect(file) as database:
        runs = [run for (run,) in database.execute("select run_uuid from runs")]
    assert sorted(runs) == sorted(recorded.values())


def test_a_training_is_repeated_from_its_card_to_the_byte(province: Province) -> None:
    at, name = province.workplace, "enterprise_risk"
    with at.state.session() as session:
        version = session.scalars(select(ModelVersion).where(ModelVersion.name == name)).one()
    features = at.blueprint.feature_sets["enterprise_monthly"]
    asked = {"store": at.store, "state": at.state, "settings": at.settings, "progress": SilentProgress()}
    found = reproduce(version, features, **asked, entitlements=at.entitlements(SubjectKind.ENTERPRISE))
    assert found.same and not found.differing


def test_every_training_was_validated(province: Province) -> None:
    """Beside each bundle lie the findings on its judged rows; it serves what was validated; MLflow has the numbers."""
    bundles = province.workplace.settings.bundles
    files = sorted(bundles.glob("*/*.evidence/validation.json"))
    assert len(files) == 4
    for file in files:
        plain = json.loads(file.read_text(encoding="utf-8"))
        found = {each["name"]: each for each in plain["findings"]}
        assert found["leakage.suspect_features"]["verdict"] in ("pass", "unmeasured")
        assert found["sensitivity.monotonicity"]["verdict"] in ("pass", "unmeasured")
        assert found["fairness.approval_ratio"]["verdict"] == "unmeasured"
        assert {each["about"] for each in plain["findings"] if each["name"] == "segments.auc_loss"} >= {
            "thin_file",
            "branch",
        }
        if "out_of_time" in _metrics(province, file):
            assert found["leakage.served_parity"]["value"] == 0.0
        assert "validation.findings_fail" in _metrics(province, file)
        report = province.workplace.settings.out / "reports" / file.parent.parent.name / f"{AS_OF}.html"
        assert "Brier" in report.read_text(encoding="utf-8")


def _metrics(province: Province, file: Path) -> str:
    """Names of the metrics that the state database and MLflow hold of a bundle's training, as one text."""
    with province.workplace.state.session() as session:
        (version,) = session.scalars(
            select(ModelVersion).where(ModelVersion.name == file.parent.parent.name)
        ).all()
    database = sqlite3.connect(province.workplace.settings.home / "mlflow.db")
    told = {
        row[0]
        for row in database.execute("select key from metrics where run_uuid = ?", (version.mlflow_run_id,))
    }
    assert told == set(version.metrics)
    return " ".join(sorted(told))


def test_the_audit_chain_tells_of_everything_once(province: Province) -> None:
    with province.workplace.state.session() as session:
        assert audit.verify(session) > 0
        actions = Counter(session.scalars(select(audit.AuditEvent.action)))
        deliveries = session.query(Delivery).count()
    assert actions["delivery.accepted"] == deliveries
    assert actions["model.trained"] == 4
    assert actions["leads.publish"] == 2


# -- who is on a list --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(SubjectKind))
def test_nobody_is_listed_without_consent(province: Province, kind: SubjectKind) -> None:
    consents = register(province, kind, "consent_register", ["consent_id"])
    consents = consents[consents["purpose"] == "marketing"]
    allowed = {row.subject_no for row in consents.itertuples() if in_force(row)}
    withdrawn = consents[consents["withdrawn_at"].notna()]
    # A withdrawal ends every consent granted up to that day.
    taken_back = {
        row.subject_no
        for row in withdrawn.itertuples()
        if not any(
            in_force(other) and other.granted_at > row.withdrawn_at
            for other in consents[consents["subject_no"] == row.subject_no].itertuples()
        )
    }
    listed = approached(province, kind)
    assert listed, "an empty list would prove nothing"
    assert set(consents["subject_no"]) - allowed, "nobody without consent would prove nothing"
    assert listed <= allowed - taken_back


@pytest.mark.parametrize("kind", list(SubjectKind))
def test_nobody_is_listed_who_is_suppressed(province: Province, kind: SubjectKind) -> None:
    entries = register(province, kind, "suppression", ["subject_no", "scope", "from_date"])
    now = {
        row.subject_no
        for row in entries.itertuples()
        if row.from_date <= ON and (pd.isna(row.to_date) or row.to_date >= ON)
    }
    assert now, "nobody suppressed would prove nothing"
    assert not approached(province, kind) & now


@pytest.mark.parametrize("kind", list(SubjectKind))
def test_nobody_is_listed_who_holds_the_product_or_was_asked_lately(
    province: Province, kind: SubjectKind
) -> None:
    store, policy = province.workplace.store, LISTS[kind]
    products = load_policies()[policy].holder_products
    accounts = store.read(f"raw/{kind}/bk_account_month", [str(AS_OF)]).to_pandas()
    holders = set(accounts.loc[accounts["product"].isin(products), "subject_no"])
    assert holders and not approached(province, kind) & holders
    asked = store.read(f"raw/{kind}/mk_assignment").to_pandas()
    days = load_policies()[policy].contact.cool_off_days
    lately = asked[(asked["arm"] == "treat") & (asked["assigned_date"] > ON - timedelta(days=days))]
    assert not approached(province, kind) & set(lately["subject_no"])


# -- what goes out -----------------------------------------------------------------------------------------------------


def test_score_files_have_the_agreed_columns_and_everyone_once(province: Province) -> None:
    for name in province.first.models:
        file = province.workplace.settings.out / "scores" / name / f"{AS_OF}.csv"
        rows = rows_of(file)
        assert file.read_text(encoding="utf-8").splitlines()[0].replace('"', "") == (
            "provider_code,subject_id,as_of,pd,points,grade,model_version,knowledge_cutoff"
        )
        kind = SubjectKind(name.split("_")[0])
        stored = province.workplace.store.read(f"scores/{kind}/{name}", [str(AS_OF)])
        assert len(rows) == stored.num_rows == len({row["subject_id"] for row in rows})
        assert {row["as_of"] for row in rows} == {str(AS_OF)}
        assert all(0.0 < float(row["pd"]) < 1.0 and 1 <= int(row["grade"]) <= 10 for row in rows)
        assert [row["provider_code"] for row in rows] == sorted(row["provider_code"] for row in rows)


def test_lists_name_no_score_and_no_feature(province: Province) -> None:
    features = {f for s in province.workplace.blueprint.feature_sets.values() for f in s.names}
    for folder in (province.workplace.settings.out / "leads").iterdir():
        for file in folder.glob("*.csv"):
            header = set(rows_of(file)[0]) if rows_of(file) else set()
            assert not header & (features | {"pd", "points", "grade", "propensity", "subject_no"}), file.name


def test_no_pseudonym_is_in_logs_ledgers_or_metadata(province: Province) -> None:
    """`k1:` begins every pseudonym; tables and the files that go out hold them, nothing else may."""
    home = province.workplace.settings.home
    sample = province.workplace.registry(SubjectKind.RESIDENT).table().column("subject_id")[0].as_py()
    assert sample.startswith("k1:")
    searched = [
        path
        for place in ("dagster", "mlflow.db", "mlflow-artifacts", "state.db", "models", "out/reports")
        for path in ([home / place] if (home / place).is_file() else sorted((home / place).rglob("*")))
        if path.is_file()
    ]
    assert {"mlflow.db", "state.db"} <= {path.name for path in searched}
    assert any("history" in path.parts for path in searched)
    assert any(path.suffix == ".docx" for path in searched)
    assert [str(path.relative_to(home)) for path in searched if b"k1:" in _readable(path)] == []


def _readable(path: Path) -> bytes:
    """The bytes of a file; of a Word file or workbook its texts, as compressed bytes would hide them and match by chance."""
    if path.suffix not in (".docx", ".xlsx"):
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        return b"\n".join(
            archive.read(name) for name in archive.namelist() if name.endswith((".xml", ".rels"))
        )


# -- who approved it ---------------------------------------------------------------------------------------------------


def test_what_no_person_approved_says_so_everywhere(province: Province) -> None:
    settings, told = province.workplace.settings, "not approved by people"
    for name in province.first.models:
        report = settings.out / "reports" / name / f"{AS_OF}.html"
        assert told in report.read_text(encoding="utf-8")
        for folder in (settings.bundles / name).glob(f"{AS_OF}-????????????"):
            assert told in (folder / "model.json").read_text(encoding="utf-8")
    for folder in (settings.out / "leads").iterdir():
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        assert told in manifest["approval"]["en"]
        # The drawn arm has no model behind it.
        ranked = [row for row in rows_of(folder / "leads_en.csv") if row["Model version"]]
        versions = {row["Model version"] for row in ranked}
        assert versions and all("+demo" in version for version in versions)


@pytest.fixture(scope="module")
def real(province: Province, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """The same home without the demo's setting, as a bank's is."""
    home = tmp_path_factory.mktemp("real") / "home"
    shutil.copytree(province.workplace.settings.home, home)
    (home / "gscene.yaml").write_text("threads: 1\n", encoding="utf-8")
    return Workplace.open(home, FixedClock(datetime(2025, 11, 8, 4, tzinfo=UTC)))


def test_a_real_home_publishes_no_score_that_people_have_not_signed_for(
    real: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    """From Dagster, as a backfill over months and by `gscene run`: the same gate."""
    scores = asset_key("scores", SubjectKind.RESIDENT, "resident_risk")
    before = real.store.version("scores/resident/resident_risk")
    for first in (AS_OF, AS_OF.plus(-1)):
        with pytest.raises(SignOffRefused) as refused:
            launch(real, [scores], first, AS_OF)
        assert refused.value.code in ("SIGN_OFF/AUTOMATIC", "SIGN_OFF/MISSING") and refused.value.remedy
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.catch_up._has_sources", lambda _, model: model.name == "resident_risk")
        capsys.readouterr()
        assert finish(real, AS_OF, Reporter(as_json=True)) == ExitCode.GATE_REFUSED
    said = json.loads(capsys.readouterr().out)
    (unsigned,) = said["unsigned"]
    assert unsigned["model"] == "resident_risk" and "gscene models" in unsigned["what to do"]
    assert unsigned["code"] in ("SIGN_OFF/AUTOMATIC", "SIGN_OFF/MISSING")
    assert said["approval"] == "required" and "scores resident_risk" not in said
    assert real.store.version("scores/resident/resident_risk") == before


def test_signed_by_three_people_it_scores(real: Workplace, tmp_path: Path) -> None:
    desk = SigningDesk(real.state, real.settings, real.clock)
    with real.state.session() as session:
        demo, version = trained_versions(session, "resident_risk")
    assert demo.bundle_sha256 != version.bundle_sha256, "a demo's bundle says on its card that it is one"
    features = json.dumps(real.blueprint.feature_sets["resident_monthly"].names)
    (real.settings.impact_assessments).mkdir()
    (real.settings.impact_assessments / "PIA-1.yaml").write_text(
        "pia: PIA-1\ntitle: x\nassessed_by: y\nassessed_on: 2025-01-01\nvalid_until: 2026-12-31\n"
        f"subjects: [resident]\npurposes: [risk]\nfeatures: {features}\n",
        encoding="utf-8",
    )
    create_key(tmp_path / "promotion.pem", real.settings, real.state, real.clock, "Key Officer")
    key = load_promotion_key(tmp_path / "promotion.pem", real.settings)
    desk.submit(version, "Author A", "retrained")
    desk.validate(version, "Validator B", "report read")
    desk.approve(version, "Approver C", "committee", key, pia="PIA-1")
    desk.promote(version, "Operator D", "go-live")
    launch(real, [asset_key("scores", SubjectKind.RESIDENT, "resident_risk")], AS_OF, AS_OF)
    table = real.store.read("scores/resident/resident_risk", [str(AS_OF)], columns=["model_version"])
    assert set(table["model_version"].to_pylist()) == {name_of(version)}


# -- reasons and decisions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(SubjectKind))
def test_reasons_are_told_of_the_shipped_models(province: Province, kind: SubjectKind) -> None:
    """With the shipped catalogue, sentences and exclusions, for subjects that were scored."""
    at, definition = province.workplace, province.workplace.blueprint.models[f"{kind}_risk"]
    feature_set = at.blueprint.feature_sets[definition.feature_set]
    scored = (
        at.store.read(f"scores/{kind}/{kind}_risk", [str(AS_OF)], ["subject_no", "pd"]).to_pandas().head(60)
    )
    tokens = at.registry(kind).subject_ids(scored["subject_no"].to_numpy()).to_pylist()
    told = ask_reasons(
        definition, feature_set, AS_OF, tokens, actor="Wang Fang", reason="test", store=at.store, state=at.state,
        settings=at.settings, registry=at.registry(kind), clock=at.clock, entitlements=at.entitlements(kind),
    )  # fmt: skip
    reasons = [subject.reasons for subject in told.subjects if subject.reasons is not None]
    assert [each.pd for each in reasons] == scored["pd"].tolist() and any(each.reasons for each in reasons)
    assert told.drafts and "+demo" in told.model_version
    phrases = {feature.phrase: feature for feature in feature_set.features if feature.fairness == "none"}
    for each in reasons:
        assert len(each.reasons) <= 4 and all(reason.code in told.texts for reason in each.reasons)
        assert all(reason.code in phrases or reason.code.startswith("NO_") for reason in each.reasons)


@pytest.mark.parametrize("kind", list(SubjectKind))
def test_the_example_policies_can_be_studied(province: Province, kind: SubjectKind) -> None:
    at, definition = province.workplace, province.workplace.blueprint.models[f"{kind}_risk"]
    feature_set, file = at.blueprint.feature_sets[definition.feature_set], SHIPPED / f"{kind}_credit.yaml"
    policy = load_decision_policy(file)
    # The feeds that some vetoes stand on are left out here; the features are there, and missing.
    check_policy(policy, file, definition, feature_set)
    with at.state.session() as session:
        version = trained_versions(session, definition.name)[-1]
    bundle = load_bundle(at.settings.home / version.bundle, version.bundle_sha256)
    judged = judged_scores(
        definition,
        feature_set,
        [bundle],
        store=at.store,
        state=at.state,
        entitlements=at.entitlements(kind),
        threads=1,
    )
    study = study_policy(policy, judged)
    measured = bundle.card.record["steps"]["split: out-of-time rows"]
    assert not study.seen and study.rows == measured > 50
    assert (
        sum(counts[2] for counts in study.outcomes.values())
        == bundle.card.record["steps"]["split: out-of-time events"]
    )


# -- screening ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "name"), [(k, f"{k}_monthly") for k in SubjectKind])
def test_screening_is_a_page_and_figures_in_dagster(province: Province, kind: SubjectKind, name: str) -> None:
    settings = province.workplace.settings
    page = settings.out / "reports" / f"screening_{name}" / f"{AS_OF}.html"
    text = page.read_text(encoding="utf-8")
    feature_set = province.workplace.blueprint.feature_sets[name]
    # Looked at with the outcomes of the risk model, and so with what risk may see.
    looked_at = [feature for feature in feature_set.features if Purpose.RISK in feature.purposes]
    assert all(feature.name in text and str(escape(feature.title.zh)) in text for feature in looked_at)
    key = asset_key("reports", kind, f"screening_{name}")
    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        event = instance.get_latest_materialization_event(key)
        assert event is not None and event.asset_materialization is not None
        told = event.asset_materialization.metadata
    assert told["features"].value == len(looked_at) and told["outcomes"].value > 100
    assert told["page"].value == str(page)
    picture = str(told["information value"].value)
    assert picture.startswith("![](data:image/png") and len(picture) < 40_000 * 4 / 3 + 100
    # What marketing alone may see stands on a page of its own.
    for_marketing = feature_set.for_purpose(Purpose.MARKETING)
    assert told["marketing features"].value == len(for_marketing)
    own = page.with_name(f"{AS_OF}_marketing.html").read_text(encoding="utf-8")
    assert str(told["marketing page"].value).endswith("_marketing.html")
    assert all(name in own for name in for_marketing)


# -- on Spark ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def on_spark(province: Province) -> Iterator[Workplace]:
    pytest.importorskip("pyspark", reason="needs the extra spark: pip install 'gscene[spark]'")
    if shutil.which("java") is None:
        assert not os.environ.get("CI"), "CI must have Java 17: apt-get install openjdk-17-jre-headless"
        pytest.skip("needs Java 17")
    from features.spark_session import SparkPlace, open_session

    chosen = province.workplace.on_engine("spark", "local[2]")
    yield chosen
    open_session(SparkPlace.of(chosen.settings)).stop()


@pytest.mark.java
@pytest.mark.parametrize("kind", list(SubjectKind))
def test_spark_gives_the_same_features_and_leaves_out_the_same_subjects(
    province: Province, on_spark: Workplace, kind: SubjectKind
) -> None:
    feature_set = province.workplace.blueprint.feature_sets[f"{kind}_monthly"]
    mask = stored_mask(feature_set, on_spark.entitlements(kind).as_known_then(AS_OF), AS_OF)
    told = []
    for engine in (province.workplace.engine, on_spark.engine):
        counted = Ineligible()
        made = list(engine.chunks(on_spark.store, feature_set, AS_OF, 5, mask, counted))
        told.append((pa.concat_tables(made).to_pandas().set_index("subject_no"), counted))
    (ours, mine), (theirs, other) = told
    assert len(ours) > 300 and ours.isna().to_numpy().any() and mine.without_any > 10
    assert apart(ours, theirs) == []
    assert mine == other


@pytest.mark.java
@pytest.mark.parametrize("kind", list(SubjectKind))
def test_spark_gives_the_same_scores(province: Province, on_spark: Workplace, kind: SubjectKind) -> None:
    """Through Dagster, as a person would who has set the engine: the file that goes back is the same, byte for byte."""
    file = on_spark.settings.out / "scores" / f"{kind}_risk" / f"{AS_OF}.csv"
    before = file.read_bytes()
    file.unlink()
    launch(on_spark, [asset_key("scores", kind, f"{kind}_risk")], AS_OF, AS_OF)
    assert file.read_bytes() == before and before.count(b"\n") > 200
