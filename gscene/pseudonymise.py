"""`gscene pseudonymise`: the gateway that replaces ids by tokens, at the provider or in the bank's secure zone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from core.months import Month
from core.purpose import Purpose
from gscene.console import Reporter
from gscene.options import MonthType, home_option, json_option
from gscene.pseudonymise_keys import algorithm_option, keys, keys_option

if TYPE_CHECKING:
    from sources.file_format import FileFormat
    from sources.gateway.keyring import MasterKey
    from sources.gateway.pseudonymise import Outcome

F = TypeVar("F", bound=Callable[..., Any])

plan_option = click.option(
    "--plan",
    "plan_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="Plan in YAML: what becomes of each column. 方案文件。",
)
input_argument = click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@click.group()
def pseudonymise() -> None:
    """Replace resident ids, credit codes and other keys by tokens before data leaves its provider.

    在数据离开提供方之前，用带密钥的代号替换身份证号、信用代码等。

    \b
    It needs no network, no home folder and no other part of gscene:
      gscene pseudonymise keys new --keys /secure/keys
      gscene pseudonymise plan tax.csv --source city_tax --purpose risk > plan.yaml
      gscene pseudonymise file tax.csv out.csv --plan plan.yaml --keys /secure/keys

    Pseudonymised is not anonymised: what comes out is still personal data.
    """


pseudonymise.add_command(keys)


@pseudonymise.command("file")
@input_argument
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path), required=False)
@plan_option
@click.option(
    "--keys",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="GSCENE_GATEWAY_KEYS",
    help="Folder of the gateway's keys. 密钥目录。",
)
@click.option("--key-id", help="Key to use; the newest in force when left out.")
@click.option(
    "--key-fd", type=int, help="Read the key from this file descriptor (0: stdin) instead; needs --key-id."
)
@algorithm_option
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes that hash."
)
@click.option(
    "--inbox",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write a delivery into this inbox instead of TARGET; needs --period.",
)
@click.option("--period", type=MonthType(), help="Month of the delivery.")
@click.option(
    "--revision", type=click.IntRange(1), default=1, show_default=True, help="Revision of the delivery."
)
@click.option("--sequence", type=click.IntRange(1), help="Number of the delivery in its feed.")
@click.option("--previous", help="sha256 of the manifest with the number before.")
@click.option(
    "--sign-with",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Ed25519 private key (PEM) that signs the manifest.",
)
@json_option
def file_(
    source: Path,
    target: Path | None,
    plan_file: Path,
    folder: Path | None,
    key_id: str | None,
    key_fd: int | None,
    algorithm: str,
    workers: int,
    inbox: Path | None,
    period: Month | None,
    revision: int,
    sequence: int | None,
    previous: str | None,
    sign_with: Path | None,
    as_json: bool,
) -> None:
    """Write TARGET (or a delivery) from SOURCE, with tokens for ids.

    生成代号化文件或交付。

    \b
    Examples:
      gscene pseudonymise file tax.csv out.csv --plan plan.yaml --keys /secure/keys
      gscene pseudonymise file tax.csv --plan plan.yaml --keys /secure/keys --inbox outbox --period 2026-10
      hsm-unwrap gscene-k2 | gscene pseudonymise file tax.csv out.csv --plan plan.yaml --key-fd 0 --key-id k2

    The file is written whole or not at all. Beside it lie a report (counts, no ids) and, where rows were left out,
    their line numbers.
    """
    from sources.gateway.hand_over import data_name, folder_for, hand_over, staging_of
    from sources.gateway.plan import load_plan
    from sources.gateway.pseudonymise import pseudonymise as replace_ids

    if (target is None) == (inbox is None):
        raise click.UsageError("Give either TARGET or --inbox.")
    if inbox is not None and period is None:
        raise click.UsageError("--inbox needs --period.")
    reporter, plan = Reporter(as_json), load_plan(plan_file)
    key = _key(folder, key_id, key_fd, algorithm)

    def run(to: Path) -> Outcome:
        return replace_ids(source, to, plan, key, workers=workers, progress=reporter)

    if inbox is not None and period is not None:
        place = folder_for(inbox, plan, period, revision)
        if place.exists():
            raise click.UsageError(f"{place} is there already: give the next --revision.")
        staged = staging_of(place)
        try:
            outcome = run(staged / data_name(plan))
            hand_over(
                place,
                plan,
                outcome,
                period,
                revision,
                sequence=sequence,
                previous=previous,
                signing_key=sign_with,
            )
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    else:
        assert target is not None
        place, outcome = target, run(target)
    _tell(outcome, reporter)
    reporter.result |= outcome.told(plan, key)
    reporter.results({"written": str(place), "rows": outcome.rows_written})
    reporter.finish()


def _tell(outcome: Outcome, reporter: Reporter) -> None:
    rows = [
        [column, kind, count]
        for column, kinds in outcome.kinds.items()
        for kind, count in sorted(kinds.items())
    ]
    reporter.table("Ids / 标识", ["column", "kind", "rows"], rows)
    for reason, count in sorted(outcome.rejected.items()):
        reporter.say(f"Left out / 剔除: {reason}: {count:,}")


def _key(folder: Path | None, key_id: str | None, key_fd: int | None, algorithm: str) -> MasterKey:
    from sources.gateway.keyring import Keyring, algorithm_named, key_from

    if key_fd is not None:
        if key_id is None:
            raise click.UsageError("--key-fd needs --key-id: the id stands in every token.")
        return key_from(key_fd, key_id, algorithm_named(algorithm))
    if folder is None:
        raise click.UsageError("Give --keys, or hand the key over with --key-fd.")
    return Keyring(folder).active(key_id)


_FORMAT_OPTIONS = (
    click.option(
        "--format",
        "form",
        type=click.Choice(["csv", "parquet", "jsonl"]),
        default="csv",
        show_default=True,
        help="Of the file. 格式。",
    ),
    click.option(
        "--encoding",
        type=click.Choice(["utf-8", "gb18030"]),
        default="utf-8",
        show_default=True,
        help="Of a CSV file. 编码。",
    ),
    click.option("--delimiter", default=",", show_default=True, help="Of a CSV file. 分隔符。"),
    click.option("--gzip", "packed", is_flag=True, help="The file is compressed."),
)


def format_options(command: F) -> F:
    """How a file is written."""
    for option in reversed(_FORMAT_OPTIONS):
        command = option(command)
    return command


def _form(form: str, encoding: str, delimiter: str, packed: bool) -> FileFormat:
    from sources.file_format import FileFormat

    entries: dict[str, object] = {"format": form}
    if form == "csv":
        entries |= {"encoding": encoding, "delimiter": delimiter, "bom": "optional"}
    if form != "parquet":
        entries["compression"] = "gzip" if packed else "none"
    return FileFormat.model_validate(entries)


@pseudonymise.command("plan")
@input_argument
@click.option("--source", "name", required=True, help="Whose data it is, such as city_tax.")
@click.option(
    "--purpose", type=click.Choice([str(p) for p in Purpose]), required=True, help="What the tokens are for."
)
@format_options
def plan_(
    source: Path, name: str, purpose: str, form: str, encoding: str, delimiter: str, packed: bool
) -> None:
    """Propose a plan for SOURCE: which columns hold ids, which must be dropped. Read it before you use it.

    为文件草拟方案，使用前请人工核对。

    \b
    Example:
      gscene pseudonymise plan tax.csv --source city_tax --purpose risk --encoding gb18030 --delimiter "|" > plan.yaml
    """
    from sources.gateway.proposal import plan_text, propose

    proposed = propose(source, _form(form, encoding, delimiter, packed), name, Purpose(purpose))
    click.echo(plan_text(proposed), nl=False)


@pseudonymise.command("check")
@input_argument
@format_options
@json_option
def check(source: Path, form: str, encoding: str, delimiter: str, packed: bool, as_json: bool) -> int:
    """What the detectors find in SOURCE, by column: counts alone. Ends with 3 where the bank would refuse the file.

    检查文件中残留的直接标识，仅给出计数。

    \b
    Example:
      gscene pseudonymise check out.csv
    """
    from core.errors import ExitCode
    from sources.gateway.proposal import identifiers_in

    reporter = Reporter(as_json)
    found = identifiers_in(source, _form(form, encoding, delimiter, packed))
    rows = [[column, kind.name, cells] for column, kind, cells in found]
    reporter.table("Direct identifiers / 直接标识", ["column", "kind", "cells"], rows)
    reporter.result["findings"] = [dict(zip(("column", "kind", "cells"), row, strict=True)) for row in rows]
    reporter.finish()
    return int(ExitCode.GATE_REFUSED if found else ExitCode.OK)


@pseudonymise.command("rotate")
@input_argument
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@plan_option
@keys_option
@click.option("--column", required=True, help="The column of ids.")
@click.option("--from", "old", required=True, help="Key of the old tokens, such as k1.")
@click.option("--to", "new", required=True, help="Key of the new tokens, such as k2.")
@click.option(
    "--valid-from",
    type=click.DateTime(["%Y-%m-%d"]),
    required=True,
    help="Day from which deliveries carry the new tokens.",
)
@json_option
def rotate(
    source: Path,
    target: Path,
    plan_file: Path,
    folder: Path,
    column: str,
    old: str,
    new: str,
    valid_from: datetime,
    as_json: bool,
) -> None:
    """Write a crosswalk from the tokens of one key to those of another, for everybody in SOURCE.

    生成新旧密钥代号对照表。

    \b
    Example:
      gscene pseudonymise keys new --keys /secure/keys
      gscene pseudonymise rotate people.csv crosswalk.parquet --plan plan.yaml --keys /secure/keys \\
        --column sfzh --from k1 --to k2 --valid-from 2026-11-01

    A crosswalk tells who is who across two keys: send it by another way than the data, and tell its sha256 by a third.
    """
    from sources.gateway.crosswalk import make_crosswalk
    from sources.gateway.keyring import Keyring
    from sources.gateway.plan import load_plan

    reporter, ring = Reporter(as_json), Keyring(folder)
    day = date(valid_from.year, valid_from.month, valid_from.day)
    manifest = make_crosswalk(
        source, target, load_plan(plan_file), column, ring.any(old), ring.any(new), day, reporter
    )
    reporter.results(
        {
            "written": str(target),
            "pairs": manifest["files"][0]["rows"],
            "sha256": manifest["files"][0]["sha256"],
        }
    )
    reporter.finish()


@pseudonymise.command("canaries")
@input_argument
@home_option("bank")
@json_option
def canaries(source: Path, home: Path, as_json: bool) -> None:
    """Take ids that the bank knows lawfully (one a line in SOURCE) to recognise providers who hash without a key.

    用行方合法掌握的证件号识别未加密钥的哈希。

    \b
    Example:
      gscene pseudonymise canaries staff_who_agreed.txt --home var/bank

    Only the beginnings of hashes are kept, in the home's folder of keys; destroy SOURCE afterwards. From then on a
    delivery whose tokens are plain hashes of these ids is refused with REFUSED/UNKEYED.
    """
    from core.settings import Settings
    from sources.canary_ids import write_canaries

    reporter = Reporter(as_json)
    lines = [line.strip() for line in source.read_text(encoding="utf-8").splitlines()]
    ids = [line for line in lines if line]
    hashes = write_canaries(ids, Settings.load(home).keys)
    reporter.results({"ids": len(ids), "hashes": hashes})
    reporter.finish()
