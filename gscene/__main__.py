"""Entry of the `gscene` command: commands, common options, exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click
from rich.text import Text

from core.errors import ExitCode, GateRefused, GsceneError, Refusal, SignOffRefused
from core.telemetry import quiet
from gscene.adapters import adapters
from gscene.console import Reporter
from gscene.contracts import contracts
from gscene.deid_report import deid_report
from gscene.deliveries import deliveries
from gscene.demo import demo
from gscene.doctor import doctor
from gscene.features import features
from gscene.migrate import migrate
from gscene.models import models
from gscene.policy import policy
from gscene.pseudonymise import pseudonymise
from gscene.pull import pull
from gscene.quarantine import quarantine
from gscene.reconcile import reconcile
from gscene.run import run
from gscene.scores import scores
from gscene.spark import spark
from gscene.subject import subject
from gscene.train import train
from gscene.trust import trust
from gscene.up import up

EPILOG = """
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by a gate (a receipt or sign-off is missing or doesn't match).
"""


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gscene")
def cli() -> None:
    """Credit risk scores and lead lists from pseudonymised government-service records.

    用假名化的政务服务数据做风险评分和批量获客。

    \b
    First steps:
      gscene demo                                   a simulated province, end to end
      gscene run --sme-invoices DIR                 real VAT invoices, end to end
      gscene subject report --provider-code CODE    what is held about somebody
      gscene up                                     Dagster and MLflow in the browser
      gscene doctor                                 is this machine ready?
    """


for command in (
    demo,
    run,
    pull,
    pseudonymise,
    deid_report,
    subject,
    train,
    up,
    doctor,
    features,
    contracts,
    migrate,
    models,
    policy,
    scores,
    deliveries,
    trust,
    adapters,
    quarantine,
    reconcile,
    spark,
):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the documented code."""
    quiet(os.environ)
    as_json = "--json" in (arguments if arguments is not None else sys.argv[1:])
    try:
        code = cli.main(args=arguments, prog_name="gscene", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else ExitCode.OK)
    except click.exceptions.Abort:
        click.echo(
            "Stopped. What was finished is kept; run the same command to go on.",
            err=True,
        )
        sys.exit(ExitCode.FAILED)
    except click.ClickException as error:
        if as_json:
            _tell_json(
                {"error": error.format_message(), "remedy": "gscene --help", "exit_code": int(ExitCode.USAGE)}
            )
        else:
            error.show()
        sys.exit(ExitCode.USAGE)
    except GsceneError as error:
        _tell(error, as_json)
        sys.exit(error.exit_code)


def _tell(error: GsceneError, as_json: bool) -> None:
    if as_json:
        told: dict[str, object] = {
            "error": error.message,
            "remedy": error.remedy,
            "exit_code": int(error.exit_code),
        }
        if isinstance(error, Refusal):
            told |= {"code": error.code, "place": error.place}
        elif isinstance(error, SignOffRefused):
            told |= {"code": error.code}
        _tell_json(told)
        return
    people = Reporter().people
    kind = (
        error.code
        if isinstance(error, Refusal)
        else f"Gate refused {error.code}"
        if isinstance(error, SignOffRefused)
        else "Gate refused"
        if isinstance(error, GateRefused)
        else "Failed"
    )
    # Texts hold paths: brackets in them are no markup, and they are copied, so they aren't folded.
    people.print(Text.assemble((kind, "bold red"), " ", error.message), soft_wrap=True)
    if isinstance(error, Refusal) and error.place:
        people.print(Text(f"  where:  {error.place}"), soft_wrap=True)
    if error.remedy:
        people.print(Text(f"  remedy: {error.remedy}"), soft_wrap=True)


def _tell_json(told: dict[str, object]) -> None:
    reporter = Reporter(as_json=True)
    reporter.result = told
    reporter.finish()


if __name__ == "__main__":
    main()
