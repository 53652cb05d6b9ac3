"""`gscene pseudonymise`: tokens instead of ids, run where the ids are. Needs no home folder and no network."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from core.errors import GsceneError
from gscene.console import Reporter
from gscene.options import json_option

keys_option = click.option(
    "--keys", type=click.Path(file_okay=False, path_type=Path), default=Path("keys"), show_default=True,
    help="Folder of master keys, readable by its owner alone; never on the machine that holds the tokens.",
)  # fmt: skip


@click.group()
def pseudonymise() -> None:
    """Replace ids in files by keyed tokens, at the provider or in the bank's secure zone.

    在来源方或银行安全区内，用带密钥的令牌替换证件号。

    \b
    The way:
      gscene pseudonymise keys new --keys /secure/keys             once: makes k1
      gscene pseudonymise run plan.yaml raw.csv out.csv --keys /secure/keys
      gscene pseudonymise check out.csv                            what the detectors still find

    A plan names the columns that hold ids; docs/pseudonymisation.md shows one.
    """


@pseudonymise.command("run")
@click.argument("plan", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@keys_option
@click.option(
    "--key-fd", type=int, help="Read the master key from this file descriptor instead (raw or hexadecimal)."
)
@json_option
def run(plan: Path, source: Path, target: Path, keys: Path, key_fd: int | None, as_json: bool) -> None:
    """Write TARGET from SOURCE as PLAN says. Rows with an id that is none are rejected and counted, flagged, or stop the file.

    按 PLAN 把 SOURCE 中的证件号替换为令牌，写入 TARGET。

    \b
    Example, with the key kept in a safe:
      gscene pseudonymise run plan.yaml raw.csv out.csv --key-fd 3 3< <(safe read gscene/k1)
    """
    from sources.gateway.plan import load_plan
    from sources.gateway.pseudonymise import pseudonymise as replace_ids
    from sources.gateway.token_keys import KeyFolder, key_from_descriptor

    reporter = Reporter(as_json)
    told = load_plan(plan)
    if key_fd is None:
        key = KeyFolder(keys).load(told.key_id, told.algorithm)
    else:
        key = key_from_descriptor(told.key_id, key_fd, told.algorithm)
    report = replace_ids(source, target, told, key, reporter)
    rows = [
        [name, kind, count] for name, kinds in report.kinds.items() for kind, count in sorted(kinds.items())
    ]
    reporter.table("Ids / 证件号", ["column", "kind", "rows"], rows)
    lost = ", ".join(f"{name} {count:,}" for name, count in report.rejected.items() if count)
    reporter.say(
        f"Read {report.read:,} = written {report.written:,} + rejected {report.read - report.written:,} {lost}"
    )
    reporter.results({"read": report.read, "written": report.written, "file": str(target)})
    reporter.result |= {"rejected": report.rejected, "kinds": report.kinds}
    reporter.finish()


@pseudonymise.command("rotate")
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--plan", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True,
              help="Plan of the feed: source, purpose, algorithm and how the file is written.")  # fmt: skip
@click.option("--column", required=True, help="The id column of SOURCE; its kind is the plan's.")
@click.option("--old", required=True, help="Key id that the tokens have now, such as k1.")
@click.option("--new", required=True, help="Key id that they get.")
@click.option(
    "--valid-from", type=click.DateTime(["%Y-%m-%d"]), required=True, help="First day of the new tokens."
)
@keys_option
@json_option
def rotate(
    source: Path,
    target: Path,
    plan: Path,
    column: str,
    old: str,
    new: str,
    valid_from: datetime,
    keys: Path,
    as_json: bool,
) -> None:
    """Write the crosswalk of all ids in a column of SOURCE: old token, new token, first day. Hand it over once, and destroy it.

    为密钥轮换生成新旧令牌对照表；只交付一次，用后销毁。
    """
    from sources.gateway.crosswalk import make_crosswalk
    from sources.gateway.plan import load_plan
    from sources.gateway.pseudonymise import ids_of
    from sources.gateway.token_keys import KeyFolder

    reporter = Reporter(as_json)
    told = load_plan(plan)
    if column not in told.ids:
        raise GsceneError(f"the plan has no id column {column}.", f"Choose from {', '.join(told.ids)}.")
    kind, folder = told.ids[column].kind, KeyFolder(keys)
    one, other = (
        folder.load(key_id, told.algorithm, retired=True).tokeniser(told.purpose, told.source, kind)
        for key_id in (old, new)
    )
    made = make_crosswalk(ids_of(source, told, column), kind, one, other, valid_from.date(), target)
    reporter.results(
        {"file": str(made.file), "rows": made.rows, "sha256": made.sha256, "left_out": made.left_out}
    )
    reporter.finish()


@pseudonymise.command("check")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--encoding", type=click.Choice(["utf-8", "utf-8-sig", "gb18030"]), default="utf-8", show_default=True
)
@click.option("--delimiter", default=",", show_default=True)
@json_option
def check(file: Path, encoding: str, delimiter: str, as_json: bool) -> int:
    """What the detectors of direct identifiers find in a text FILE, by column: counts only. Exit code 3 where there is anything.

    检查文件中残留的直接标识（仅给出计数）。
    """
    from core.errors import ExitCode
    from sources.gateway.pseudonymise import findings_in

    reporter = Reporter(as_json)
    found = findings_in(file, encoding, delimiter)
    rows = [
        [column, detector, hits, "refused" if convicted else ""]
        for column, detector, hits, convicted in found
    ]
    reporter.table("Direct identifiers / 直接标识", ["column", "looks like", "different cells", ""], rows)
    reporter.result["findings"] = [
        dict(zip(("column", "detector", "cells", "refused"), row, strict=True)) for row in found
    ]
    reporter.finish()
    return ExitCode.GATE_REFUSED if any(row[3] for row in found) else ExitCode.OK


@pseudonymise.group("keys")
def keys() -> None:
    """Master keys: make, list, retire. 主密钥的生成、列出与停用。"""


@keys.command("new")
@keys_option
@json_option
def new_key(keys: Path, as_json: bool) -> None:
    """Make the next master key (k1, k2, ...): 32 random bytes, mode 0600."""
    from sources.gateway.token_keys import KeyFolder

    reporter = Reporter(as_json)
    reporter.results({"key_id": KeyFolder(keys).new(), "folder": str(keys)})
    reporter.finish()


@keys.command("list")
@keys_option
@json_option
def list_keys(keys: Path, as_json: bool) -> None:
    """All key ids, oldest first, and which are retired. Never the keys."""
    from sources.gateway.token_keys import KeyFolder

    reporter, folder = Reporter(as_json), KeyFolder(keys)
    rows = [[key_id, "retired" if folder.is_retired(key_id) else "in use"] for key_id in folder.ids()]
    reporter.table("Keys / 密钥", ["key", "state"], rows)
    reporter.result["keys"] = dict(rows)
    reporter.finish()


@keys.command("retire")
@click.argument("key_id")
@keys_option
@json_option
def retire_key(key_id: str, keys: Path, as_json: bool) -> None:
    """KEY_ID makes no more tokens; it stays for rotations."""
    from sources.gateway.token_keys import KeyFolder

    reporter = Reporter(as_json)
    KeyFolder(keys).retire(key_id)
    reporter.results({"retired": key_id})
    reporter.finish()
