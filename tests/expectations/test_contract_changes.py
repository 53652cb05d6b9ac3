"""What breaks needs a major version, always; what only adds room never does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.definition_file import Bilingual
from core.purpose import Purpose
from core.table_schema import ColumnType
from expectations.contract import Contract, ContractColumn, Lateness, load_contracts
from expectations.contract_changes import Step, changes, needed_step, version_after

CONTRACTS = load_contracts()
OTHER = Bilingual(zh="另一个意思", en="Another meaning")
MENDED = Bilingual(zh="更好的措辞", en="Better words")
NEW = ContractColumn(type=ColumnType.STRING, title=OTHER, nullable=True, purposes=(Purpose.RISK,))

#: A mutation gives another contract that is valid too, or None where this contract or column has no place for it.
OfTable = Callable[[Contract], Contract | None]
OfColumn = Callable[[ContractColumn], dict[str, Any] | None]


def valid(contract: Contract, **entries: Any) -> Contract:
    return Contract.model_validate(contract.model_copy(update=entries).model_dump())


def with_columns(contract: Contract, columns: dict[str, ContractColumn]) -> Contract:
    return valid(contract, columns=columns)


def free(contract: Contract) -> list[str]:
    """Columns that may go or become optional without making the contract invalid."""
    return [name for name in contract.columns if name not in (*contract.business_key, "subject_id", "period")]


def renamed(contract: Contract, name: str) -> Contract:
    columns = {("renamed_cd" if each == name else each): told for each, told in contract.columns.items()}
    return with_columns(contract, columns)


def without(contract: Contract, name: str) -> Contract:
    return with_columns(contract, {each: told for each, told in contract.columns.items() if each != name})


BREAKING_COLUMN: dict[str, OfColumn] = {
    "retyped": lambda c: (
        {"type": ColumnType.STRING, "codes": (), "code_titles": (), "minimum": None, "maximum": None}
        if c.type not in (ColumnType.STRING, ColumnType.SUBJECT, ColumnType.MONTH)
        else None
    ),
    "narrower above": lambda c: {"maximum": c.minimum} if None is not c.minimum < (c.maximum or 0) else None,
    "narrower below": lambda c: {"minimum": c.maximum} if None is not c.minimum < (c.maximum or 0) else None,
    "a limit where none was": lambda c: {"maximum": 1e15} if c.type is ColumnType.LONG and c.maximum is None else None,
    "a form where none was": lambda c: {"pattern": "^x$"} if c.type is ColumnType.STRING and not c.pattern else None,
    "must be there": lambda c: {"nullable": False} if c.nullable else None,
    "code gone": lambda c: {"codes": c.codes[1:], "code_titles": c.code_titles[1:]} if len(c.codes) > 1 else None,
    "code renamed": lambda c: {"codes": ("renamed", *c.codes[1:])} if c.codes else None,
    "other unit": lambda c: {"unit": "thousands"} if c.type is not ColumnType.MONEY else None,
    "other data class": lambda c: {"data_class": "sensitive" if c.data_class != "sensitive" else "general"},
    "purpose gone": lambda c: {"purposes": c.purposes[1:]} if len(c.purposes) > 1 else None,
    "other norm": lambda c: {"standard": "GB/T 0000"},
    "other rule": lambda c: {"rule": OTHER},
}  # fmt: skip
BREAKING_TABLE: dict[str, OfTable] = {
    "removed": lambda c: without(c, free(c)[0]) if free(c) else None,
    "renamed": lambda c: renamed(c, free(c)[-1]) if free(c) else None,
    "a new column that must be there": lambda c: with_columns(
        c, {**c.columns, "new_cd": NEW.model_copy(update={"nullable": False})}
    ),
    "columns in another order": lambda c: with_columns(c, dict(reversed(c.columns.items()))),
    "key shorter": lambda c: valid(c, business_key=c.business_key[1:]) if c.business_key else None,
    "key longer": lambda c: next(
        (valid(c, business_key=(*c.business_key, n)) for n in free(c) if not c.columns[n].nullable), None
    ),
    "other grain": lambda c: valid(c, grain=OTHER),
    "subject kind gone": lambda c: valid(c, subjects=c.subjects[1:]) if len(c.subjects) > 1 else None,
    "legal channel": lambda c: valid(
        c, legal_channel="credit_platform" if c.legal_channel != "credit_platform" else "bank_own"
    ),
    "consent": lambda c: valid(
        c, consent_kind="general" if c.consent_kind != "general" else "written", presence_consent_kind=None
    ),
    "where consent is": lambda c: valid(
        c, consent_basis="register" if c.consent_basis == "at_query" else "at_query"
    ),
    "uniqueness": lambda c: valid(c, unique_per_delivery=not c.unique_per_delivery),
}
COMPATIBLE_COLUMN: dict[str, OfColumn] = {
    "wider above": lambda c: {"maximum": c.maximum + 1} if c.maximum is not None else None,
    "wider below": lambda c: {"minimum": c.minimum - 1} if c.minimum is not None else None,
    "no form": lambda c: {"pattern": ""} if c.pattern else None,
    "no limit": lambda c: {"minimum": None, "maximum": None},
    "new code": lambda c: (
        {"codes": (*c.codes, f"new_{len(c.codes)}"), "code_titles": (*c.code_titles, MENDED)} if c.codes else None
    ),
    "new purpose": lambda c: {"purposes": (*c.purposes, Purpose.MIGRATION_CHECK)},
    "other title": lambda c: {"title": MENDED},
    "codes told otherwise": lambda c: {"code_titles": (MENDED, *c.code_titles[1:])} if c.codes else None,
    "rule worded better": lambda c: {"rule": Bilingual(zh=c.rule.zh, en=MENDED.en)} if c.rule else None,
    "no rule": lambda c: {"rule": None},
    "example": lambda c: {"examples": ("X1",)},
    "reference": lambda c: {"refers_to": "util_account.util_acct_id"},
}  # fmt: skip
COMPATIBLE_TABLE: dict[str, OfTable] = {
    "may be missing": lambda c: (
        with_columns(
            c, {**c.columns, free(c)[0]: c.columns[free(c)[0]].model_copy(update={"nullable": True})}
        )
        if free(c)
        else None
    ),
    "a new column that may be missing": lambda c: with_columns(
        c, {**c.columns, f"new_{len(c.columns)}": NEW}
    ),
    "first of all columns": lambda c: with_columns(c, {f"new_{len(c.columns)}": NEW, **c.columns}),
    "grain worded better": lambda c: valid(c, grain=Bilingual(zh=c.grain.zh, en=MENDED.en)),
    "title": lambda c: valid(c, title=MENDED),
    "note": lambda c: valid(c, note=MENDED),
    "lateness": lambda c: valid(c, lateness=Lateness(median_days=1, p95_days=99)),
    "restated": lambda c: valid(c, restated_percent=50),
    "keeper": lambda c: valid(c, keeper="risk"),
    "retired": lambda c: valid(c, status="retired"),
}


def on_a_column(mutation: OfColumn, pick: int) -> OfTable:
    def mutate(contract: Contract) -> Contract | None:
        names = list(contract.columns)
        for name in names[pick % len(names) :] + names[: pick % len(names)]:
            column = contract.columns[name]
            update = mutation(column)
            if update is None or (name in ("subject_id", "period") and "type" in update):
                continue
            return with_columns(contract, {**contract.columns, name: column.model_copy(update=update)})
        return None

    return mutate


def mutations(of_table: dict[str, OfTable], of_column: dict[str, OfColumn]) -> st.SearchStrategy[OfTable]:
    on_columns = st.builds(on_a_column, st.sampled_from(list(of_column.values())), st.integers(0, 30))
    return st.sampled_from(list(of_table.values())) | on_columns


breaking = mutations(BREAKING_TABLE, BREAKING_COLUMN)
compatible = mutations(COMPATIBLE_TABLE, COMPATIBLE_COLUMN)
contracts = st.sampled_from([contract for contract in CONTRACTS.values() if contract.delivered])


def mutated(contract: Contract, steps: list[OfTable]) -> Contract:
    for step in steps:
        contract = step(contract) or contract
    return contract


@given(contracts, breaking, st.lists(compatible, max_size=3))
def test_what_breaks_always_needs_a_major_version(
    contract: Contract, mutation: OfTable, beside: list[OfTable]
) -> None:
    before = mutated(contract, beside)
    after = mutation(before)
    if after is None:
        return
    found = changes(before, after)
    assert needed_step(found) is Step.MAJOR
    assert any(change.breaking for change in found)


@given(contracts, st.lists(compatible, min_size=1, max_size=4))
def test_what_adds_room_never_needs_one(contract: Contract, steps: list[OfTable]) -> None:
    found = changes(contract, mutated(contract, steps))
    assert [str(change) for change in found if change.breaking] == []


#: What no room added elsewhere gives back.
FOR_GOOD = mutations(
    {
        name: BREAKING_TABLE[name]
        for name in ("removed", "renamed", "key shorter", "other grain", "legal channel")
    },
    {name: BREAKING_COLUMN[name] for name in ("retyped", "other unit", "other data class", "purpose gone")},
)


@given(contracts, FOR_GOOD, st.lists(compatible, min_size=1, max_size=4))
def test_room_added_afterwards_doesnt_hide_what_broke(
    contract: Contract, mutation: OfTable, after: list[OfTable]
) -> None:
    broken = mutation(contract)
    if broken is not None:
        assert needed_step(changes(contract, mutated(broken, after))) is Step.MAJOR


@given(contracts)
def test_nothing_changed_needs_nothing(contract: Contract) -> None:
    assert changes(contract, Contract.model_validate(contract.model_dump())) == []


@pytest.mark.parametrize("name", [*BREAKING_TABLE, *BREAKING_COLUMN])
def test_every_breaking_mutation_finds_a_place(name: str) -> None:
    """Else the property above would hold for want of examples."""
    tried = [
        (BREAKING_TABLE[name] if name in BREAKING_TABLE else on_a_column(BREAKING_COLUMN[name], 0))(contract)
        for contract in CONTRACTS.values()
        if contract.delivered
    ]
    assert any(each is not None for each in tried)


@pytest.mark.parametrize("name", [*COMPATIBLE_TABLE, *COMPATIBLE_COLUMN])
def test_every_compatible_mutation_finds_a_place_and_shows(name: str) -> None:
    shown = 0
    for contract in CONTRACTS.values():
        if contract.delivered:
            mutation = COMPATIBLE_TABLE.get(name) or on_a_column(COMPATIBLE_COLUMN[name], 3)
            shown += bool(changes(contract, mutation(contract) or contract))
    assert shown


def test_changes_are_told_in_plain_words_the_worst_first() -> None:
    old = CONTRACTS["util_bill"]
    columns = dict(old.columns)
    columns["bill_amt"] = columns["bill_amt"].model_copy(update={"maximum": 10_000.0, "title": OTHER})
    columns["kind"] = columns["kind"].model_copy(
        update={"codes": ("electric", "water", "heat"), "code_titles": (OTHER,) * 3}
    )
    columns["estimate_flag"] = columns.pop("est_flag")
    told = [str(change) for change in changes(old, with_columns(old, columns))]
    assert told[:3] == [
        "est_flag: renamed to estimate_flag",
        "estimate_flag: a new column that must be there",
        "kind: code removed: gas",
    ]
    assert "bill_amt: the maximum was 100,000,000, now it is 10,000" in told
    assert told[-1] == "bill_amt: texts have changed (title)"


def test_versions_step_as_changes_ask() -> None:
    assert [version_after("2.3.4", step) for step in Step] == ["2.3.4", "2.3.5", "2.4.0", "3.0.0"]
