"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from core.months import Month
from core.settings import ENGINES

F = TypeVar("F", bound=Callable[..., Any])


class MonthType(click.ParamType):
    """A month such as 2026-10."""

    name = "YYYY-MM"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Month:
        """Read the month or fail with the form."""
        if isinstance(value, Month):
            return value
        try:
            return Month.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def home_option(default: str) -> Callable[[F], F]:
    """`--home`: the folder of one installation."""
    return click.option(
        "--home",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path("var") / default,
        show_default=True,
        envvar="GSCENE_HOME",
        help="Folder that holds all data of this installation.",
    )


def engine_options(command: F) -> F:
    """`--engine`, `--spark-master`: who computes features and scores in this run."""
    command = click.option(
        "--spark-master",
        metavar="URL",
        help="local[2] or spark://127.0.0.1:7077; implies --engine spark. Spark 主节点。",
    )(command)
    return click.option(
        "--engine",
        type=click.Choice(ENGINES),
        help="Who computes features and scores; as gscene.yaml says when left out. 计算引擎。",
    )(command)


by_option = click.option(
    "--by", required=True, help="Who decides; kept in the audit chain. 决定人，记入审计链。"
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
