"""Secrets of connections: read at the moment of use from where the connection file says they lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field, model_validator

from core.definition_file import Definition
from core.errors import GsceneError


class SecretPlace(Definition):
    """Where a secret lies: a `file` of mode 0600 (relative to the home folder), or an environment variable's name."""

    file: str | None = None
    env: str | None = Field(default=None, pattern=r"^[A-Z][A-Z0-9_]*$")

    @model_validator(mode="after")
    def _one_place(self) -> SecretPlace:
        if (self.file is None) == (self.env is None):
            raise ValueError("give either `file` or `env`")
        return self


@dataclass(frozen=True)
class Secrets:
    """Reads secrets of one home. `environment` is handed over by the program that started; its values are never shown."""

    home: Path
    environment: Mapping[str, str] = field(repr=False, default_factory=dict)

    def read(self, place: SecretPlace) -> str:
        """The secret, without the line end. GsceneError where it is missing, empty or readable by others."""
        if place.env is not None:
            text = self.environment.get(place.env, "")
            if not text:
                raise GsceneError(
                    f"the environment variable {place.env} isn't set.",
                    "Set it for the user that runs gscene, or keep the secret in a file of mode 0600.",
                )
            return text
        text = self.private_file(str(place.file)).read_text(encoding="utf-8").strip()
        if not text:
            raise GsceneError(f"{place.file} is empty.", "Write the secret into it.")
        return text

    def private_file(self, name: str) -> Path:
        """Path of a file that only its owner may read."""
        path = self.file(name)
        if path.stat().st_mode & 0o077:
            raise GsceneError(f"{path} can be read by others.", f"Run: chmod 600 {path}")
        return path

    def file(self, name: str) -> Path:
        """Path of a file named in a connection; relative names start at the home folder."""
        path = self.home / name
        if not path.is_file():
            raise GsceneError(f"{path} isn't there.", "Put the file there, or correct the connection.")
        return path
