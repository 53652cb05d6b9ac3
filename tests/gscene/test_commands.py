"""What the command line promises to people and to scripts: exit codes, one JSON object, plain lines, help."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from core.clock import FixedClock
from core.errors import GateRefused, GsceneError, Refusal
from gscene.__main__ import cli
from tests.gscene.command import gscene

CHECKOUT = Path(__file__).parents[2]
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x1b]")
Capture = pytest.CaptureFixture[str]


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Make `gscene doctor` end with an error."""

    def fail(**_options: object) -> None:
        raise error

    monkeypatch.setattr(cli.commands["doctor"], "callback", fail)


ERRORS = [
    (GsceneError("it failed.", "Try again."), 1),
    (Refusal("REFUSED/CODE", "a code.", file="x.csv", line=7, column="status", remedy="Ask them."), 1),
    (GateRefused("raw/x may not be read.", "Validate it."), 3),
]


@pytest.mark.parametrize(("error", "code"), ERRORS, ids=lambda value: type(value).__name__)
def test_errors_end_with_the_documented_code_and_the_remedy(
    error: GsceneError, code: int, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    raising(monkeypatch, error)
    said = gscene(capsys, "doctor")
    assert said.code == code
    assert said.out == ""
    assert error.message in said.err and error.remedy in said.err
    if isinstance(error, Refusal):
        assert error.code in said.err and "x.csv:7 [status]" in said.err


@pytest.mark.parametrize(("error", "code"), ERRORS, ids=lambda value: type(value).__name__)
def test_errors_are_one_json_object_when_asked(
    error: GsceneError, code: int, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    raising(monkeypatch, error)
    said = gscene(capsys, "doctor", "--json")
    assert said.code == code
    assert said.json["exit_code"] == code
    assert (said.json["error"], said.json["remedy"]) == (error.message, error.remedy)
    if isinstance(error, Refusal):
        assert (said.json["code"], said.json["place"]) == ("REFUSED/CODE", "x.csv:7 [status]")


def test_brackets_in_an_error_are_text_not_markup(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    raising(monkeypatch, GsceneError("/data/[north]/inbox [/red] is empty.", "Fill [it]."))
    said = gscene(capsys, "doctor")
    assert "/data/[north]/inbox [/red] is empty." in said.err and "Fill [it]." in said.err


def test_a_long_path_in_an_error_stays_in_one_piece(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    path = "/" + "/".join(f"folder{n:03d}" for n in range(40))
    raising(monkeypatch, GsceneError(f"{path} is empty.", f"Fill {path}."))
    assert gscene(capsys, "doctor").err.count(path) == 2


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["run", "--no-such-option"], ["run", "--as-of", "2026-13"], ["demo", "--months", "many"]],
)
def test_wrong_usage_is_2_with_a_hint(arguments: list[str], capsys: Capture) -> None:
    said = gscene(capsys, *arguments)
    assert said.code == 2
    assert said.out == "" and "Usage:" in said.err
    again = gscene(capsys, *arguments, "--json")
    assert again.code == 2
    assert again.json["exit_code"] == 2 and again.json["error"]


@pytest.mark.parametrize("arguments", [["--faults", "F99"], ["--months", "0"], ["--seed", "-1"]])
def test_a_demo_that_cannot_be_simulated_is_told_without_a_traceback(
    arguments: list[str], tmp_path: Path, capsys: Capture
) -> None:
    said = gscene(capsys, "demo", "--home", tmp_path / "home", *arguments)
    assert said.code in (1, 2)
    assert said.err.strip() and "Traceback" not in said.err


def test_stopping_is_1_and_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    raising(monkeypatch, KeyboardInterrupt())
    said = gscene(capsys, "doctor")
    assert said.code == 1 and "run the same command" in said.err


@pytest.mark.parametrize("name", [None, *cli.commands])
def test_help_is_there_in_both_languages(name: str | None, capsys: Capture) -> None:
    said = gscene(capsys, *([name] if name else []), "--help")
    assert said.code == 0
    assert re.search(r"[\u4e00-\u9fff]{4,}", said.out) or "Examples" in said.out
    assert re.search(r"[A-Za-z]{4,} [a-z]{2,}", said.out)
    if name is None:
        assert "3 refused by a gate" in " ".join(said.out.split())
        assert all(command in said.out for command in cli.commands)


def test_every_option_is_explained() -> None:
    silent = [
        f"{name} {option.opts[0]}"
        for name, command in cli.commands.items()
        for option in command.params
        if not getattr(option, "help", None)
    ]
    assert silent == []


# -- doctor ------------------------------------------------------------------------------------------------------------


def test_doctor_finds_this_machine_in_order(tmp_path: Path, capsys: Capture) -> None:
    said = gscene(capsys, "doctor", "--home", tmp_path / "none", "--json")
    wrong = [f for f in said.json["findings"] if not f["ok"] and f["name"] != "disk"]
    assert wrong == []
    assert not (tmp_path / "none").exists(), "looking changes nothing"


def test_doctor_finds_a_broken_audit_chain(tmp_path: Path, capsys: Capture) -> None:
    from datetime import UTC, datetime

    from core import audit
    from core.state import AuditEvent, StateDatabase
    from pipelines.workplace import Workplace

    home = tmp_path / "home"
    workplace = Workplace.open(home)
    with workplace.state.session() as session:
        for number in range(3):
            audit.record(
                session, FixedClock(datetime(2026, 11, 1, tzinfo=UTC)), "x", "y", f"o{number}", {"n": number}
            )
    whole = gscene(capsys, "doctor", "--home", home, "--json")
    assert next(f for f in whole.json["findings"] if f["name"] == "home folder")["ok"]
    with StateDatabase(workplace.settings.state_url).session() as session:
        session.get_one(AuditEvent, 2).details = {"n": 20}
    broken = gscene(capsys, "doctor", "--home", home, "--json")
    finding = next(f for f in broken.json["findings"] if f["name"] == "home folder")
    assert broken.code == 1 and not broken.json["ok"]
    assert "broken at event 2" in finding["seen"] and finding["remedy"]
    assert "PROBLEM" in gscene(capsys, "doctor", "--home", home).err


def test_remedies_name_make_targets_that_exist() -> None:
    targets = set(
        re.findall(r"^([a-z]+):", (CHECKOUT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    named = {
        target
        for path in (CHECKOUT / "gscene").glob("*.py")
        for target in re.findall(r"`make ([a-z]+)", path.read_text(encoding="utf-8"))
    }
    assert named <= targets


# -- as a process ------------------------------------------------------------------------------------------------------


def test_without_a_terminal_there_are_plain_lines_only(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gscene", "doctor", "--home", str(tmp_path / "home")],
        cwd=CHECKOUT,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "60"},
        capture_output=True,
        check=False,
    )
    assert done.returncode in (0, 1)
    text = (done.stdout + done.stderr).decode("utf-8")
    assert "gscene doctor" in text and "packages" in text
    assert not CONTROL.search(text)
    assert "\r" not in text


def test_json_is_all_there_is_on_stdout(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gscene", "run", "--home", str(tmp_path / "home"), "--json"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "has received no delivery" in json.loads(done.stdout)["error"]
