"""The register of expected breaks: days on which rules changed, so that drift is annotated instead of raising an alarm."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from core.definition_file import Definition, load_definition
from core.months import Month

REGISTER = Path(__file__).parent / "expected_breaks.yaml"


class ExpectedBreak(Definition):
    """One change of rules; `columns` are `table.column` of the contracts."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    from_month: str
    columns: tuple[str, ...] = Field(min_length=1)
    zh: str
    en: str
    source: str

    @field_validator("from_month")
    @classmethod
    def _a_month(cls, month: str) -> str:
        return str(Month.parse(month))

    def lies_between(self, earlier: Month, later: Month) -> bool:
        """Whether the rules changed after `earlier` and by `later`."""
        return earlier < Month.parse(self.from_month) <= later

    def touches(self, columns: set[str]) -> bool:
        """Whether any of the columns (`table.column`) is concerned."""
        return bool(columns & set(self.columns))


class BreakRegister(Definition):
    """The file."""

    breaks: tuple[ExpectedBreak, ...]


def load_breaks(path: Path = REGISTER) -> tuple[ExpectedBreak, ...]:
    """All expected breaks; a mistake is a Refusal with file and line."""
    return load_definition(path, BreakRegister).breaks


def explained_by(
    breaks: tuple[ExpectedBreak, ...], columns: set[str], earlier: Month, later: Month
) -> ExpectedBreak | None:
    """The break that explains a shift of a feature on these columns between two months, if any.

    A window feature looks back: callers give the first month that either window saw as `earlier`.
    """
    return next(
        (each for each in breaks if each.touches(columns) and each.lies_between(earlier, later)), None
    )
