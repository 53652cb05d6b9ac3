"""An exchange as docs/connectors.md writes it down, on loopback, with faults that a test orders one by one."""

from __future__ import annotations

import hashlib
import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from sources.delivery import MANIFEST_NAME

TOKEN = "bearer-secret-canary-9942"


@dataclass
class Answer:
    """What the server is about to send; a fault changes it or sends it in its own way."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


Fault = Callable[["_Handler", Answer], None]


@dataclass
class Months:
    """One month of a feed: its rows in one version."""

    version: str
    rows: list[dict[str, Any]]
    control_sums: dict[str, str] = field(default_factory=dict)


class ExchangeServer:
    """Deliveries and records on shelves. `order` queues a fault for the next requests of a kind: list, manifest, file,
    months, records, receipt.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.deliveries: dict[str, Path] = {}
        self.records: dict[str, dict[str, Months]] = {}
        self.receipts: dict[str, list[tuple[str, bytes]]] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.page = 2
        self._faults: dict[str, list[Fault]] = {}
        self._forever: dict[str, Fault] = {}
        handler = type("Handler", (_Handler,), {"exchange": self})
        self._server = _Quiet(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        if context is not None:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._server.server_port
        self.url = f"{'https' if context else 'http'}://localhost:{self.port}/api"

    @contextmanager
    def running(self) -> Iterator[ExchangeServer]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def shelve(self, folder: Path, id_: str) -> None:
        """Lay a delivery folder out under an id."""
        self.deliveries[id_] = folder

    def order(self, kind: str, *faults: Fault) -> None:
        """The next requests of the kind meet these faults, one each."""
        self._faults.setdefault(kind, []).extend(faults)

    def always(self, kind: str, fault: Fault) -> None:
        """Every request of the kind meets it."""
        self._forever[kind] = fault

    def mended(self) -> None:
        """No faults any more."""
        self._faults.clear()
        self._forever.clear()

    def asked(self, kind: str) -> list[dict[str, str]]:
        """Headers of the requests of a kind."""
        return [headers for of, _, headers in self.requests if of == kind]

    def fault(self, kind: str) -> Fault | None:
        waiting = self._faults.get(kind)
        return waiting.pop(0) if waiting else self._forever.get(kind)


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up or isn't let in is no error of the server. As real servers do, it lingers before it closes:
        closing at once, with the request unread, would overtake the alert that tells the client why.
        """
        time.sleep(0.3)


class _Handler(BaseHTTPRequestHandler):
    exchange: ExchangeServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._meet()

    def do_PUT(self) -> None:
        self._meet()

    def _meet(self) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path).removeprefix("/api")
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind, answer = self._answer(path, asked, sent)
        self.exchange.requests.append((kind, self.path, dict(self.headers)))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            answer = Answer(401)
        fault = self.exchange.fault(kind)
        try:
            if fault is None:
                self.send(answer)
            else:
                fault(self, answer)
        except OSError:
            self.close_connection = True

    def _answer(self, path: str, asked: dict[str, str], sent: bytes) -> tuple[str, Answer]:
        shelf = self.exchange.deliveries
        if path == "/v1/deliveries":
            return "list", _json(self._page(int(asked.get("since", "0"))))
        if found := re.fullmatch(
            r"/v1/deliveries/([^/]+)/(manifest|signature|receipt(?:/signature)?|files/(.+))", path
        ):
            id_, what, name = found.groups()
            if what.startswith("receipt"):
                self.exchange.receipts.setdefault(id_, []).append((what, sent))
                return "receipt", Answer(204)
            if what == "manifest":
                return "manifest", Answer(body=(shelf[id_] / MANIFEST_NAME).read_bytes())
            if what == "signature":
                return "signature", Answer(body=(shelf[id_] / "manifest.sig").read_bytes())
            return "file", self._file((shelf[id_] / name).read_bytes())
        if found := re.fullmatch(r"/v1/records/([^/]+)(?:/([^/]+))?", path):
            feed, month = found.groups()
            if month is None:
                return "months", _json({"months": [
                    {"month": name, "version": m.version, "total": len(m.rows), "control_sums": m.control_sums}
                    for name, m in self.exchange.records[feed].items()
                ]})  # fmt: skip
            return "records", _json(self._rows(self.exchange.records[feed][month], asked))
        return "unknown", Answer(404)

    def _page(self, since: int) -> dict[str, Any]:
        names = list(self.exchange.deliveries)
        to = min(since + self.exchange.page, len(names))
        entries = []
        for name in names[since:to]:
            folder = self.exchange.deliveries[name]
            sha256 = hashlib.sha256((folder / MANIFEST_NAME).read_bytes()).hexdigest()
            entries.append(
                {"id": name, "manifest_sha256": sha256, "signed": (folder / "manifest.sig").exists()}
            )
        return {"deliveries": entries, "cursor": str(to), "more": to < len(names)}

    def _file(self, body: bytes) -> Answer:
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked is None or self.headers.get("If-Range", etag) != etag:
            return Answer(headers={"ETag": etag}, body=body)
        start = int(asked[1])
        if start >= len(body):
            return Answer(416, {"Content-Range": f"bytes */{len(body)}"})
        told = f"bytes {start}-{len(body) - 1}/{len(body)}"
        return Answer(206, {"ETag": etag, "Content-Range": told}, body[start:])

    def _rows(self, month: Months, asked: dict[str, str]) -> dict[str, Any]:
        first, size = int(asked.get("cursor", "0")), int(asked["rows"])
        to = min(first + size, len(month.rows))
        return {
            "version": month.version,
            "total": len(month.rows),
            "first": first,
            "rows": month.rows[first:to],
            "next": str(to) if to < len(month.rows) else None,
        }

    def send(self, answer: Answer, length: int | None = None) -> None:
        """Send it; `length` is what Content-Length says, where that is to be wrong."""
        self.head(answer, length)
        self.wfile.write(answer.body)
        if length is not None:
            self.close_connection = True

    def head(self, answer: Answer, length: int | None = None) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body) if length is None else length))
        self.end_headers()


def _json(body: Any) -> Answer:
    return Answer(
        headers={"Content-Type": "application/json"}, body=json.dumps(body, ensure_ascii=False).encode()
    )


# -- faults ------------------------------------------------------------------------------------------------------------


def fails(status: int = 500, **headers: str) -> Fault:
    """An error status."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, answer: handler.send(Answer(status, told))


def slow_headers(seconds: float) -> Fault:
    """Nothing for a while."""

    def fault(handler: _Handler, answer: Answer) -> None:
        time.sleep(seconds)
        handler.send(answer)

    return fault


def slow_body(seconds: float) -> Fault:
    """A byte at a time, often enough to outwit a timeout between bytes."""

    def fault(handler: _Handler, answer: Answer) -> None:
        handler.head(answer)
        for position in range(len(answer.body)):
            handler.wfile.write(answer.body[position : position + 1])
            time.sleep(seconds)

    return fault


def cut(at: int | float) -> Fault:
    """So many bytes (or such a share) of the body, then the line is closed."""

    def fault(handler: _Handler, answer: Answer) -> None:
        size = int(len(answer.body) * at) if isinstance(at, float) else at
        handler.head(answer)
        handler.wfile.write(answer.body[:size])
        handler.close_connection = True

    return fault


def length_off_by(more: int) -> Fault:
    """Content-Length says another length than the body's."""
    return lambda handler, answer: handler.send(answer, max(0, len(answer.body) + more))


def wrong_bytes(handler: _Handler, answer: Answer) -> None:
    """One bit is another."""
    middle = len(answer.body) // 2
    flipped = bytes([answer.body[middle] ^ 1])
    handler.send(
        Answer(answer.status, answer.headers, answer.body[:middle] + flipped + answer.body[middle + 1 :])
    )


def redirect(to: str) -> Fault:
    """Elsewhere."""
    return lambda handler, answer: handler.send(Answer(302, {"Location": to}))


def endless(handler: _Handler, answer: Answer) -> None:
    """A body without an end and without a length."""
    handler.send_response(answer.status)
    for name, value in answer.headers.items():
        handler.send_header(name, value)
    handler.send_header("Connection", "close")
    handler.end_headers()
    while True:
        handler.wfile.write((answer.body or b" ") * 64)


def range_ignored(handler: _Handler, answer: Answer) -> None:
    """Everything from the beginning, whatever was asked: needs the file's own path."""
    del handler.headers["Range"]
    path = unquote(urlsplit(handler.path).path).removeprefix("/api")
    handler.send(handler._answer(path, {}, b"")[1])


def half_without_ranges(handler: _Handler, answer: Answer) -> None:
    """The first half again and again, whatever was asked."""
    del handler.headers["Range"]
    path = unquote(urlsplit(handler.path).path).removeprefix("/api")
    cut(0.5)(handler, handler._answer(path, {}, b"")[1])


def range_shifted(handler: _Handler, answer: Answer) -> None:
    """Says and sends another range than asked."""
    found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", answer.headers.get("Content-Range", ""))
    if found is not None:
        answer.headers["Content-Range"] = f"bytes {int(found[1]) + 1}-{found[2]}/{found[3]}"
        answer.body = answer.body[1:]
    handler.send(answer)


def range_lies(handler: _Handler, answer: Answer) -> None:
    """Says the right range and sends other bytes of the same length."""
    if answer.status == 206:
        answer.body = answer.body[::-1]
    handler.send(answer)


def etag_changed(handler: _Handler, answer: Answer) -> None:
    """Ignores If-Range and goes on in another version."""
    answer.headers["ETag"] = '"another"'
    handler.send(answer)


def packed(handler: _Handler, answer: Answer) -> None:
    """Claims to be packed though that wasn't asked for."""
    answer.headers["Content-Encoding"] = "gzip"
    handler.send(answer)


def told(**changes: Any) -> Fault:
    """A JSON answer with some entries changed."""

    def fault(handler: _Handler, answer: Answer) -> None:
        handler.send(_json(json.loads(answer.body) | changes))

    return fault
