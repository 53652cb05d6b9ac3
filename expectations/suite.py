"""From a contract to a Great Expectations suite.

Rules are plain values first: their hash says whether a receipt was given by the rules of today, without
importing Great Expectations (seconds and some 280 MB).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from core.table_schema import ColumnType
from expectations.contract import Contract

if TYPE_CHECKING:
    import great_expectations as gx
    from great_expectations.expectations.expectation import Expectation

#: Added to the rows for validation: whole months from the month a row belongs to until it was received.
MONTHS_LATE = "months_from_period_to_receipt"

RuleKind = Literal["columns", "row_count", "not_null", "in_set", "matches", "between", "unique"]

_RANGED = (ColumnType.MONEY, ColumnType.INT, ColumnType.LONG, ColumnType.FLOAT)


@dataclass(frozen=True)
class Rule:
    """One expectation: `columns` it is about, and what else its kind needs."""

    kind: RuleKind
    columns: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    pattern: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {', '.join(self.columns)}".strip()


def rules_of(contract: Contract) -> tuple[Rule, ...]:
    """The rules for one partition of the contract's raw rows (canonical columns, envelope, period, months
    late).
    """
    schema = contract.schema()
    stored = [field.name for field in schema.arrow_with_envelope()]
    rules = [Rule("columns", (*stored, "period", MONTHS_LATE)), Rule("row_count", minimum=1)]
    # The envelope is intake's own work; each rule costs Great Expectations some 5 ms a partition.
    if schema.has_subject:
        rules.append(Rule("not_null", ("subject_no",)))
    for column in schema.columns:
        if column.name in ("subject_id", "period"):
            continue
        if not column.nullable:
            rules.append(Rule("not_null", (column.name,)))
        if column.codes:
            rules.append(Rule("in_set", (column.name,), codes=column.codes))
        if column.pattern:
            rules.append(Rule("matches", (column.name,), pattern=column.pattern))
        if column.type in _RANGED and (column.minimum is not None or column.maximum is not None):
            rules.append(Rule("between", (column.name,), minimum=column.minimum, maximum=column.maximum))
    if contract.business_key and contract.unique_per_delivery:
        key = ("subject_no" if name == "subject_id" else name for name in contract.business_key)
        rules.append(Rule("unique", ("delivery_no", *(name for name in key if name != "period"))))
    # No row of a month that hadn't begun when it was received.
    rules.append(Rule("between", (MONTHS_LATE,), minimum=0))
    return tuple(rules)


def suite_hash(contract: Contract) -> str:
    """sha256 of the contract's version and rules."""
    told = [{k: v for k, v in asdict(rule).items() if k != "pattern" or v} for rule in rules_of(contract)]
    body = {"version": contract.version, "rules": told}
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def expectation_suite(contract: Contract) -> gx.ExpectationSuite:
    """The suite; every expectation carries its place among the rules in `meta["rule"]`."""
    import great_expectations as gx

    expectations = [_expectation(rule, {"rule": place}) for place, rule in enumerate(rules_of(contract))]
    return gx.ExpectationSuite(name=f"{contract.table}-{contract.version}", expectations=expectations)


def _expectation(rule: Rule, meta: dict[str, int]) -> Expectation:
    from great_expectations.expectations import core as gxe

    match rule.kind:
        case "columns":
            return gxe.ExpectTableColumnsToMatchOrderedList(column_list=list(rule.columns), meta=meta)
        case "row_count":
            return gxe.ExpectTableRowCountToBeBetween(min_value=int(rule.minimum or 0), meta=meta)
        case "not_null":
            return gxe.ExpectColumnValuesToNotBeNull(column=rule.columns[0], meta=meta)
        case "in_set":
            return gxe.ExpectColumnValuesToBeInSet(
                column=rule.columns[0], value_set=list(rule.codes), meta=meta
            )
        case "matches":
            return gxe.ExpectColumnValuesToMatchRegex(column=rule.columns[0], regex=rule.pattern, meta=meta)
        case "between":
            return gxe.ExpectColumnValuesToBeBetween(
                column=rule.columns[0], min_value=rule.minimum, max_value=rule.maximum, meta=meta
            )
        case "unique":
            return gxe.ExpectCompoundColumnsToBeUnique(column_list=list(rule.columns), meta=meta)
