"""`gscene pseudonymise keys`: the gateway's keys."""

from __future__ import annotations

from pathlib import Path

import click

from core.clock import SystemClock
from gscene.console import Reporter
from gscene.options import json_option

keys_option = click.option(
    "--keys",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    envvar="GSCENE_GATEWAY_KEYS",
    help="Folder of the gateway's keys, readable by their holder alone. 密钥目录。",
)
algorithm_option = click.option(
    "--algorithm",
    type=click.Choice(["hmac-sha256", "hmac-sm3"]),
    default="hmac-sha256",
    show_default=True,
    help="Keyed hash; hmac-sm3 where Chinese commercial cryptography is asked for. 国密选 hmac-sm3。",
)


@click.group()
def keys() -> None:
    """Make, list and retire the keys of the gateway.

    生成、列出、停用网关密钥。

    A key's id (k1, k2 …) stands in every token it makes. Its secret is in one file of mode 0600 and nowhere else:
    back it up apart, lose it and the same subjects get other tokens.
    """


@keys.command("new")
@keys_option
@algorithm_option
@click.option("--id", "key_id", help="Its id; the next number when left out.")
@json_option
def new(folder: Path, algorithm: str, key_id: str | None, as_json: bool) -> None:
    """Make a key.

    生成密钥。

    \b
    Examples:
      gscene pseudonymise keys new --keys /secure/keys
      gscene pseudonymise keys new --keys /secure/keys --algorithm hmac-sm3
    """
    from sources.gateway.keyring import Keyring, algorithm_named

    reporter = Reporter(as_json)
    entry = Keyring(folder).new(SystemClock(), algorithm_named(algorithm), key_id)
    reporter.say(f"New key {entry.key_id}: back up {folder}, apart from the data / 新密钥，请与数据分开备份")
    reporter.results({"key_id": entry.key_id, "algorithm": entry.algorithm, "check": entry.check})
    reporter.finish()


@keys.command("list")
@keys_option
@json_option
def list_(folder: Path, as_json: bool) -> None:
    """List all keys, retired ones too; `check` lets two holders compare a key by telephone.

    列出全部密钥；check 供双方核对。

    \b
    Example:
      gscene pseudonymise keys list --keys /secure/keys
    """
    from dataclasses import asdict

    from sources.gateway.keyring import Keyring

    reporter = Reporter(as_json)
    entries = Keyring(folder).entries()
    header = ["key", "algorithm", "made", "retired", "check"]
    reporter.table(
        "Keys / 密钥",
        header,
        [[e.key_id, e.algorithm, e.made_at, e.retired_at or "", e.check] for e in entries],
    )
    reporter.result = {"keys": [asdict(entry) for entry in entries]}
    reporter.finish()


@keys.command("retire")
@click.argument("key_id")
@keys_option
@json_option
def retire(key_id: str, folder: Path, as_json: bool) -> None:
    """Make no more tokens with this key. It stays for crosswalks; delete its file when the old tokens are gone.

    停用密钥：不再生成新代号，仅用于对照表。

    \b
    Example:
      gscene pseudonymise keys retire k1 --keys /secure/keys
    """
    from sources.gateway.keyring import Keyring

    reporter = Reporter(as_json)
    entry = Keyring(folder).retire(SystemClock(), key_id)
    reporter.results({"key_id": entry.key_id, "retired_at": entry.retired_at})
    reporter.finish()
