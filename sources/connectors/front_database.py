"""A front-end database (PostgreSQL): one read-only session whose every name and value is quoted or bound by the driver."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import sql

from core.errors import GsceneError
from sources.connectors.connection import PostgresConnection
from sources.connectors.failure import Passing, SourceUnavailable, refused
from sources.connectors.secret import Secrets

#: What a failed connection says in English when the login is at fault; libpq hands no code over.
_LOGIN_WORDS = ("authentication", "pg_hba.conf", 'role "', 'database "')

Line = psycopg.AsyncConnection[Any]


@asynccontextmanager
async def snapshot(connection: PostgresConnection, secrets: Secrets) -> AsyncIterator[Line]:
    """A session inside one read-only REPEATABLE READ transaction: all statements see the same moment.

    Texts of dates and moments come in ISO form and Chinese civil time. What fails comes out as Passing, as
    SourceUnavailable (a statement took too long: again would be no shorter) or as Refusal.
    """
    arguments = _arguments(connection, secrets)
    try:
        line = await psycopg.AsyncConnection.connect(**arguments)
    except psycopg.OperationalError as error:
        raise _no_line(error) from None
    try:
        await line.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        await line.set_read_only(True)
        async with line.transaction():
            yield line
    except psycopg.Error as error:
        raise _failure(error, connection) from None
    finally:
        await line.close()


def _arguments(connection: PostgresConnection, secrets: Secrets) -> dict[str, Any]:
    milliseconds = int(connection.statement_seconds * 1000)
    settings = {
        "statement_timeout": milliseconds,
        "idle_in_transaction_session_timeout": milliseconds,
        "default_transaction_read_only": "on",
        "DateStyle": "ISO,YMD",
        "TimeZone": "Asia/Shanghai",
        "search_path": "pg_catalog",
    }
    tls = connection.tls
    arguments: dict[str, Any] = {
        "host": connection.host,
        "port": connection.port,
        "dbname": connection.database,
        "user": connection.user,
        # Given even when empty: libpq would look into the environment and into files of its own.
        "password": secrets.read(connection.password) if connection.password is not None else "",
        "passfile": "/dev/null",
        "sslmode": "verify-full" if tls is not None else "disable",
        "gssencmode": "disable",
        "application_name": "gscene",
        "client_encoding": "UTF8",
        "connect_timeout": max(2, int(connection.timeouts.connect)),
        "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
    }
    if tls is not None:
        arguments["sslrootcert"] = str(secrets.file(tls.ca))
        if tls.certificate is not None and tls.key is not None:
            arguments["sslcert"] = str(secrets.file(tls.certificate))
            arguments["sslkey"] = str(secrets.private_file(tls.key))
    return arguments


def _no_line(error: psycopg.OperationalError) -> GsceneError:
    told = str(error)
    if "certificate" in told or "SSL" in told:
        return refused(
            "CERTIFICATE",
            "the server has no TLS or its certificate isn't the expected one.",
            "Ask the other side for its authority's certificate and name it in `tls.ca`; `host` must be the certificate's name.",
        )
    if any(word in told for word in _LOGIN_WORDS):
        return refused(
            "LOGIN",
            "the database doesn't accept this user, password or database name.",
            "Check `user`, `database` and the password; have the other side admit this machine.",
        )
    return Passing(f"no connection to the database: {type(error).__name__}.")


def _failure(error: psycopg.Error, connection: PostgresConnection) -> GsceneError:
    """In our words: the server's own may quote values."""
    code = error.sqlstate or "no code"
    if isinstance(error, psycopg.errors.QueryCanceled):
        return SourceUnavailable(f"a statement took longer than {connection.statement_seconds:g} s.")
    if isinstance(error, psycopg.errors.InsufficientPrivilege | psycopg.errors.UndefinedTable):
        return refused(
            "TABLE",
            f"the table or view isn't there, or the user may not read it ({code}).",
            "Check `schema` and `table`; have the other side grant SELECT.",
        )
    if isinstance(error, psycopg.errors.UndefinedColumn):
        return refused(
            "SCHEMA",
            f"a column isn't there ({code}).",
            "Map the adapter's names to the table's in `columns`, or agree the change with the source.",
        )
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return Passing(f"the line to the database broke ({code}).")
    return refused(
        "QUERY",
        f"the database can't answer ({type(error).__name__}, {code}).",
        "Check the types of the columns named in the feed: sums need numbers, `watermark.type` and `month.form` must fit.",
    )


async def rows(line: Line, statement: sql.Composed, values: list[Any]) -> list[tuple[Any, ...]]:
    """All rows of a statement with few of them."""
    cursor = await line.execute(statement, values)
    return list(await cursor.fetchall())
