"""The exchange over HTTPS with a pinned authority and mutual TLS."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from sources.connectors.check import check
from sources.connectors.connection import Connection
from tests.sources.connectors.exchange_server import TOKEN, ExchangeServer
from tests.sources.connectors.pull_bench import PullBench, body_of, lay_out


@dataclass
class Secured:
    side: PullBench
    server: ExchangeServer
    ca: trustme.CA

    def connect(
        self, *, ca: trustme.CA | None = None, client: trustme.CA | None = None, **told: Any
    ) -> Connection:
        """Trusting `ca`, with a client certificate of `client`."""
        (ca or self.ca).cert_pem.write_to_path(self.side.home / "ca.pem")
        tls = {"ca": "ca.pem"}
        if client is not None:
            leaf = client.issue_cert("bank@example.org")
            leaf.cert_chain_pems[0].write_to_path(self.side.home / "bank.pem")
            self.side.secret("bank.key", leaf.private_key_pem.bytes().decode())
            tls |= {"certificate": "bank.pem", "key": "keys/bank.key"}
        self.side.secret("token", TOKEN)
        return self.side.connect(
            **{"kind": "http", "url": self.server.url, "tls": tls, "bearer": {"file": "keys/token"}} | told
        )


@pytest.fixture
def secured(side: PullBench, tmp_path: Path) -> Iterator[Secured]:
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    ca.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    with ExchangeServer(context).running() as server:
        server.shelve(lay_out(tmp_path / "shelf", body_of(30)), "d-1")
        yield Secured(side, server, ca)


def test_with_both_certificates_deliveries_come(secured: Secured) -> None:
    connection = secured.connect(client=secured.ca)
    assert all(finding.ok for finding in check(secured.side.side, connection))
    assert secured.side.pull(connection).well and len(secured.side.ledger()) == 1


def test_an_unknown_authority_is_refused_before_the_token_is_sent(secured: Secured) -> None:
    pulled = secured.side.pull(secured.connect(ca=trustme.CA(), client=secured.ca))
    assert pulled.state == "REFUSED/CERTIFICATE" and "tls.ca" in pulled.remedy
    assert not secured.server.requests and not secured.side.waits.slept


def test_a_certificate_of_another_host_is_refused(secured: Secured) -> None:
    url = secured.server.url.replace("localhost", "127.0.0.1")
    assert secured.side.pull(secured.connect(client=secured.ca, url=url)).state == "REFUSED/CERTIFICATE"


@pytest.mark.parametrize("stranger", [True, False])
def test_without_a_known_client_certificate_the_server_ends_it(secured: Secured, stranger: bool) -> None:
    connection = secured.connect(client=trustme.CA() if stranger else None)
    pulled = secured.side.pull(connection)
    assert pulled.state == "REFUSED/LOGIN" and "client certificate" in pulled.remedy, pulled
    assert not secured.server.requests


def test_a_key_that_others_can_read_is_not_used(secured: Secured) -> None:
    connection = secured.connect(client=secured.ca)
    (secured.side.home / "keys" / "bank.key").chmod(0o644)
    assert "chmod 600" in secured.side.pull(connection).remedy
    assert not secured.server.requests


def test_receipts_are_put_to_their_delivery(secured: Secured) -> None:
    connection = secured.connect(client=secured.ca)
    secured.side.pull(connection)
    sha256 = secured.side.items()["d-1"].manifest_sha256
    secured.server.receipts.clear()
    folder = secured.side.home / "out" / "receipts" / "city"
    folder.mkdir(parents=True, exist_ok=True)
    body = f'{{"manifest_sha256": "{sha256}", "state": "ACCEPTED"}}'
    for n in (10, 9):
        (folder / f"x-r1-{n}.json").write_text(body + " " * n)
        (folder / f"x-r1-{n}.sig").write_text(f"signature {n}")
    (folder / "other.json").write_text('{"manifest_sha256": "of a delivery that came another way"}')
    assert secured.side.pull(connection).receipts == 4
    assert secured.server.receipts["d-1"] == [
        ("receipt", body.encode() + b" " * 9), ("receipt/signature", b"signature 9"),
        ("receipt", body.encode() + b" " * 10), ("receipt/signature", b"signature 10"),
    ]  # fmt: skip
    assert secured.side.pull(connection).receipts == 0


def test_signatures_come_along(secured: Secured, tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "shelf", body_of(3), revision=2)
    (folder / "manifest.sig").write_text('{"key_id": "k", "signature": "00"}')
    secured.server.shelve(folder, "d-2")
    pulled = secured.side.pull(secured.connect(client=secured.ca))
    assert len(pulled.new) == 2
    found = next((secured.side.home / "inbox").rglob("manifest.sig"))
    assert found.parent.name == "2026-10-r2" and found.read_bytes() == (folder / "manifest.sig").read_bytes()
