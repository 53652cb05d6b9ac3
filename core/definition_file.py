"""Definitions are YAML files that a domain expert can change; a mistake is told by file, line and remedy.

Every reader of contracts, adapters, facts, features, models and policies goes through `load_definition`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import Refusal

#: Refusal code of a definition that doesn't load.
CODE = "REFUSED/DEFINITION"

# libyaml reads the catalogue ten times faster; the pure-Python loader gives the same result.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

T = TypeVar("T", bound=BaseModel)


class Definition(BaseModel):
    """Base of everything read from YAML: immutable, and an unknown entry is an error, not a silent typo."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Bilingual(Definition):
    """A text that users read, in both languages."""

    zh: str
    en: str


def load_definition(path: Path, kind: type[T], **context: Any) -> T:
    """Read one YAML file as `kind`; `context` is handed to pydantic validators. Raises Refusal with file and line."""
    content = _content(path)
    try:
        return kind.model_validate(content, context=context)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        more = f" ({error.error_count() - 1} more after it)" if error.error_count() > 1 else ""
        raise Refusal(
            CODE,
            f"{place}: {first['msg']}{more}.",
            file=str(path),
            line=line_of(path, *first["loc"]),
            remedy=f"Correct the entry; docs/ describes what a {kind.__name__} file may hold.",
        ) from None


def line_of(path: Path, *place: str | int) -> int | None:
    """1-based line of an entry, for checks that run after loading (`line_of(path, "columns", 3)`)."""
    return _line_of(_compose(path), place)


def _content(path: Path) -> Any:
    with _told(path):
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 - a safe loader either way


def _compose(path: Path) -> yaml.Node | None:
    """The file's nodes, which know their lines; asked for only where something is wrong."""
    with _told(path):
        return yaml.compose(path.read_text(encoding="utf-8"), Loader=_LOADER)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What can't be read is refused with file and line."""
    try:
        yield
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else None
        raise Refusal(
            CODE,
            f"not YAML: {error.problem}.",
            file=str(path),
            line=line,
            remedy="Mend the indentation or quoting at that line.",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(
            CODE,
            f"cannot be read: {type(error).__name__}.",
            file=str(path),
            remedy="Check the path and save the file as UTF-8.",
        ) from None


def _line_of(node: yaml.Node | None, place: tuple[str | int, ...]) -> int | None:
    """The line of the deepest part of `place` that exists in the file; parts that only pydantic knows are passed over."""
    line = None if node is None else node.start_mark.line + 1
    for part in place:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    line, node = key.start_mark.line + 1, value
                    break
        elif isinstance(node, yaml.SequenceNode):
            entry = _entry(node, part)
            if entry is not None:
                node, line = entry, entry.start_mark.line + 1
    return line


def _entry(node: yaml.SequenceNode, part: str | int) -> yaml.Node | None:
    """An entry of a list by its position, or by what it says under `name` or `property`."""
    if isinstance(part, int):
        return node.value[part] if part < len(node.value) else None
    for entry in node.value:
        named = entry.value if isinstance(entry, yaml.MappingNode) else []
        if any(key.value in ("name", "property") and value.value == part for key, value in named):
            return entry
    return None
