"""Figures that features are held against, such as the province's average wage: one YAML file, changed without Python.

Figures follow two clocks like everything else: each holds from a month on and became public on a day.
"""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path

from pydantic import Field, field_validator

from core.definition_file import CODE, Definition, line_of, load_definition
from core.errors import Refusal
from core.months import Month

PATH = Path(__file__).parent / "parameters.yaml"


class DatedValue(Definition):
    """What a figure is from a month on, and the day (China's) on which it became public."""

    holds_from: str = Field(alias="from")
    published: date
    value: float = Field(gt=0)

    @field_validator("holds_from")
    @classmethod
    def _month(cls, text: str) -> str:
        return str(Month.parse(text))

    @property
    def since(self) -> Month:
        """The first month in which it holds."""
        return Month.parse(self.holds_from)


class Parameter(Definition):
    """One figure with its unit; what it is, in both languages."""

    unit: str
    zh: str
    en: str
    values: list[DatedValue] = Field(min_length=1)

    def value_at(self, as_of: Month, known: date) -> float | None:
        """What holds in the month of all that was public on the day `known`: the youngest, and of two for one month the later
        published. None before the first."""
        there = [each for each in self.values if each.since <= as_of and each.published <= known]
        return max(there, key=lambda each: (each.since, each.published)).value if there else None


class ParameterFile(Definition):
    """The file of figures, by name."""

    parameters: dict[str, Parameter]


@cache
def load_parameters(path: Path = PATH) -> dict[str, Parameter]:
    """All figures by name; a mistake in the file is a Refusal with its line."""
    parameters = load_definition(path, ParameterFile).parameters
    for name, parameter in parameters.items():
        for place, (before, after) in enumerate(zip(parameter.values, parameter.values[1:], strict=False)):
            if (before.since, before.published) >= (after.since, after.published):
                raise Refusal(
                    CODE,
                    f"{name}: values stand in the order of `from` and, for one month, of `published`, each once.",
                    file=str(path),
                    line=line_of(path, "parameters", name, "values", place + 1),
                    remedy="Put the value where it belongs; a correction is a line of its own with the day of the correction.",
                )
    return parameters
