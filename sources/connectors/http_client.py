"""HTTP as the exchange uses it: one pinned authority, no other host, capped bodies, failures told apart."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import httpx

from sources.connectors.connection import HttpConnection
from sources.connectors.failure import Passing, refused
from sources.connectors.secret import Secrets

#: Redirects within the host that are followed.
REDIRECTS = 3

#: Answers that a later try may not repeat.
PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


class HttpClient:
    """Requests to one server. No proxy, no cookie, no environment: only what the connection says."""

    def __init__(self, connection: HttpConnection, secrets: Secrets) -> None:
        self.connection = connection
        self._client = httpx.AsyncClient(
            base_url=connection.url,
            headers={"Accept-Encoding": "identity", "User-Agent": "gscene", **_bearer(connection, secrets)},
            verify=_trust(connection, secrets),
            timeout=httpx.Timeout(connection.timeouts.read, connect=connection.timeouts.connect),
            follow_redirects=False,
            trust_env=False,
        )
        self._origin = _origin(httpx.URL(connection.url))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def json(self, path: str, parameters: Mapping[str, str] | None = None) -> Any:
        """A JSON body; numbers stay the text that was sent, so that no digit is lost."""
        body = await self.body(path, self.connection.limits.page_bytes, parameters)
        try:
            return json.loads(body, parse_float=str, parse_int=str)
        except (ValueError, RecursionError):
            raise Passing("an answer isn't whole JSON.") from None

    async def body(self, path: str, most: int, parameters: Mapping[str, str] | None = None) -> bytes:
        """A body of at most `most` bytes. Raises Refusal REFUSED/TOO_LARGE beyond that."""
        pieces, size = [], 0
        async with self.stream("GET", path, parameters=parameters) as response:
            async for piece in response.aiter_raw():
                size += len(piece)
                if size > most:
                    raise refused(
                        "TOO_LARGE",
                        f"an answer is longer than {most} bytes.",
                        "Have the other side send smaller pages, or raise `limits.page_bytes`.",
                    )
                pieces.append(piece)
        return b"".join(pieces)

    async def put(self, path: str, body: bytes) -> None:
        """Lay a JSON body down; the same again is no other."""
        async with self.stream("PUT", path, content=body, headers={"Content-Type": "application/json"}):
            pass

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        parameters: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """A successful answer whose body is read raw. What fails here or while reading comes out as Passing or Refusal."""
        request = self._client.build_request(
            method, path, headers=headers, params=parameters, content=content
        )
        try:
            response = await self._answer(request)
            try:
                yield response
            finally:
                await response.aclose()
        except httpx.TimeoutException as error:
            raise Passing(f"no answer in time: {type(error).__name__}.") from None
        except (httpx.TransportError, OSError) as error:
            # TLS alerts that come while reading arrive as they are, not as httpx's own errors.
            raise _transport(error) from None

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        for _ in range(REDIRECTS + 1):
            response = await self._client.send(request, stream=True)
            if response.next_request is None:
                break
            await response.aclose()
            request = response.next_request
            if _origin(request.url) != self._origin:
                raise refused(
                    "REDIRECT",
                    "the server points to another host.",
                    "It isn't followed. Ask the other side; if it has moved, correct `url` and the authority.",
                )
        try:
            _check_status(response)
        except Exception:
            await response.aclose()
            raise
        return response


def _check_status(response: httpx.Response) -> None:
    status = response.status_code
    if status in PASSING_STATUS:
        raise Passing(f"the server answers {status}.", wait=_retry_after(response))
    if status in (401, 403):
        raise refused(
            "LOGIN",
            f"the server answers {status}: the token or certificate isn't accepted, or has expired.",
            "Get a new one from the other side and put it where the connection says.",
        )
    if status == 416:
        return
    if not 200 <= status < 300:
        raise refused(
            "EXCHANGE",
            f"the server answers {status}, which the exchange protocol doesn't know here.",
            "Compare the server with docs/connectors.md.",
        )
    if response.headers.get("content-encoding", "identity") != "identity":
        raise refused(
            "EXCHANGE",
            "the server packs what was asked for unpacked.",
            "Have the other side honour Accept-Encoding: identity; packed files are for the delivery itself.",
        )


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds that the server asks for; its other form, a date, would need its clock to be ours."""
    told = response.headers.get("retry-after", "")
    return float(told) if told.isdecimal() and len(told) < 9 else None


def _transport(error: Exception) -> Exception:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return refused(
                "CERTIFICATE",
                f"the server's certificate isn't the expected one: {cause.verify_message}.",
                "Ask the other side for its authority's certificate and name it in `tls.ca`; "
                "until then somebody else may be answering.",
            )
        if isinstance(cause, ssl.SSLError) and "ALERT" in str(cause.reason):
            return refused(
                "LOGIN",
                f"the server ends the handshake: {str(cause.reason).lower().replace('_', ' ')}.",
                "It wants a client certificate that it knows: name it in `tls.certificate` and `tls.key`.",
            )
        cause = cause.__cause__ or cause.__context__
    return Passing(f"the line to the server broke: {type(error).__name__}.")


def _trust(connection: HttpConnection, secrets: Secrets) -> ssl.SSLContext | bool:
    tls = connection.tls
    if tls is None:
        return True
    try:
        context = ssl.create_default_context(cafile=str(secrets.file(tls.ca)))
        if tls.certificate is not None and tls.key is not None:
            context.load_cert_chain(secrets.file(tls.certificate), secrets.private_file(tls.key))
    except ssl.SSLError as error:
        raise refused(
            "CERTIFICATE",
            f"a certificate or key named in `tls` can't be used: {error.reason}.",
            "Put PEM files there; the key must belong to the certificate.",
        ) from None
    return context


def _bearer(connection: HttpConnection, secrets: Secrets) -> dict[str, str]:
    if connection.bearer is None:
        return {}
    return {"Authorization": f"Bearer {secrets.read(connection.bearer)}"}


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
