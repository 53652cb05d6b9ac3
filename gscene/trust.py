"""`gscene trust`: the public keys that sources sign their deliveries with."""

from __future__ import annotations

from pathlib import Path

import click

from core.clock import SystemClock
from gscene.console import Reporter
from gscene.options import by_option, home_option, json_option


@click.group()
def trust() -> None:
    """Public keys of the sources: who must sign deliveries, and with what.

    来源方的公钥：谁必须为交付签名，以及用哪把密钥。

    \b
    A source makes its key itself and hands over the public half:
      openssl genpkey -algorithm ed25519 -out private.pem
      openssl pkey -in private.pem -pubout -out public.pem

    From the first registered key on, unsigned deliveries of the source are refused. To change a key, register the
    new one, let the source switch, then revoke the old one.
    """


@trust.command("add")
@click.argument("source")
@click.argument("public_key", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@by_option
@home_option("bank")
@json_option
def add(source: str, public_key: Path, by: str, home: Path, as_json: bool) -> None:
    """Register a source's public key (PEM, Ed25519).

    登记来源方的公钥。

    \b
    Example:
      gscene trust add city_tax public.pem --by "Li Na" --home var/bank
    """
    from pipelines.workplace import Workplace
    from sources.trust_store import add_key

    reporter, workplace = Reporter(as_json), Workplace.open(home, SystemClock())
    key = add_key(workplace.settings.trust, source, public_key, workplace.state, workplace.clock, by)
    reporter.say(f"{source} must sign from now on / {source} 今后必须签名")
    reporter.results({"key_id": key.key_id, "file": str(key.file)})
    reporter.finish()


@trust.command("list")
@home_option("bank")
@json_option
def list_(home: Path, as_json: bool) -> None:
    """Show all keys, revoked ones too.

    列出全部密钥，包括已吊销的。

    \b
    Example:
      gscene trust list --home var/bank
    """
    from core.settings import Settings
    from sources.signature import trusted_keys

    reporter = Reporter(as_json)
    header = ["source", "key_id", "state", "file"]
    rows = [
        [key.source, key.key_id, "revoked" if key.revoked else "in force", str(key.file)]
        for key in trusted_keys(Settings.load(home).trust)
    ]
    reporter.table("Keys of the sources / 来源方密钥", header, rows)
    reporter.result["keys"] = [dict(zip(header, row, strict=True)) for row in rows]
    reporter.finish()


@trust.command("revoke")
@click.argument("source")
@click.argument("key_id")
@by_option
@home_option("bank")
@json_option
def revoke(source: str, key_id: str, by: str, home: Path, as_json: bool) -> None:
    """Refuse what a key signs from now on; the source must still sign.

    吊销密钥：此后用它签名的交付一律拒收，来源方仍须签名。

    \b
    Example:
      gscene trust revoke city_tax 0123456789abcdef --by "Li Na" --home var/bank
    """
    from pipelines.workplace import Workplace
    from sources.trust_store import revoke_key

    reporter, workplace = Reporter(as_json), Workplace.open(home, SystemClock())
    revoke_key(workplace.settings.trust, source, key_id, workplace.state, workplace.clock, by)
    reporter.results({"revoked": key_id})
    reporter.finish()
