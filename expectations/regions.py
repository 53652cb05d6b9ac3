"""Region codes that have been retired: counties that were merged or became districts (GB/T 2260).

The short list of `regions.yaml` holds those that platforms are known to send still; a bank adds its own province's.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, RootModel

from core.definition_file import Definition, load_definition

FILE = Path(__file__).parent / "regions.yaml"


class Retired(Definition):
    """From month `since` on the code is no longer in use; `successor` has taken its place."""

    name: str
    since: str = Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")
    successor: str = Field(pattern=r"^\d{6}$")


class RetiredRegions(RootModel[dict[str, Retired]]):
    """Retired codes by themselves."""


RETIRED: dict[str, Retired] = load_definition(FILE, RetiredRegions).root
