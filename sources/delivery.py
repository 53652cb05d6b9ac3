"""A delivery as it is handed over: one folder with a manifest, its signature where the source signs, and the data files.

The manifest says what was sent, never when it arrived: a provider can't back-date what the bank knew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import Field, ValidationError, field_validator, model_validator

from core.definition_file import Definition
from core.errors import Refusal
from core.months import Month
from core.subject import TableOwner
from sources.signature import SIGNATURE_NAME, signature_of

FORMAT = "gscene-delivery/2"
MANIFEST_NAME = "manifest.json"

#: A manifest names some files and a few sums; anything larger isn't one.
MAX_MANIFEST_BYTES = 1 << 20

#: What sources, adapters and tables may be called; names go into paths and table names, so nothing else is let through.
NAME = r"^[a-z][a-z0-9_]*$"
Name = Annotated[str, Field(pattern=NAME, max_length=80)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class DeliveredFile(Definition):
    """A data file as the sender describes it; `rows` counts data rows, without the header."""

    name: str = Field(pattern=r"^[^/\\\x00-\x1f\x7f]+$", max_length=200)
    bytes: int = Field(ge=0, lt=2**63)
    sha256: Sha256
    rows: int = Field(ge=0, lt=2**31)

    @field_validator("name")
    @classmethod
    def _inside_the_folder(cls, name: str) -> str:
        if name in (".", "..", MANIFEST_NAME, SIGNATURE_NAME):
            raise ValueError("name a data file beside the manifest")
        return name


class Manifest(Definition):
    """`manifest.json`. `mode` full: this revision is the whole period; supplement: it adds or corrects rows
    by business key.

    `files` follow each other: together they are the rows of the period. `control_sums` are plain sums of a source money
    column over all delivered rows, in the source's unit. `sequence` counts the deliveries of one feed (source, subject and
    table) from 1 and lets a lost one be noticed; `previous_manifest_sha256` is the sha256 of the manifest before it.

    `made_by`: the connection over which the bank read the rows and made the delivery itself; None for the source's own.
    """

    format: Literal["gscene-delivery/2"]
    source: Name
    adapter: Name
    subject: TableOwner
    table: Name
    period: str
    revision: int = Field(ge=1, lt=2**31)
    mode: Literal["full", "supplement"]
    files: tuple[DeliveredFile, ...] = Field(min_length=1, max_length=1000)
    control_sums: dict[str, Annotated[str, Field(pattern=r"^-?\d{1,20}(\.\d{1,8})?$")]] = {}
    made_by: Name | None = None
    sequence: int | None = Field(default=None, ge=1, lt=2**31)
    previous_manifest_sha256: Sha256 | None = None

    @field_validator("period")
    @classmethod
    def _a_month(cls, period: str) -> str:
        return str(Month.parse(period))

    @model_validator(mode="after")
    def _fits_together(self) -> Manifest:
        names = [file.name for file in self.files]
        if len(set(names)) < len(names):
            raise ValueError("a file is named twice")
        if self.sequence is None and self.previous_manifest_sha256 is not None:
            raise ValueError("previous_manifest_sha256 needs a sequence")
        if self.sequence == 1 and self.previous_manifest_sha256 is not None:
            raise ValueError("the first of a sequence has no previous manifest")
        return self

    @property
    def rows(self) -> int:
        """Data rows of all files."""
        return sum(file.rows for file in self.files)

    @property
    def feed(self) -> str:
        """`<source>/<subject>.<table>`: whose deliveries are counted together."""
        return f"{self.source}/{self.subject}.{self.table}"


@dataclass(frozen=True)
class DeliveryFolder:
    """A delivery lying in a folder, checked for form; its data files exist but haven't been opened. `body` are the
    manifest's exact bytes, which the signature speaks of.
    """

    folder: Path
    manifest: Manifest
    body: bytes

    @property
    def manifest_sha256(self) -> str:
        """sha256 of the manifest's bytes."""
        return hashlib.sha256(self.body).hexdigest()

    @property
    def data(self) -> tuple[Path, ...]:
        """The data files in the manifest's order."""
        return tuple(self.folder / file.name for file in self.manifest.files)


def folder_of(inbox: Path, manifest: Manifest) -> Path:
    """Where a delivery belongs in an inbox: `<source>/<subject>.<table>/<period>-r<revision>`."""
    return inbox / manifest.feed / f"{manifest.period}-r{manifest.revision}"


def read_delivery(folder: Path) -> DeliveryFolder:
    """Read and check a delivery folder. Raises Refusal REFUSED/MANIFEST with file and line."""
    path = folder / MANIFEST_NAME
    if not path.is_file() or path.is_symlink() or path.stat().st_size > MAX_MANIFEST_BYTES:
        raise _refuse(path, "there is no manifest, or it isn't a plain file of at most 1 MiB.")
    body = path.read_bytes()
    manifest = parse_manifest(body, path)
    if (folder.parent.parent.name, folder.parent.name) != tuple(manifest.feed.split("/")):
        raise _refuse(path, "it lies in the folder of another source or table than it names.")
    for file in manifest.files:
        data = folder / file.name
        if not data.is_file() or data.is_symlink():
            raise _refuse(path, "a data file that it names isn't there as a plain file.")
    return DeliveryFolder(folder, manifest, body)


def parse_manifest(body: bytes, path: Path) -> Manifest:
    """Manifest from its bytes. Raises Refusal REFUSED/MANIFEST; the text never quotes what was sent."""
    try:
        return Manifest.model_validate(
            json.loads(body.decode("utf-8"), object_pairs_hook=_each_key_once, parse_constant=_no_constant)
        )
    except UnicodeDecodeError:
        raise _refuse(path, "not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise _refuse(path, f"not JSON: {error.msg}.", error.lineno) from None
    except RecursionError:
        raise _refuse(path, "nested too deeply.") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        known = set(Manifest.model_fields) | set(DeliveredFile.model_fields)
        parts = (str(part) if isinstance(part, int) or part in known else "an entry" for part in first["loc"])
        place = ".".join(parts) or "the manifest"
        message = "not a month such as 2026-10" if first["loc"] == ("period",) else first["msg"]
        raise _refuse(path, f"{place}: {message}.") from None
    except _Ambiguous as error:
        raise _refuse(path, f"not plain JSON: {error}.") from None
    except ValueError:
        # A number of thousands of digits.
        raise _refuse(path, "a number that is too long.") from None


class _Ambiguous(ValueError):
    """JSON that two readers could understand differently."""


def _each_key_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        raise _Ambiguous("a key stands twice")
    return entries


def _no_constant(_: str) -> object:
    raise _Ambiguous("NaN or Infinity")


def write_manifest(
    data: Path | Sequence[Path],
    *,
    source: str,
    adapter: str,
    subject: TableOwner,
    table: str,
    period: str,
    rows: int | Sequence[int],
    revision: int = 1,
    mode: Literal["full", "supplement"] = "full",
    control_sums: Mapping[str, str] | None = None,
    made_by: str | None = None,
    sequence: int | None = None,
    previous: str | None = None,
    signing_key: Ed25519PrivateKey | None = None,
) -> Manifest:
    """Describe `data` (one file, or several with a row count each) in a manifest beside it, for senders that are programs
    of ours and for collected files.

    `previous` is the sha256 of the manifest with the sequence number before. With `signing_key` the signature is written
    beside it; without, a signature that lay there is removed, because it would speak of other bytes.
    """
    files = [data] if isinstance(data, Path) else list(data)
    counts = [rows] if isinstance(rows, int) else list(rows)
    manifest = Manifest(
        format=FORMAT,
        source=source,
        adapter=adapter,
        subject=subject,
        table=table,
        period=period,
        revision=revision,
        mode=mode,
        files=tuple(
            DeliveredFile(name=file.name, bytes=file.stat().st_size, sha256=sha256_of(file), rows=count)
            for file, count in zip(files, counts, strict=True)
        ),
        control_sums=dict(control_sums or {}),
        made_by=made_by,
        sequence=sequence,
        previous_manifest_sha256=previous,
    )
    body = manifest.model_dump(mode="json", exclude_none=True)
    text = (json.dumps(body, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()
    folder = files[0].parent
    (folder / MANIFEST_NAME).write_bytes(text)
    if signing_key is None:
        (folder / SIGNATURE_NAME).unlink(missing_ok=True)
    else:
        (folder / SIGNATURE_NAME).write_text(signature_of(text, signing_key), encoding="utf-8")
    return manifest


def sha256_of(path: Path) -> str:
    """sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _refuse(path: Path, message: str, line: int | None = None) -> Refusal:
    return Refusal(
        "REFUSED/MANIFEST",
        message,
        file=path.name,
        line=line,
        remedy=f"Have the source send the delivery again with a manifest of the form {FORMAT}.",
    )
