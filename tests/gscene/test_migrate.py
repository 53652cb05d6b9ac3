"""`gscene migrate`: what people and scripts see, from the plan to the signed cut-over; and a report that a manager can read."""

from __future__ import annotations

import ast
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from core.clock import FixedClock
from core.errors import GateRefused
from core.months import Month
from gscene.__main__ import cli
from gscene.migrate import migrate
from pipelines.migration_check import check_migration
from pipelines.migration_report import LIGHTS
from sources.migration.check_texts import check_texts, percent
from sources.migration.finding import CHECKS
from tests.gscene.command import Said, gscene
from tests.pipelines.migration_world import (
    CHECK_DAY,
    CHECKER,
    DUAL_FIRST,
    DUAL_LAST,
    NAME,
    NEW_IDS,
    OLD_IDS,
    PLANNER,
    SIGNER,
    MigrationWorld,
    base,
    made_up_adapters,
    world,
)
from tests.pipelines.test_migration_faults import FAULTS, UNREAD, VAT

__all__ = ["base", "made_up_adapters", "world"]

Capture = pytest.CaptureFixture[str]
CHECKOUT = Path(__file__).parents[2]


@pytest.mark.parametrize("command", sorted(migrate.commands))
def test_every_command_teaches_by_example_in_both_languages(command: str, capsys: Capture) -> None:
    said = gscene(capsys, "migrate", command, "--help")
    assert said.code == 0
    assert f"gscene migrate {command}" in said.out and "Example" in said.out
    assert re.search(r"[\u4e00-\u9fff]{4}", said.out)


def test_the_group_shows_the_way() -> None:
    told = cli.commands["migrate"].get_short_help_str(200) + (migrate.help or "")
    assert [
        told.index(f"migrate {step}") for step in ("plan", "start", "check", "sign", "cut-over", "retire")
    ] == sorted(
        told.index(f"migrate {step}") for step in ("plan", "start", "check", "sign", "cut-over", "retire")
    )


@pytest.mark.slow
def test_the_whole_way_by_commands(world: MigrationWorld, capsys: Capture) -> None:
    def run(*arguments: str) -> Said:
        return gscene(capsys, "migrate", *arguments, "--home", world.home, "--json")

    assert run("plan", NAME, "--as", PLANNER).json["state"] == "mapped"
    assert run("start", NAME, "--as", PLANNER).json["state"] == "dual_run"
    world.new_side(
        DUAL_FIRST, DUAL_LAST, FAULTS["suppression lost: one protected subject not in the crosswalk"].change
    )
    checked = run("check", NAME, "--as", CHECKER)
    assert checked.code == 0 and checked.json["passed"] is True
    assert set(checked.json["lights"]) == set(CHECKS)
    refused = run("sign", NAME, "--as", CHECKER)
    assert refused.code == 3 and "may not sign it off" in refused.json["error"] and refused.json["remedy"]
    assert run("cut-over", NAME, "--as", PLANNER).code == 3
    assert run("sign", NAME, "--as", SIGNER).json["state"] == "signed_off"
    done = run("cut-over", NAME, "--as", PLANNER).json
    assert done["state"] == "rollback_window" and done["subjects re-keyed"] == len(OLD_IDS)
    assert run("retire", NAME, "--as", PLANNER).code == 3
    assert run("rollback", NAME, "--as", PLANNER, "--reason", "a drill").json["state"] == "rolled_back"
    (told,) = run("status", NAME).json["migrations"]
    assert told["state"] == "rolled_back"
    assert run("status").code == 0
    assert run("start", "nobody", "--as", PLANNER).code == 1
    assert gscene(capsys, "migrate", "sign", NAME, "--home", world.home).code == 2, "somebody must sign"


@pytest.mark.slow
def test_a_check_that_blocks_ends_with_the_gates_code_and_names_what(
    world: MigrationWorld, capsys: Capture
) -> None:
    world.desk.start(NAME, PLANNER)
    world.new_side(DUAL_FIRST, DUAL_LAST, FAULTS["unit: one amount in 万元"].change)
    said = gscene(capsys, "migrate", "check", NAME, "--as", CHECKER, "--home", world.home)
    assert said.code == 3
    assert "PC05" in said.err and "RED" in said.err and "report.html" in said.out


class Page(HTMLParser):
    """What a page shows and loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.texts: list[str] = []
        self.lamps: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        told = dict(attributes)
        self.loads += [value for name, value in attributes if name in ("src", "href", "srcset") and value]
        if tag == "span" and (told.get("class") or "").startswith("lamp "):
            self.lamps.append((told.get("class") or "").split()[1])

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.mark.slow
def test_a_manager_reads_what_blocks_and_whom_to_call(world: MigrationWorld, capsys: Capture) -> None:
    waiver = {"check": "PC08", "reason": "agreed with the province", "who": "Zhao Min", "until": "2099-12-31"}
    world.desk.plan(world.define(waivers=[waiver]), PLANNER)
    world.desk.start(NAME, PLANNER)

    unit = FAULTS["unit: one amount in 万元"].change
    assert unit is not None

    def bent(frame: pd.DataFrame, table: str, month: Month) -> pd.DataFrame:
        frame = unit(frame, table, month)
        return frame.assign(**{UNREAD: frame[UNREAD].mask(frame.index % 50 == 9)}) if table == VAT else frame

    world.new_side(DUAL_FIRST, DUAL_LAST, bent)
    assert gscene(capsys, "migrate", "check", NAME, "--as", CHECKER, "--home", world.home).code == 3
    said = gscene(capsys, "migrate", "report", NAME, "--home", world.home, "--json")
    file = Path(said.json["report"])
    text = file.read_text(encoding="utf-8")
    page = Page(text)
    assert page.loads == [], "nothing is loaded from anywhere"
    assert (
        page.lamps[0] == "red"
        and "现在不能切换" in page.text
        and "It can't be cut over as it is." in page.text
    )
    units = check_texts().checks["PC05"]
    for words in (
        units.remedy.zh,
        units.remedy.en,
        units.call.zh,
        units.call.en,
        "waived by Zhao Min, until 2099-12-31",
    ):
        assert words in page.text
    for check in CHECKS:
        assert check_texts().checks[check].question.zh in page.text
    assert "PC04" in page.text and "tax_vat_return.output_tax_amt" in page.text, (
        "the picture names its columns"
    )
    assert not any(one in text for one in (*OLD_IDS, *NEW_IDS)), "and nothing of anybody"
    plain = json.loads(Path(said.json["report as JSON"]).read_text(encoding="utf-8"))
    assert (
        plain["verdict"]["light"] == "red"
        and plain["lights"]["PC05"] == "red"
        and plain["lights"]["PC08"] == "amber"
    )
    assert plain["to_be_named_by_signature"] == ["PC05", "PC08"]
    again = gscene(capsys, "migrate", "report", NAME, "--home", world.home, "--json")
    assert Path(again.json["report"]).read_text(encoding="utf-8") == text, (
        "the same record gives the same page"
    )


def test_every_measure_that_a_check_uses_has_words() -> None:
    used = set()
    for file in [
        p for folder in ("sources", "features", "models", "leads") for p in (CHECKOUT / folder).rglob("*.py")
    ]:
        for call in (
            n for n in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)
        ):
            name = call.func.id if isinstance(call.func, ast.Name) else ""
            if name in ("judged", "not_row_verifiable", "ParityFinding") and len(call.args) >= 3:
                used |= {n.value for n in ast.walk(call.args[2]) if isinstance(n, ast.Constant)}
    assert len(used) > 25
    assert used <= set(check_texts().measures)
    assert set(check_texts().checks) == set(CHECKS)
    assert set(LIGHTS) == {"red", "amber", "grey", "green", "none"}


@pytest.mark.parametrize(
    ("share", "told"),
    [
        (1.0, "100 %"),
        (0.999999, "> 99.999 %"),
        (0.999, "99.9 %"),
        (0.0, "0 %"),
        (1e-7, "< 0.001 %"),
        (0.00048, "0.048 %"),
    ],
)
def test_no_share_is_rounded_to_all_or_nothing(share: float, told: str) -> None:
    assert percent(share) == told


def test_a_check_before_the_last_months_cutoff_is_refused(base: Path, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "home")
    early = MigrationWorld(tmp_path / "home", FixedClock(CHECK_DAY.replace(day=1)))
    early.desk.start(NAME, PLANNER)
    with pytest.raises(GateRefused, match="lies ahead"):
        check_migration(early.workplace, NAME, CHECKER)
