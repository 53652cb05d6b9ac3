"""A delivery as it is handed over: one folder with a manifest and one data file.

The manifest says what was sent, never when it arrived: a provider can't back-date what the bank knew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator

from core.definition_file import Definition
from core.errors import Refusal
from core.months import Month
from core.subject import SubjectKind

MANIFEST_NAME = "manifest.json"

#: A manifest names one file and a few sums; anything larger isn't one.
MAX_MANIFEST_BYTES = 1 << 20

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=80)]


class DeliveredFile(Definition):
    """The data file as the sender describes it; `rows` counts data rows, without the header."""

    name: str = Field(pattern=r"^[^/\\\x00]+$")
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    rows: int = Field(ge=0)

    @field_validator("name")
    @classmethod
    def _inside_the_folder(cls, name: str) -> str:
        if name in (".", "..", MANIFEST_NAME):
            raise ValueError("name the data file beside the manifest")
        return name


class Manifest(Definition):
    """`manifest.json`. `mode` full: this revision is the whole period; supplement: it adds or corrects rows
    by business key.

    `control_sums` are plain sums of a source money column over all delivered rows, in the source's unit. `made_by`: the
    connection over which the bank read the rows and made the delivery itself; None for the source's own.
    """

    format: Literal["gscene-delivery/1"]
    source: Name
    adapter: Name
    subject: SubjectKind
    table: Name
    period: str
    revision: int = Field(ge=1, lt=2**31)
    mode: Literal["full", "supplement"]
    files: tuple[DeliveredFile, ...] = Field(min_length=1, max_length=1)
    control_sums: dict[str, Annotated[str, Field(pattern=r"^-?\d{1,20}(\.\d{1,8})?$")]] = {}
    made_by: Name | None = None

    @field_validator("period")
    @classmethod
    def _a_month(cls, period: str) -> str:
        return str(Month.parse(period))

    @property
    def file(self) -> DeliveredFile:
        """The one data file."""
        return self.files[0]

    @property
    def raw_table(self) -> str:
        """Table-store name of the rows it brings."""
        return f"raw/{self.subject}/{self.table}"


@dataclass(frozen=True)
class DeliveryFolder:
    """A delivery lying in a folder, checked for form; its data file exists but hasn't been opened."""

    folder: Path
    manifest: Manifest
    manifest_sha256: str

    @property
    def data(self) -> Path:
        """The data file."""
        return self.folder / self.manifest.file.name


def folder_of(inbox: Path, manifest: Manifest) -> Path:
    """Where a delivery belongs in an inbox: `<source>/<subject>.<table>/<period>-r<revision>`."""
    return (
        inbox
        / manifest.source
        / f"{manifest.subject}.{manifest.table}"
        / f"{manifest.period}-r{manifest.revision}"
    )


def read_delivery(folder: Path) -> DeliveryFolder:
    """Read and check a delivery folder. Raises Refusal REFUSED/MANIFEST with file and line."""
    path = folder / MANIFEST_NAME
    if not path.is_file() or path.is_symlink() or path.stat().st_size > MAX_MANIFEST_BYTES:
        raise _refuse(path, "there is no manifest, or it isn't a plain file of at most 1 MiB.")
    body = path.read_bytes()
    manifest = parse_manifest(body, path)
    data = folder / manifest.file.name
    if not data.is_file() or data.is_symlink():
        raise _refuse(path, "the data file that it names isn't there as a plain file.")
    return DeliveryFolder(folder, manifest, hashlib.sha256(body).hexdigest())


def parse_manifest(body: bytes, path: Path) -> Manifest:
    """Manifest from its bytes. Raises Refusal REFUSED/MANIFEST; the text never quotes what was sent."""
    try:
        return Manifest.model_validate(json.loads(body.decode("utf-8")))
    except UnicodeDecodeError:
        raise _refuse(path, "not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise _refuse(path, f"not JSON: {error.msg}.", error.lineno) from None
    except RecursionError:
        raise _refuse(path, "nested too deeply.") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the manifest"
        message = "not a month such as 2026-10" if first["loc"] == ("period",) else first["msg"]
        raise _refuse(path, f"{place}: {message}.") from None


def write_manifest(
    data: Path,
    *,
    source: str,
    adapter: str,
    subject: SubjectKind,
    table: str,
    period: str,
    rows: int,
    revision: int = 1,
    mode: Literal["full", "supplement"] = "full",
    control_sums: Mapping[str, str] | None = None,
    made_by: str | None = None,
) -> Manifest:
    """Describe `data` in a manifest beside it, for senders that are programs of ours and collected files."""
    entry = DeliveredFile(name=data.name, bytes=data.stat().st_size, sha256=sha256_of(data), rows=rows)
    manifest = Manifest(
        format="gscene-delivery/1",
        source=source,
        adapter=adapter,
        subject=subject,
        table=table,
        period=period,
        revision=revision,
        mode=mode,
        files=(entry,),
        control_sums=dict(control_sums or {}),
        made_by=made_by,
    )
    text = json.dumps(
        manifest.model_dump(mode="json", exclude_none=True), ensure_ascii=False, indent=1, sort_keys=True
    )
    (data.parent / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")
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
        remedy="Have the source send the delivery again with a manifest of the form gscene-delivery/1.",
    )
