"""`gscene models reproduce`: train a version again from its card and compare the bytes."""

from __future__ import annotations

from pathlib import Path

import click

from core.clock import SystemClock
from core.errors import ExitCode
from gscene.console import Reporter
from gscene.model_acts import model_argument, version_option
from gscene.options import home_option, json_option


@click.command()
@model_argument
@version_option
@home_option("bank")
@json_option
def reproduce(name: str, version: str | None, home: Path, as_json: bool) -> int:
    """Train a version again from what its card says; exit code 1 where one byte of the bundle differs.

    复现训练：按模型卡重新训练并逐字节比较。

    Nothing is kept or changed. Refused where tables, feature catalogue or libraries are no longer those of the training. Where
    consent was withdrawn since then, the sample is smaller now and the bytes differ.

    \b
    Examples:
      gscene models reproduce enterprise_risk
      gscene models reproduce enterprise_risk --version 2026-10 --json
    """
    from models.lifecycle import find_version, name_of
    from models.reproduction import reproduce as train_again
    from pipelines.workplace import Workplace

    reporter = Reporter(as_json)
    workplace = Workplace.open(home, SystemClock(), reporter)
    with workplace.state.session() as session:
        found = find_version(session, name, version)
    definition = workplace.blueprint.models[found.name]
    feature_set = workplace.blueprint.feature_sets[definition.feature_set]
    made = train_again(
        found,
        feature_set,
        store=workplace.store,
        state=workplace.state,
        settings=workplace.settings,
        progress=reporter,
        entitlements=workplace.entitlements(definition.subject),
    )
    reporter.results(
        {
            "version": name_of(found),
            "same": made.same,
            "recorded_sha256": made.recorded_sha256,
            "made_sha256": made.made_sha256,
            "differing": ", ".join(made.differing),
        }
    )
    reporter.finish()
    return ExitCode.OK if made.same else ExitCode.FAILED
