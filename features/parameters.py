"""Figures that features are held against, such as the province's average wage: one YAML file, changed without Python."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import Field

from core.definition_file import Definition, load_definition

PATH = Path(__file__).parent / "parameters.yaml"


class Parameter(Definition):
    """One figure with its unit; what it is, in both languages."""

    value: float = Field(gt=0)
    unit: str
    zh: str
    en: str


class ParameterFile(Definition):
    """The file of figures, by name."""

    parameters: dict[str, Parameter]


@cache
def load_parameters(path: Path = PATH) -> dict[str, Parameter]:
    """All figures by name; a mistake in the file is a Refusal with its line."""
    return load_definition(path, ParameterFile).parameters
