"""Versioned code maps: one edition of one code book, `sources/code_maps/<name>@<edition>.yaml`, shared by adapters.

A code may have dates: outside them it isn't in force. One that was retired counts as its successor from then on; without a
successor it is `retired`, and the row that carries it needs somebody to look at it. Months are inclusive on both ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from core.definition_file import CODE, Bilingual, Definition, line_of, load_definition
from core.errors import Refusal
from core.months import Month

FOLDER = Path(__file__).parent / "code_maps"

#: `si_scheme@ed2`.
Reference = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*@[a-z0-9][a-z0-9_.]*$")]

Target = bool | str


class MappedCode(Definition):
    """What one code leads to; without `to` it leads to itself. `labels` are texts that the same systems write instead."""

    to: Target | None = None
    labels: tuple[str, ...] = ()
    valid_from: str | None = None
    valid_to: str | None = None
    successor: str | None = None

    @field_validator("valid_from", "valid_to")
    @classmethod
    def _a_month(cls, month: str | None) -> str | None:
        return None if month is None else str(Month.parse(month))

    @model_validator(mode="after")
    def _dates_fit(self) -> MappedCode:
        if self.valid_from and self.valid_to and self.valid_from > self.valid_to:
            raise ValueError("valid_from is after valid_to")
        if self.successor is not None and self.valid_to is None:
            raise ValueError("a code with a successor needs valid_to, the last month in which it counted")
        return self


class CodeMap(Definition):
    """One edition. `standard`: the norm or code book that it follows."""

    code_map: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    edition: str = Field(pattern=r"^[a-z0-9][a-z0-9_.]*$")
    title: Bilingual
    standard: str = ""
    codes: dict[str, MappedCode]

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, body: object) -> object:
        """`"11": pension_emp` is short for `"11": {to: pension_emp}`."""
        if isinstance(body, dict) and isinstance(body.get("codes"), dict):
            codes = {
                code: told if isinstance(told, dict | MappedCode) else {"to": told}
                for code, told in body["codes"].items()
            }
            return {**body, "codes": codes}
        return body

    @model_validator(mode="after")
    def _whole(self) -> CodeMap:
        for code, told in self.codes.items():
            if told.successor is not None and told.successor not in self.codes:
                raise ValueError(f"the successor of {code} isn't in the map: {told.successor}")
        for code in self.codes:
            seen, at = {code}, self.codes[code].successor
            while at is not None:
                if at in seen:
                    raise ValueError(f"{code} succeeds itself")
                seen.add(at)
                at = self.codes[at].successor
        written = [text for code, told in self.codes.items() for text in (code, *told.labels)]
        twice = sorted({text for text in written if written.count(text) > 1})
        if twice:
            raise ValueError(f"written twice: {', '.join(twice)}")
        return self

    @property
    def reference(self) -> str:
        """`<name>@<edition>`."""
        return f"{self.code_map}@{self.edition}"

    def target(self, code: str) -> Target:
        """What a code leads to while it is in force."""
        told = self.codes[code]
        return code if told.to is None else told.to

    @property
    def targets(self) -> frozenset[Target]:
        """Everything it can lead to."""
        return frozenset(self.target(code) for code in self.codes)


@dataclass(frozen=True)
class CodesInForce:
    """What texts mean in one month: `meanings` by text, and the texts whose code was `retired` without a successor."""

    meanings: dict[str, Target]
    retired: frozenset[str]


def in_force(maps: Sequence[CodeMap], inline: dict[str, Target], month: Month) -> CodesInForce:
    """Codes of several editions and of the adapter itself in one month; the adapter's own win."""
    meanings: dict[str, Target] = {}
    retired: set[str] = set()
    at = str(month)
    for code_map in maps:
        for code, told in code_map.codes.items():
            if told.valid_from is not None and at < told.valid_from:
                continue
            counting: str | None = code
            while counting is not None and (code_map.codes[counting].valid_to or at) < at:
                counting = code_map.codes[counting].successor
            for text in (code, *told.labels):
                if counting is None:
                    retired.add(text)
                else:
                    meanings[text] = code_map.target(counting)
    meanings |= inline
    return CodesInForce(meanings, frozenset(retired - set(meanings)))


def contradictions(maps: Sequence[CodeMap]) -> list[str]:
    """Texts that two of the maps lead to different targets at one time, so that one column can't have both."""
    known: dict[str, list[tuple[MappedCode, Target]]] = {}
    found: list[str] = []
    for code_map in maps:
        for code, told in code_map.codes.items():
            for text in (code, *told.labels):
                target = code_map.target(code)
                if any(_overlap(told, other) and target != theirs for other, theirs in known.get(text, [])):
                    found.append(text)
                known.setdefault(text, []).append((told, target))
    return sorted(set(found))


def _overlap(one: MappedCode, other: MappedCode) -> bool:
    return (one.valid_from or "") <= (other.valid_to or "9999-12") and (other.valid_from or "") <= (
        one.valid_to or "9999-12"
    )


def load_code_map(path: Path) -> CodeMap:
    """Read one edition; a Refusal names file, line and remedy."""
    code_map = load_definition(path, CodeMap)
    if path.stem != code_map.reference:
        raise Refusal(
            CODE,
            f"the map is {code_map.reference}, its file {path.stem}.",
            file=str(path),
            line=line_of(path, "code_map"),
            remedy="Name the file <code_map>@<edition>.yaml.",
        )
    return code_map


def find_code_map(reference: str, folders: Iterable[Path]) -> CodeMap | None:
    """The first map of this reference in the folders, in their order."""
    for folder in folders:
        path = folder / f"{reference}.yaml"
        if path.is_file():
            return load_code_map(path)
    return None
