"""Where a crosswalk is kept, for as long as it is needed, and how it ends.

It is delivered once. Taking it over moves it to `<home>/restricted/migrations/<name>/` (folder 0700, file 0600) and destroys
what was laid; after the rollback window the kept file is destroyed too. Of each destruction the audit chain keeps sha256,
size and time. Overwriting reaches the file, not copies that a file system, a snapshot or a backup has made of it.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import GsceneError, Refusal
from core.purpose import Purpose
from sources.delivery import sha256_of
from sources.migration.crosswalk import COLUMNS, Crosswalk, read_crosswalk
from sources.migration.definition import FOLDER_NAME, CrosswalkFile, MigrationDefinition

_BLOCK = 1 << 20


@dataclass(frozen=True)
class CrosswalkVault:
    """The restricted folder of one migration."""

    home: Path
    migration: str

    @property
    def folder(self) -> Path:
        """Readable by its owner alone."""
        return self.home / "restricted" / "migrations" / self.migration

    @property
    def file(self) -> Path:
        """The kept crosswalk: pairs only, sorted."""
        return self.folder / "crosswalk.parquet"

    def laid(self, definition: MigrationDefinition) -> list[Path]:
        """Where the crosswalk's files are laid, relative to the folder of definitions."""
        return [self.home / FOLDER_NAME / named.file for named in definition.crosswalk]

    def take_over(self, definition: MigrationDefinition) -> dict[str, Any]:
        """Check the laid files and keep them here as one; returns sha256 and size of what is kept and how its pairs relate. The
        caller destroys what was laid once this is on record.

        Refusal REFUSED/CHECKSUM for other bytes than the definition names; a file that isn't well formed is refused and stays
        where it is.
        """
        laid = self.laid(definition)
        for path, named in zip(laid, definition.crosswalk, strict=True):
            _require_as_named(path, named)
        crosswalk = read_crosswalk(laid, definition.key_ver, Purpose.MIGRATION_CHECK)
        self._keep(crosswalk)
        kept = {"sha256": sha256_of(self.file), "bytes": self.file.stat().st_size}
        return kept | crosswalk.cardinality

    def read(self, definition: MigrationDefinition, sha256: str) -> Crosswalk:
        """The kept crosswalk, the one that was taken over. GsceneError where it is gone, changed or open to others."""
        for path, mode in ((self.folder, 0o700), (self.file, 0o600)):
            if not path.exists():
                raise GsceneError(
                    f"{path} is not there.", "It was destroyed, or the home folder is not whole."
                )
            if path.stat().st_mode & 0o077:
                raise GsceneError(f"{path} can be read by others.", f"Run: chmod {mode:o} {path}")
        if sha256_of(self.file) != sha256:
            raise GsceneError(
                f"{self.file} isn't the crosswalk that was taken over.", "Restore it from backup."
            )
        return read_crosswalk([self.file], definition.key_ver, Purpose.MIGRATION_CHECK)

    def destroy(self) -> dict[str, Any]:
        """Destroy whatever is kept; returns the evidence (empty where nothing is)."""
        evidence = destroy(self.file) if self.file.exists() else {}
        shutil.rmtree(self.folder, ignore_errors=True)
        return evidence

    def _keep(self, crosswalk: Crosswalk) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.chmod(0o700)
        part = self.folder / ".crosswalk.part"
        part.unlink(missing_ok=True)
        part.touch(mode=0o600)
        rows = pa.table([crosswalk.old_ids, crosswalk.new_ids, crosswalk.valid_from], names=list(COLUMNS))
        pq.write_table(rows, part, write_page_checksum=True)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(self.file)


def _require_as_named(laid: Path, named: CrosswalkFile) -> None:
    if not laid.is_file():
        raise Refusal(
            "REFUSED/CROSSWALK",
            "the crosswalk isn't there.",
            file=laid.name,
            remedy=f"Lay it at {laid}; it is taken over once and destroyed there.",
        )
    if sha256_of(laid) != named.sha256:
        raise Refusal(
            "REFUSED/CHECKSUM",
            "the crosswalk's bytes aren't those that the definition names.",
            file=laid.name,
            remedy="Compare its sha256 with the one that the provider told you another way.",
        )


def destroy(path: Path) -> dict[str, Any]:
    """Overwrite a file with random bytes, remove it, and return what it was: sha256 and bytes."""
    evidence = {
        "file": path.name,
        "sha256": sha256_of(path),
        "bytes": path.stat().st_size,
        "method": "overwritten, removed",
    }
    left = path.stat().st_size
    with path.open("rb+") as file:
        while left > 0:
            left -= file.write(os.urandom(min(_BLOCK, left)))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return evidence
