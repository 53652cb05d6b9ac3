"""Connection files: the documented ones load, and what leads a refusal away from the reader doesn't."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from core.errors import GsceneError, Refusal
from sources.adapter import load_adapters
from sources.connectors.connection import (
    HttpConnection,
    PostgresConnection,
    load_connection,
    load_connections,
)
from sources.connectors.secret import SecretPlace, Secrets

DOCS = Path(__file__).parents[3] / "docs" / "connectors.md"
BLOCKS = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("kind: ")[1].split()[0])
def test_every_documented_connection_loads(tmp_path: Path, block: str) -> None:
    name = block.split()[1]
    path = tmp_path / f"{name}.yaml"
    path.write_text(block, encoding="utf-8")
    connection = load_connection(path)
    feeds = connection.feeds if isinstance(connection, PostgresConnection) else ()
    records = connection.records if isinstance(connection, HttpConnection) else ()
    adapters = load_adapters()
    for feed in (*feeds, *records):
        assert adapters[feed.adapter].source in connection.brings
        assert set(feed.control_sums) <= set(adapters[feed.adapter].source_columns)


def test_all_four_kinds_are_documented() -> None:
    assert [re.search(r"kind: (\w+)", block)[1] for block in BLOCKS] == ["drop", "sftp", "http", "postgres"]  # type: ignore[index]


def test_every_refusal_code_is_documented() -> None:
    """Codes that pulling itself gives; the others are told in docs/deliveries.md or name one wrong entry."""
    folder = DOCS.parents[1] / "sources" / "connectors"
    given = set(re.findall(r'refused\(\s*"([A-Z_]+)"', "".join(p.read_text() for p in folder.glob("*.py"))))
    entries = {
        "MANIFEST",
        "SCHEMA",
        "STRUCTURE",
        "ENCODING",
        "FEED",
        "TABLE",
        "QUERY",
        "LISTING",
        "EXCHANGE",
        "FILE_SIZE",
        "PERIOD",
    }
    text = DOCS.read_text(encoding="utf-8")
    assert {code for code in given - entries if code not in text} == set()


def test_the_file_has_the_connections_name(tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text(BLOCKS[0], encoding="utf-8")
    with pytest.raises(Refusal, match="same name") as refused:
        load_connection(path)
    assert refused.value.line == 1


def test_a_home_without_connections_has_none(tmp_path: Path) -> None:
    assert load_connections(tmp_path) == {}


@pytest.mark.parametrize("kind", ["ftp", "http", None])
def test_a_wrong_kind_is_told(tmp_path: Path, kind: str | None) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(f"connection: x\nbrings: [a]\n{f'kind: {kind}' if kind else ''}\n", encoding="utf-8")
    with pytest.raises(Refusal, match=r"kind|url") as refused:
        load_connection(path)
    assert refused.value.line is not None and refused.value.remedy


def test_secrets(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path, {"TOKEN": "s3cret"})
    assert secrets.read(SecretPlace(env="TOKEN")) == "s3cret" and "s3cret" not in repr(secrets)
    with pytest.raises(GsceneError, match="OTHER"):
        secrets.read(SecretPlace(env="OTHER"))
    with pytest.raises(GsceneError, match="isn't there"):
        secrets.read(SecretPlace(file="absent"))
    file = tmp_path / "empty"
    file.write_text("\n")
    file.chmod(0o600)
    with pytest.raises(GsceneError, match="empty"):
        secrets.read(SecretPlace(file="empty"))
