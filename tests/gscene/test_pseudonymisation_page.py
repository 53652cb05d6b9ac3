"""What docs/pseudonymisation.md shows is true: its plan works, its commands are taken as they stand."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from gscene.__main__ import cli
from sources.gateway.plan import Plan

PAGE = (Path(__file__).parents[2] / "docs" / "pseudonymisation.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in re.sub(r"\\\n\s*", "", block).splitlines()
    if line.startswith("gscene ")
]


def test_the_plan_works() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    plan = Plan.model_validate(yaml.safe_load(block))
    assert plan.written == ["nsrdm", "nsrdm_valid", "nsrdm_kind", "jyzdm", "hh", "sbyf", "ysxse"]
    assert plan.delivery is not None and "\\N" in plan.nulls


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 10


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_is_taken_as_it_stands(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, options and values; the files are there, and nothing is run."""
    monkeypatch.chdir(tmp_path)
    for name in ("tax.csv", "out.csv", "people.csv", "plan.yaml", "key.pem", "ids.txt"):
        Path(name).touch()
    words = shlex.split(line.split(" > ")[0], comments=True)[1:]
    command: click.Command = cli
    context = click.Context(cli, info_name="gscene")
    while isinstance(command, click.Group):
        found = command.get_command(context, words.pop(0))
        assert found is not None, line
        command = found
    command.make_context(command.name, words)
