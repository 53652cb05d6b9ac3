"""`gscene pull` as a shell sees it, and the Dagster job beside it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
import yaml
from sqlalchemy import select

from core.clock import FixedClock
from core.settings import Settings
from core.state import Delivery, StateDatabase
from pipelines.build import build_definitions
from pipelines.pull_job import PullConfig, pull_deliveries
from pipelines.workplace import Workplace
from tests.gscene.command import OUT_HEADER, gscene, invoice_rows, lay, packed


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a drop of two months of invoices, and a connection whose folder isn't there."""
    drop = tmp_path / "drop"
    for month in ("2024-09", "2024-10"):
        rows = invoice_rows(month)
        lay(drop, month, packed(OUT_HEADER, rows), len(rows))
    connect(tmp_path / "home", "front", str(drop))
    return tmp_path / "home"


def connect(home: Path, name: str, path: str) -> None:
    (home / "connections").mkdir(parents=True, exist_ok=True)
    told = {"connection": name, "kind": "drop", "brings": ["sme_tax_out"], "path": path, "settle": 0}
    told |= {"retry": {"attempts": 1}}
    (home / "connections" / f"{name}.yaml").write_text(yaml.safe_dump(told), encoding="utf-8")


def test_it_pulls_tells_a_table_and_does_it_once(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = gscene(capsys, "pull", "--home", home)
    assert said.code == 0 and "Pulled / 拉取" in said.err and "front" in said.err
    again = gscene(capsys, "pull", "front", "--home", home, "--json")
    assert again.code == 0
    assert again.json["pulled"] == [{
        "connection": "front", "state": "done", "new": [], "bytes": 0, "resumed": 0, "refused": {}, "waiting": 0,
        "receipts": 0, "problem": "", "remedy": "",
    }]  # fmt: skip


def test_then_run_takes_in_what_came(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The run itself ends with 1: there is nothing here that a model could learn from."""
    said = gscene(capsys, "pull", "--then-run", "--home", home)
    assert said.code == 1 and "learn from" in said.err and "Pulled" in said.err
    with StateDatabase(Settings.load(home).state_url).session() as session:
        assert list(session.scalars(select(Delivery.state))) == ["ACCEPTED", "ACCEPTED"]
    # Nothing new: nothing is run.
    assert gscene(capsys, "pull", "--then-run", "--home", home).code == 0


def test_one_that_is_down_ends_with_1_and_the_others_are_pulled(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    connect(home, "absent", str(tmp_path / "nowhere"))
    said = gscene(capsys, "pull", "--home", home, "--json")
    states = {one["connection"]: (one["state"], len(one["new"])) for one in said.json["pulled"]}
    assert said.code == 1 and states == {"absent": ("SOURCE_UNAVAILABLE", 0), "front": ("done", 2)}


def test_check_takes_nothing(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = gscene(capsys, "pull", "--check", "front", "--home", home, "--json")
    assert said.code == 0 and [f["ok"] for f in said.json["front"]] == [True, True]
    assert not (home / "inbox").exists()
    connect(home, "absent", str(tmp_path / "nowhere"))
    said = gscene(capsys, "pull", "--check", "absent", "--home", home)
    assert said.code == 1 and "PROBLEM" in said.err


def test_unknown_names_and_empty_homes_say_what_there_is(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = gscene(capsys, "pull", "nobody", "--home", home)
    assert said.code == 1 and "nobody" in said.err and "front" in said.err
    said = gscene(capsys, "pull", "--home", home.parent / "new")
    assert said.code == 1 and "docs/connectors.md" in said.err


def test_a_wrong_file_is_told_by_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = home / "connections" / "front.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "speed: 9\n", encoding="utf-8")
    said = gscene(capsys, "pull", "--home", home, "--json")
    assert said.code == 1 and said.json["place"].endswith("front.yaml:9")


def workplace(home: Path) -> Workplace:
    return Workplace.open(home, FixedClock(datetime(2100, 1, 1, tzinfo=UTC)))


def test_the_dagster_job_pulls(home: Path) -> None:
    job = build_definitions(workplace=workplace(home)).resolve_job_def("pull")
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance)
    assert result.success and len(list((home / "inbox").rglob("manifest.json"))) == 2


@pytest.mark.parametrize("down", [True, False])
def test_dagster_tries_a_pull_again_where_that_may_help(home: Path, tmp_path: Path, down: bool) -> None:
    """A source that wasn't to be had: yes. A delivery that was refused: no. What could be had is in all the same."""
    if down:
        connect(home, "absent", str(tmp_path / "nowhere"))
    else:
        next((tmp_path / "drop").rglob("2024-10-r1/manifest.json")).write_text("{")
    context = dg.build_op_context(resources={"workplace": workplace(home)})
    with pytest.raises(dg.Failure) as failed:
        pull_deliveries(context, PullConfig())
    assert failed.value.allow_retries is down
    assert pull_deliveries.retry_policy is not None and pull_deliveries.retry_policy.max_retries == 2
    assert len(list((home / "inbox").rglob("manifest.json"))) == (2 if down else 1)
