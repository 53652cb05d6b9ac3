"""An SFTP server in this process, on loopback, that can break lines in the middle of a file."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncssh

USER, PASSWORD = "bank", "sftp-secret-canary-3307"


class SftpServer:
    """Serves `root` to one user, by key or password. `cuts`: bytes of files after which the line is broken, one each."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.user_key = asyncssh.generate_private_key("ssh-ed25519")
        self.cuts: list[int] = []
        self.read = 0
        self.offsets: list[int] = []
        self.logins = 0
        self.port = 0
        self._lines: set[Any] = set()

    @property
    def fingerprint(self) -> str:
        return self.host_key.get_fingerprint("sha256")

    @contextmanager
    def running(self) -> Iterator[SftpServer]:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        acceptor = asyncio.run_coroutine_threadsafe(self._listen(), loop).result(10)
        self.port = acceptor.get_port()
        try:
            yield self
        finally:

            async def close() -> None:
                acceptor.close()
                for line in list(self._lines):
                    line.abort()
                await asyncio.sleep(0.05)

            asyncio.run_coroutine_threadsafe(close(), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    async def _listen(self) -> Any:
        served = self

        class Login(asyncssh.SSHServer):
            def connection_made(self, conn: Any) -> None:
                self.line = conn
                served._lines.add(conn)

            def connection_lost(self, exc: Exception | None) -> None:
                served._lines.discard(self.line)

            def begin_auth(self, username: str) -> bool:
                return True

            def password_auth_supported(self) -> bool:
                return True

            def validate_password(self, username: str, password: str) -> bool:
                served.logins += 1
                return (username, password) == (USER, PASSWORD)

            def public_key_auth_supported(self) -> bool:
                return True

            def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
                served.logins += 1
                return username == USER and key.public_data == served.user_key.public_data

        class Files(asyncssh.SFTPServer):
            def __init__(self, chan: Any) -> None:
                super().__init__(chan, chroot=str(served.root))

            def read(self, file_obj: Any, offset: int, size: int) -> Any:
                body = super().read(file_obj, offset, size)
                if file_obj.name.endswith(b"si.csv"):
                    served.offsets.append(offset)
                    served.read += len(body)
                    if served.cuts and served.read > served.cuts[0]:
                        served.cuts.pop(0)
                        served.read = 0
                        self.channel.get_connection().abort()
                return body

        return await asyncssh.listen(
            "127.0.0.1", 0, server_factory=Login, server_host_keys=[self.host_key], sftp_factory=Files
        )
