"""SFTP: deliveries in folders of a server whose host key is known beforehand."""

from __future__ import annotations

import logging
import posixpath
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self, cast

import asyncssh

from core.errors import Refusal
from sources.connectors.connection import SftpConnection
from sources.connectors.counterpart import (
    MAX_SIGNATURE_BYTES,
    SIGNATURE_NAME,
    UNFINISHED,
    Listed,
    Listing,
    Opened,
)
from sources.connectors.drop import DEPTH
from sources.connectors.failure import Passing, refused
from sources.connectors.secret import Secrets
from sources.delivery import MANIFEST_NAME, MAX_MANIFEST_BYTES, DeliveredFile, Manifest

# At INFO it tells user names and hosts of every connection.
asyncssh.set_log_level(logging.WARNING)


#: Bytes of one read, which the client splits into parallel requests. A line that breaks loses at most these: more would
#: be faster on a long line, but one that breaks often would never get on.
PIECE = 256 << 10


class Sftp:
    """The server as a counterpart. It connects when first needed and again after the line broke."""

    def __init__(self, connection: SftpConnection, secrets: Secrets) -> None:
        self.connection, self.secrets = connection, secrets
        self._line: asyncssh.SSHClientConnection | None = None
        self._client: asyncssh.SFTPClient | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up."""
        self._hang_up()

    async def listing(self, cursor: str | None) -> Listing:
        """Every folder with a manifest below `path`; its tag is the manifest's size and time. Links aren't followed."""
        found: list[Listed] = []
        async with self._session() as client:
            await self._look(client, "", DEPTH, found)
        return Listing(tuple(sorted(found, key=lambda listed: listed.item)))

    async def manifest(self, listed: Listed) -> bytes:
        """The manifest's bytes."""
        body = await self._small(listed, MANIFEST_NAME, MAX_MANIFEST_BYTES)
        if body is None:
            raise Passing("a manifest has gone from the server.")
        return body

    async def signature(self, listed: Listed) -> bytes | None:
        """The signature beside it."""
        return await self._small(listed, SIGNATURE_NAME, MAX_SIGNATURE_BYTES)

    async def finished(self, listed: Listed, manifest: Manifest) -> bool:
        """All files there as plain files in their stated size."""
        async with self._session() as client:
            for file in manifest.files:
                try:
                    seen = await client.lstat(self._path(listed.item, file.name))
                except asyncssh.SFTPNoSuchFile:
                    return False
                if not _is_plain(seen):
                    raise refused("LINK", "something else than a plain file lies in a delivery.", _PLAIN)
                if seen.size != file.bytes:
                    return False
        return True

    @asynccontextmanager
    async def open(
        self, listed: Listed, file: DeliveredFile, offset: int, tag: str | None
    ) -> AsyncIterator[Opened]:
        """The file from `offset` on; its size and time are its version: a changed file starts again."""
        async with (
            self._session() as client,
            client.open(self._path(listed.item, file.name), "rb") as opened,
        ):
            seen = await opened.stat()
            version = f"{seen.size}/{seen.mtime}"
            start = offset if tag == version else 0
            yield Opened(start, _pieces(opened, start), version)

    async def put_receipt(self, name: str, body: bytes, item: str | None) -> bool:
        """Upload under another name, then rename: the other side never sees half a receipt."""
        if self.connection.receipts is None:
            return False
        target = posixpath.join(self.connection.receipts, name)
        async with self._session() as client:
            await client.makedirs(posixpath.dirname(target), exist_ok=True)
            async with client.open(f"{target}.part", "wb") as file:
                await file.write(body)
            try:
                await client.posix_rename(f"{target}.part", target)
            except asyncssh.SFTPOpUnsupported:
                if await client.exists(target):
                    await client.remove(target)
                await client.rename(f"{target}.part", target)
        return True

    async def taken(self, listed: Listed, manifest: Manifest) -> None:
        """The server keeps its files: taking them away is the other side's matter."""

    def _path(self, item: str, name: str = "") -> str:
        return posixpath.join(self.connection.path, item, name)

    async def _look(self, client: asyncssh.SFTPClient, item: str, depth: int, found: list[Listed]) -> None:
        below = []
        async for entry in client.scandir(self._path(item) if item else self.connection.path):
            name = str(entry.filename)
            if name in (".", "..") or name.endswith(UNFINISHED):
                continue
            if name == MANIFEST_NAME and item and _is_plain(entry.attrs):
                found.append(Listed(item, f"{entry.attrs.size}/{entry.attrs.mtime}"))
            elif stat.S_ISDIR(entry.attrs.permissions or 0):
                below.append(posixpath.join(item, name))
        if depth > 0:
            for folder in below:
                await self._look(client, folder, depth - 1, found)

    async def _small(self, listed: Listed, name: str, most: int) -> bytes | None:
        """A small file whole, at most one byte more than allowed; None where there is none."""
        path = self._path(listed.item, name)
        async with self._session() as client:
            try:
                if not _is_plain(await client.lstat(path)):
                    raise refused("LINK", "something else than a plain file lies in a delivery.", _PLAIN)
            except asyncssh.SFTPNoSuchFile:
                return None
            async with client.open(path, "rb") as file:
                return cast(bytes, await file.read(most + 1))

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[asyncssh.SFTPClient]:
        """The open session. A broken line or a refused file comes out as Passing; another failure as Refusal."""
        try:
            if self._client is None:
                self._client = await self._connect()
            yield self._client
        except (asyncssh.SFTPNoConnection, asyncssh.SFTPConnectionLost, asyncssh.ConnectionLost) as error:
            self._hang_up()
            raise Passing(f"the line to the server broke: {type(error).__name__}.") from None
        except asyncssh.SFTPPermissionDenied:
            raise refused(
                "LOGIN",
                "the server doesn't let this user read or write there.",
                "Have the other side grant it, or correct `path` and `receipts`.",
            ) from None
        except asyncssh.SFTPNoSuchFile:
            raise Passing("a file or folder isn't on the server.") from None
        except (asyncssh.Error, OSError) as error:
            self._hang_up()
            raise Passing(f"the server failed: {type(error).__name__}.") from None

    async def _connect(self) -> asyncssh.SFTPClient:
        wanted = _PinnedHost(self.connection.host_keys)
        timeouts = self.connection.timeouts
        try:
            self._line = await asyncssh.connect(
                self.connection.host,
                self.connection.port,
                username=self.connection.user,
                # An empty list, not None: None would accept any host.
                known_hosts=([], [], []),
                client_factory=lambda: wanted,
                config=None,
                agent_path=None,
                x509_trusted_certs=None,
                gss_kex=False,
                gss_auth=False,
                connect_timeout=timeouts.connect,
                login_timeout=timeouts.connect + timeouts.read,
                keepalive_interval=timeouts.read / 3,
                keepalive_count_max=3,
                **self._login(),
            )
            return await self._line.start_sftp_client()
        except asyncssh.HostKeyNotVerifiable:
            raise wanted.refusal() from None
        except asyncssh.PermissionDenied:
            raise refused(
                "LOGIN",
                "the server doesn't accept this user with this key or password.",
                "Check `user` and the key or password; have the other side enter the public key.",
            ) from None
        except TimeoutError:
            raise Passing("no connection in time.") from None

    def _login(self) -> dict[str, Any]:
        sides = self.connection
        if sides.password is not None:
            return {
                "password": self.secrets.read(sides.password),
                "client_keys": None,
                "preferred_auth": "password,keyboard-interactive",
            }
        phrase = self.secrets.read(sides.key_passphrase) if sides.key_passphrase is not None else None
        path = self.secrets.private_file(str(sides.key))
        try:
            key = asyncssh.read_private_key(path, phrase)
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
            raise refused(
                "LOGIN",
                f"{path} isn't a private key that opens with its passphrase: {type(error).__name__}.",
                "Put an OpenSSH private key there, and its passphrase where `key_passphrase` says.",
            ) from None
        return {"client_keys": [key], "preferred_auth": "publickey"}

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.abort()
        self._line = self._client = None


_PLAIN = "Have the other side lay out plain files and folders."


class _PinnedHost(asyncssh.SSHClient):
    """Accepts a host by the fingerprint of its key alone, and remembers what it saw."""

    def __init__(self, pinned: tuple[str, ...]) -> None:
        self.pinned, self.seen = pinned, ""

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Whether the key is one of the pinned."""
        self.seen = key.get_fingerprint("sha256")
        return self.seen in self.pinned

    def refusal(self) -> Refusal:
        """What to say of an unknown host."""
        return refused(
            "HOST_KEY",
            f"the server shows the host key {self.seen or '(none)'}, which the connection doesn't name.",
            "Ask the other side by telephone for its fingerprint; only if it is this one, write it into `host_keys`. "
            "Otherwise somebody else answers in its place.",
        )


def _is_plain(attrs: asyncssh.SFTPAttrs) -> bool:
    return stat.S_ISREG(attrs.permissions or 0)


async def _pieces(file: asyncssh.SFTPClientFile, start: int) -> AsyncIterator[bytes]:
    while chunk := await file.read(PIECE, start):
        start += len(chunk)
        yield cast(bytes, chunk)
