"""Connections: which machine brings which sources, and how to tell that it is the right one. Data alone, no secrets.

`<home>/connections/<connection>.yaml`, one of four kinds; docs/connectors.md shows one of each.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, RootModel, field_validator, model_validator

from core.definition_file import CODE, Bilingual, Definition, line_of, load_definition
from core.errors import Refusal
from sources.connectors.feed import RecordFeed, TableFeed
from sources.connectors.secret import SecretPlace
from sources.delivery import Name

FOLDER_NAME = "connections"

_HOST = r"^[A-Za-z0-9]([A-Za-z0-9.:_-]{0,252}[A-Za-z0-9])?$"
HostName = Annotated[str, Field(pattern=_HOST)]
Fingerprint = Annotated[str, Field(pattern=r"^SHA256:[A-Za-z0-9+/]{43}$")]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class Timeouts(Definition):
    """Seconds. `total` bounds one run of the connection; what it has fetched by then is kept."""

    connect: Seconds = 10
    read: Seconds = 60
    total: Seconds = 3600


class Retry(Definition):
    """Tries without any progress before a run gives up, and the waits between them (doubled each time, with jitter)."""

    attempts: int = Field(default=5, ge=1, le=20)
    first_wait: Seconds = 0.5
    longest_wait: Seconds = 30


class BreakerRule(Definition):
    """After so many failed runs in a row nothing is tried for `rest` seconds; then one try decides."""

    opens_after: int = Field(default=3, ge=1, le=100)
    rest: Seconds = 900


class Limits(Definition):
    """Caps on what the other side may send."""

    file_bytes: int = Field(default=8 << 30, ge=1)
    deliveries: int = Field(default=10_000, ge=1, le=1_000_000)
    page_bytes: int = Field(default=8 << 20, ge=1024)
    concurrent: int = Field(default=2, ge=1, le=8)


class ConnectionBase(Definition):
    """What every connection says. `brings`: the sources whose deliveries may come this way; others are refused."""

    connection: Name
    title: Bilingual | None = None
    brings: Annotated[tuple[Name, ...], Field(min_length=1)]
    timeouts: Timeouts = Timeouts()
    retry: Retry = Retry()
    breaker: BreakerRule = BreakerRule()
    limits: Limits = Limits()


class DropConnection(ConnectionBase):
    """A folder of this machine that a platform's front-end machine writes to. `settle`: seconds without a change before a
    delivery counts as finished. `take: move` empties the folder of what is safely in the ledger.
    """

    kind: Literal["drop"]
    path: str = Field(pattern=r"^/")
    take: Literal["copy", "move"] = "copy"
    settle: float = Field(default=30, ge=0, le=86_400)
    receipts: str | None = Field(default=None, pattern=r"^/")


class SftpConnection(ConnectionBase):
    """An SFTP server, known by the fingerprints of its host keys: two while it changes them."""

    kind: Literal["sftp"]
    host: HostName
    port: int = Field(default=22, ge=1, le=65_535)
    user: str = Field(min_length=1, max_length=100)
    host_keys: Annotated[tuple[Fingerprint, ...], Field(min_length=1)]
    key: str | None = None
    key_passphrase: SecretPlace | None = None
    password: SecretPlace | None = None
    path: str = Field(min_length=1)
    receipts: str | None = None

    @model_validator(mode="after")
    def _one_login(self) -> SftpConnection:
        if (self.key is None) == (self.password is None):
            raise ValueError("give either `key`, a private key's file, or `password`, where it lies")
        return self


class Tls(Definition):
    """The authority that must have signed the server's certificate, and our own certificate where the server asks for one."""

    ca: str
    certificate: str | None = None
    key: str | None = None

    @model_validator(mode="after")
    def _both_or_none(self) -> Tls:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("`certificate` and `key` belong together")
        return self


class HttpConnection(ConnectionBase):
    """An exchange over HTTPS: signed deliveries as files, and `records`, rows by page that become deliveries here."""

    kind: Literal["http"]
    url: str
    tls: Tls | None = None
    bearer: SecretPlace | None = None
    deliveries: bool = True
    receipts: bool = True
    records: tuple[RecordFeed, ...] = ()

    @field_validator("url")
    @classmethod
    def _plain_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise ValueError("write the address as https://host[:port][/path]")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("no user, password, query or fragment in the address: use `bearer` or `tls`")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _private(self) -> HttpConnection:
        parts = urlsplit(self.url)
        if parts.scheme == "https" and self.tls is None:
            raise ValueError("https needs `tls` with `ca`, the authority that this server is known by")
        if parts.scheme == "http" and not is_loopback(str(parts.hostname)):
            raise ValueError("plain http is for this machine alone: use https")
        return self


class PostgresConnection(ConnectionBase):
    """Tables or views of a front-end database, read directly. `host` may be the folder of a socket on this machine."""

    kind: Literal["postgres"]
    host: str = Field(pattern=rf"{_HOST}|^/")
    port: int = Field(default=5432, ge=1, le=65_535)
    database: str = Field(min_length=1, max_length=63)
    user: str = Field(min_length=1, max_length=63)
    password: SecretPlace | None = None
    tls: Tls | None = None
    statement_seconds: Seconds = 600
    batch_rows: int = Field(default=20_000, ge=1, le=1_000_000)
    feeds: Annotated[tuple[TableFeed, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _private(self) -> PostgresConnection:
        if self.tls is None and not self.host.startswith("/") and not is_loopback(self.host):
            raise ValueError(
                "beyond this machine `tls` with `ca` is needed, the authority that the server is known by"
            )
        return self


Connection = DropConnection | SftpConnection | HttpConnection | PostgresConnection


class _ConnectionFile(RootModel[Annotated[Connection, Field(discriminator="kind")]]):
    """One connection file."""


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def load_connection(path: Path) -> Connection:
    """Read one connection. Raises Refusal with file, line and remedy."""
    connection = load_definition(path, _ConnectionFile).root
    if connection.connection != path.stem:
        raise Refusal(
            CODE,
            f"the connection is called {connection.connection}, its file {path.stem}.",
            file=str(path),
            line=line_of(path, "connection"),
            remedy="Give both the same name.",
        )
    return connection


def load_connections(home: Path) -> dict[str, Connection]:
    """All connections of a home folder by name, in order of their names."""
    return {path.stem: load_connection(path) for path in sorted((home / FOLDER_NAME).glob("*.yaml"))}
