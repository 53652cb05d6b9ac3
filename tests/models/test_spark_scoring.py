"""Scores from Spark are those of this process, on its own cores and on a cluster that `gscene spark` starts and takes down."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from core.errors import Refusal
from core.months import Month
from core.purpose import Purpose
from core.table_store import TableStore
from features.as_of import feature_schema, feature_table
from features.catalogue import FeatureSet
from features.entitlement import Entitlement
from features.spark_chunks import SparkEngine
from features.spark_session import SparkPlace, open_session
from models.artefact import load_bundle, write_bundle
from models.batch_scoring import BatchScores, LocalScorer
from models.candidates import CandidateKind
from models.spark_scoring import SparkScorer, verified_bundle
from tests.features.test_consent_mask import RISK, SET, entitlement, feature
from tests.models.test_artefact_and_scoring import shipping
from tests.models.worlds import NAMES, matrix

pytestmark = [pytest.mark.java, pytest.mark.slow]

pytest.importorskip("pyspark", reason="needs the extra spark: pip install 'gscene[spark]'")
if shutil.which("java") is None:
    if os.environ.get("CI"):
        raise RuntimeError("CI must have Java 17: apt-get install openjdk-17-jre-headless")
    pytest.skip("needs Java 17", allow_module_level=True)

CHECKOUT = Path(__file__).parents[2]
AS_OF = Month(2026, 10)
#: More than one row group, so that there are several pieces of work.
SUBJECTS = 70_000
SOURCES = ["tax_iit_withholding", "si_person_month", "util_bill", "util_bill"]
FEATURES = FeatureSet(
    "scored", SET.subject, SET.title,
    tuple(
        dataclasses.replace(feature(source, "any_positive" if source.startswith("tax") else "sum", RISK), name=name)
        for name, source in zip(NAMES, SOURCES, strict=True)
    ),
    SET.facts,
)  # fmt: skip


def stored_features(folder: Path) -> TableStore:
    store = TableStore(folder)
    values, _ = matrix(SUBJECTS, seed=4)
    values[::7] = np.nan
    columns = {"subject_no": np.arange(SUBJECTS, dtype=np.int32)} | dict(zip(NAMES, values.T, strict=True))
    store.replace(FEATURES.table, str(AS_OF), pa.table(columns, schema=feature_schema(FEATURES)))
    return store


def consents() -> Entitlement:
    """Some may be used for everything, some without tax, some for nothing, one has withdrawn; most stand in no register."""
    kinds = ["written", "separate", "general"]
    rows: list[dict[str, object]] = [
        {"subject_no": n, "kind": kinds[n % 3], "purpose": "risk" if n % 11 else "marketing"}
        for n in range(3000)
    ]
    return dataclasses.replace(entitlement(rows), subjects=SUBJECTS)


def scored(scorer: object, store: TableStore, bundle: Path) -> BatchScores:
    assert callable(scorer)
    told = scorer(load_bundle(bundle), store, FEATURES, AS_OF, Purpose.RISK, consents())
    assert isinstance(told, BatchScores)
    return told


def assert_same(ours: BatchScores, theirs: BatchScores) -> None:
    assert 1000 < len(ours.scores) < 3000, "some are scored, some aren't"
    mine, other = (each.scores.sort_values("subject_no").reset_index(drop=True) for each in (ours, theirs))
    pd.testing.assert_frame_equal(mine, other, rtol=1e-12, atol=0.0)
    assert ours.ineligible == theirs.ineligible and ours.ineligible.without_any > 60_000


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkPlace]:
    place = SparkPlace("local[2]", "1g", tmp_path_factory.mktemp("spark"))
    yield place
    open_session(place).stop()


@pytest.mark.parametrize("kind", list(CandidateKind))
def test_spark_scores_everyone_entitled_as_this_process_does(
    place: SparkPlace, tmp_path: Path, kind: CandidateKind
) -> None:
    store = stored_features(tmp_path / "lake")
    write_bundle(shipping(kind), tmp_path / "bundle")
    ours = scored(LocalScorer(1), store, tmp_path / "bundle")
    assert_same(ours, scored(SparkScorer(place), store, tmp_path / "bundle"))


def test_a_month_without_features_gives_no_scores(place: SparkPlace, tmp_path: Path) -> None:
    write_bundle(shipping(CandidateKind.SCORECARD), tmp_path / "bundle")
    told = scored(SparkScorer(place), TableStore(tmp_path / "lake"), tmp_path / "bundle")
    assert len(told.scores) == 0 and list(told.scores.columns) == ["subject_no", "pd", "points", "grade"]


def test_a_worker_checks_the_bundle_once_and_refuses_another(tmp_path: Path) -> None:
    sha256 = write_bundle(shipping(CandidateKind.LIGHTGBM), tmp_path / "bundle")
    first = verified_bundle(str(tmp_path / "bundle"), sha256)
    assert verified_bundle(str(tmp_path / "bundle"), sha256) is first
    with pytest.raises(Refusal):
        verified_bundle(str(tmp_path / "bundle"), "0" * 64)


# -- a cluster ---------------------------------------------------------------------------------------------------------


def on_cluster(home: str, master: str) -> None:
    """What a process of its own computes on the cluster of the home: features of made-up facts, and scores."""
    from tests.features.test_spark_catalogue import AS_OF as MONTH

    folder = Path(home)
    place = SparkPlace(master, "512m", folder / "spark")
    made = SparkEngine(place).chunks(TableStore(folder / "facts"), some_features(), MONTH, 5, None, None)
    pa.concat_tables(list(made)).to_pandas().to_parquet(folder / "features.parquet")
    told = scored(SparkScorer(place), TableStore(folder / "lake"), folder / "bundle")
    told.scores.to_parquet(folder / "scores.parquet")
    (folder / "without_any.json").write_text(json.dumps(told.ineligible.without_any))


def some_features() -> FeatureSet:
    """Every eighth feature of residents; all of them are compared on local[2] (`tests/features/test_spark_catalogue.py`)."""
    from tests.features.test_spark_catalogue import CATALOGUE

    whole = CATALOGUE["resident_monthly"]
    return FeatureSet(whole.name, whole.subject, whole.title, whole.features[::8], whole.facts)


def computing(home: Path, port: str, limit: int = 60) -> str:
    """Python text of `on_cluster`, which waits so many seconds for an executor."""
    return (
        f"import features.spark_session as session; session.EXECUTOR_LIMIT = {limit}; "
        "from tests.models.test_spark_scoring import on_cluster; "
        f"on_cluster({str(home)!r}, 'spark://127.0.0.1:{port}')"
    )


def run(*arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=400, check=False
    )  # fmt: skip


def marked(mark: str) -> dict[int, str]:
    """Processes that inherited the mark, by number; any process of the cluster does, whoever started it."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes():
                found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    return found


def addresses(processes: list[int]) -> set[str]:
    """Local addresses on which these processes accept connections."""
    sockets = set()
    for process in processes:
        for entry in Path(f"/proc/{process}/fd").glob("*"):
            try:
                sockets.add(os.readlink(entry))
            except OSError:
                continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                found.add(fields[1].split(":")[0])
    return found


def test_a_cluster_on_loopback_gives_the_same_and_leaves_nothing_behind(tmp_path: Path) -> None:
    from tests.features.spark_parity import apart
    from tests.features.test_spark_catalogue import AS_OF as MONTH
    from tests.features.test_spark_catalogue import made_up_facts

    facts = made_up_facts(tmp_path / "facts", some_features())
    store = stored_features(tmp_path / "lake")
    write_bundle(shipping(CandidateKind.LIGHTGBM), tmp_path / "bundle")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    mark = uuid.uuid4().hex
    # HOME is one of the few variables that reach the cluster's processes.
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "HOME": f"{tmp_path}/{mark}"}
    up = subprocess.Popen(
        [sys.executable, "-m", "gscene", "spark", "up", "--home", str(tmp_path), "--port", port, "--memory", "1g"],
        cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        assert up.stdout is not None
        assert up.stdout.readline().strip() == f"master: spark://127.0.0.1:{port}"
        assert len(marked(mark)) == 3 and addresses(list(marked(mark))) == {"0100007F"}
        secret = (
            (tmp_path / "spark" / "conf" / "spark-defaults.conf").read_text().split("secret ")[1].split()[0]
        )
        assert not any(secret in command for command in marked(mark).values())
        done = run("-c", computing(tmp_path, port), environment=environment)
        assert done.returncode == 0, done.stderr
        asked = ["-m", "gscene", "spark", "status", "--home", str(tmp_path), "--json"]
        told = json.loads(run(*asked, environment=environment).stdout)
        assert told["up"] is True
        # Whoever doesn't have the secret gets nothing from the cluster.
        shutil.copytree(tmp_path / "facts", tmp_path / "other" / "facts")
        refused = run("-c", computing(tmp_path / "other", port, limit=8), environment=environment)
        assert refused.returncode != 0 and "gives no executor" in refused.stderr
        ended = run("-m", "gscene", "spark", "down", "--home", str(tmp_path), environment=environment)
        assert ended.stdout.strip() == "stopped: True"
        assert up.wait(30) == 0
    finally:
        if up.poll() is None:
            up.send_signal(signal.SIGTERM)
            up.wait(60)
    deadline = time.monotonic() + 20
    while marked(mark) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert marked(mark) == {}
    assert not (tmp_path / "spark" / "conf").exists() and not (tmp_path / "spark" / "cluster.json").exists()
    ours = feature_table(facts, some_features(), MONTH).to_pandas().set_index("subject_no")
    assert apart(ours, pd.read_parquet(tmp_path / "features.parquet").set_index("subject_no")) == []
    local = scored(LocalScorer(1), store, tmp_path / "bundle")
    theirs = pd.read_parquet(tmp_path / "scores.parquet")
    pd.testing.assert_frame_equal(local.scores, theirs, rtol=1e-9, atol=0.0)
    assert json.loads((tmp_path / "without_any.json").read_text()) == local.ineligible.without_any


def test_a_killed_supervisor_takes_the_cluster_along(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    mark = uuid.uuid4().hex
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "HOME": f"{tmp_path}/{mark}"}
    up = subprocess.Popen(
        [sys.executable, "-m", "gscene", "spark", "up", "--home", str(tmp_path), "--port", port, "--memory", "512m"],
        cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        assert up.stdout is not None and up.stdout.readline()
    finally:
        up.kill()
        up.wait()
    deadline = time.monotonic() + 20
    while marked(mark) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert marked(mark) == {}
    ended = run("-m", "gscene", "spark", "down", "--home", str(tmp_path), environment=environment)
    assert ended.stdout.strip() == "stopped: False" and not (tmp_path / "spark" / "conf").exists()
