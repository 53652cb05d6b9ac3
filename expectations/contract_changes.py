"""What a change of a contract means for those who send and those who read, and the version that it needs.

A contract binds its senders, and readers build on it. What takes something away or asks for more **breaks**: a column removed,
renamed or retyped, a range tightened, a value that must now be there, a code removed, another unit, key or grain. What only adds
room is **compatible**: a new column that may be missing, a new code, a wider range. Texts can be mended at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from core.definition_file import Bilingual
from expectations.contract import Contract, ContractColumn


class Step(IntEnum):
    """The version step that a change needs, from none to a major one."""

    NONE = 0
    PATCH = 1
    MINOR = 2
    MAJOR = 3


#: What a step means to the reader of a message.
STEP_WORDS = {Step.NONE: "none", Step.PATCH: "patch", Step.MINOR: "minor", Step.MAJOR: "major (breaking)"}


@dataclass(frozen=True)
class Change:
    """One difference. `column` is None where it concerns the whole table; `what` tells it in plain words."""

    column: str | None
    what: str
    step: Step

    @property
    def breaking(self) -> bool:
        """Whether senders or readers have to change too."""
        return self.step is Step.MAJOR

    def __str__(self) -> str:
        return f"{self.column}: {self.what}" if self.column else self.what


def changes(old: Contract, new: Contract) -> list[Change]:
    """All differences between two versions of one contract, the breaking ones first; the version itself doesn't count."""
    found = [*_of_table(old, new), *_of_columns(old, new)]
    return sorted(found, key=lambda change: -change.step)


def needed_step(found: Iterable[Change]) -> Step:
    """The largest step that any of the changes needs."""
    return max((change.step for change in found), default=Step.NONE)


def version_after(version: str, step: Step) -> str:
    """The lowest version that takes this step.

    >>> [version_after("1.2.3", step) for step in Step]
    ['1.2.3', '1.2.4', '1.3.0', '2.0.0']
    """
    major, minor, patch = parts(version)
    match step:
        case Step.MAJOR:
            return f"{major + 1}.0.0"
        case Step.MINOR:
            return f"{major}.{minor + 1}.0"
        case Step.PATCH:
            return f"{major}.{minor}.{patch + 1}"
        case Step.NONE:
            return version


def parts(version: str) -> tuple[int, int, int]:
    """Major, minor and patch number."""
    major, minor, patch = (int(part) for part in version.split("."))
    return major, minor, patch


def _of_table(old: Contract, new: Contract) -> Iterator[Change]:
    if old.table != new.table:
        yield Change(None, f"the table is now called {new.table}", Step.MAJOR)
    if set(old.business_key) != set(new.business_key):
        told = f"the key was {_listed(old.business_key)}, now it is {_listed(new.business_key)}"
        yield Change(None, told, Step.MAJOR)
    if old.unique_per_delivery != new.unique_per_delivery:
        yield Change(None, "how often a delivery may hold a key has changed", Step.MAJOR)
    for told, step in _meaning("grain", old.grain, new.grain):
        yield Change(None, told, step)
    for kind in sorted(set(old.subjects) ^ set(new.subjects)):
        gone = kind in old.subjects
        told = f"{'no longer holds' if gone else 'now holds'} rows of the subject kind {kind}"
        yield Change(None, told, Step.MAJOR if gone else Step.MINOR)
    for field, what in _GROUNDS.items():
        before, now = getattr(old, field), getattr(new, field)
        if before != now:
            yield Change(None, f"{what} was {before}, now it is {now}", Step.MAJOR)
    for field, what in _SERVICE.items():
        if getattr(old, field) != getattr(new, field):
            yield Change(None, f"{what} has changed", Step.MINOR)
    texts = [field for field in _TABLE_TEXTS if getattr(old, field) != getattr(new, field)]
    if texts or (old.business_key != new.business_key and set(old.business_key) == set(new.business_key)):
        yield Change(None, f"texts have changed ({', '.join(texts) or 'order of the key'})", Step.PATCH)


#: Grounds on which rows may be held and used: whoever built on the old ones has to look again.
_GROUNDS = {
    "delivered": "whether it is delivered",
    "legal_channel": "the legal channel",
    "consent_kind": "the kind of consent",
    "consent_basis": "where consent is recorded",
    "presence_consent_kind": "the consent for telling that a record exists",
}
#: Promises on when, not on what.
_SERVICE = {
    "cadence": "the cadence",
    "lateness": "the lateness",
    "restated_percent": "the share of restated rows",
}
_TABLE_TEXTS = ("title", "note", "cadence_note", "domain", "keeper", "status", "carried_elsewhere")


def _of_columns(old: Contract, new: Contract) -> Iterator[Change]:
    gone = {name: column for name, column in old.columns.items() if name not in new.columns}
    come = {name: column for name, column in new.columns.items() if name not in old.columns}
    for name, column in gone.items():
        same = next((other for other, there in come.items() if there == column), None)
        yield Change(name, f"renamed to {same}" if same else "removed", Step.MAJOR)
    for name, column in come.items():
        if column.nullable:
            yield Change(name, "a new column that may be missing", Step.MINOR)
        else:
            yield Change(name, "a new column that must be there", Step.MAJOR)
    kept = [name for name in old.columns if name in new.columns]
    if kept != [name for name in new.columns if name in old.columns]:
        yield Change(None, "the columns stand in another order", Step.MAJOR)
    for name in kept:
        for what, step in _of_column(old.columns[name], new.columns[name]):
            yield Change(name, what, step)


def _of_column(old: ContractColumn, new: ContractColumn) -> Iterator[tuple[str, Step]]:
    for field, what in (
        ("type", "type"),
        ("unit", "unit"),
        ("data_class", "data class"),
        ("standard", "standard"),
    ):
        before, now = getattr(old, field), getattr(new, field)
        if before != now:
            yield f"the {what} was {before or 'none'}, now it is {now or 'none'}", Step.MAJOR
    if old.nullable != new.nullable:
        yield ("may now be missing", Step.MINOR) if new.nullable else ("must now be there", Step.MAJOR)
    yield from _lists("code", old.codes, new.codes)
    yield from _lists("purpose", old.purposes, new.purposes)
    yield from _limit("minimum", old.minimum, new.minimum, tighter=lambda before, now: now > before)
    yield from _limit("maximum", old.maximum, new.maximum, tighter=lambda before, now: now < before)
    if old.pattern != new.pattern:
        told = "the form of the text has changed" if new.pattern else "the text has no form any more"
        yield told, Step.MAJOR if new.pattern else Step.MINOR
    yield from _meaning("rule", old.rule, new.rule)
    texts = [field for field in _COLUMN_TEXTS if getattr(old, field) != getattr(new, field)]
    if old.code_titles != new.code_titles and old.codes == new.codes:
        texts.append("code_titles")
    if texts:
        yield f"texts have changed ({', '.join(texts)})", Step.PATCH


_COLUMN_TEXTS = ("title", "refers_to", "examples", "dictionary")


def _lists(word: str, old: tuple[str, ...], new: tuple[str, ...]) -> Iterator[tuple[str, Step]]:
    gone, come = [each for each in old if each not in new], [each for each in new if each not in old]
    if gone:
        yield f"{word} removed: {', '.join(gone)}", Step.MAJOR
    if come:
        yield f"{word} added: {', '.join(come)}", Step.MINOR
    if not gone and not come and old != new:
        yield f"the {word}s stand in another order", Step.PATCH


def _limit(
    word: str, old: float | None, new: float | None, tighter: Callable[[float, float], bool]
) -> Iterator[tuple[str, Step]]:
    if old == new:
        return
    before, now = (f"{limit:,.12g}" if limit is not None else "none" for limit in (old, new))
    narrowed = new is not None and (old is None or tighter(old, new))
    yield f"the {word} was {before}, now it is {now}", Step.MAJOR if narrowed else Step.MINOR


def _meaning(what: str, old: Bilingual | None, new: Bilingual | None) -> Iterator[tuple[str, Step]]:
    """A sentence that says what rows or values are. Changed in both languages, or newly there, it says something else; changed
    in one of them, its wording was mended.
    """
    if old == new:
        return
    if new is None:
        yield f"the {what} no longer holds", Step.MINOR
    elif old is None or (old.zh != new.zh and old.en != new.en):
        yield f"the {what} now says something else", Step.MAJOR
    else:
        yield f"the {what} is worded better", Step.PATCH


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"
