"""A broken promise fails its rule, by name and count and never by value; a kept contract passes."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from expectations.contract import load_contracts
from expectations.suite import rules_of, suite_hash
from expectations.validate import validate
from tests.expectations.rows import rows_of, with_column

CONTRACTS = load_contracts()
SOCIAL = CONTRACTS["si_person_month"]


@pytest.mark.parametrize("table", sorted(name for name, c in CONTRACTS.items() if c.delivered))
def test_rows_that_keep_their_contract_pass(table: str) -> None:
    outcome = validate(CONTRACTS[table], rows_of(CONTRACTS[table]))
    assert (outcome.passed, outcome.failures) == (True, ())
    assert outcome.counts["rows"] == 4
    assert outcome.counts["subjects"] == (4 if CONTRACTS[table].subjects else 0)
    assert outcome.suite_hash == suite_hash(CONTRACTS[table])


good = rows_of(SOCIAL)
BROKEN = {
    "missing value": (
        with_column(good, "pay_status", ["normal", None, None, "gap"]),
        "not_null pay_status: 2 of 4 rows",
    ),
    "unknown code": (
        with_column(good, "scheme", ["pension_emp", "secret", "unemp", "unemp"]),
        "in_set scheme: 1 of 4 rows",
    ),
    "amount out of range": (
        with_column(
            good,
            "base_amt",
            pa.array(["1", "-0.01", "1000000.01", None]).cast(pa.decimal128(18, 2)).to_pylist(),
        ),
        "between base_amt: 2 of 4 rows",
    ),
    "key twice in a delivery": (
        pa.concat_tables([good, good]),
        "unique delivery_no, subject_no, scheme, corr_period_ym: 8 of 8 rows",
    ),
    "future month": (rows_of(SOCIAL, period="2026-12"), "between months_from_period_to_receipt: 4 of 4 rows"),
    "no rows": (good.slice(0, 0), "row_count: 0 rows"),
    "another column": (good.append_column("extra", good["subject_no"]), "columns"),
    "a column gone": (good.drop_columns(["base_amt"]), "columns"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_promise_fails(kind: str) -> None:
    rows, told = BROKEN[kind]
    outcome = validate(SOCIAL, rows)
    assert not outcome.passed
    assert any(failure.startswith(told) for failure in outcome.failures), outcome.failures
    assert "secret" not in str(outcome) and "1000000" not in str(outcome)


def test_a_text_of_another_form_fails() -> None:
    consents = CONTRACTS["consent_register"]
    rows = rows_of(consents, count=300)
    told = ['["tax"]'] * 298
    for bad in ("[]", '["sim_city_tax"]', "tax"):
        outcome = validate(consents, with_column(rows, "source_codes", [*told, bad, '["si"]']))
        assert outcome.failures == ("matches source_codes: 1 of 300 rows",)
        assert "sim_city" not in str(outcome)
    assert validate(consents, with_column(rows, "source_codes", [*told, '["si", "tax"]', '["si"]'])).passed


def test_one_key_in_two_deliveries_is_a_new_version_and_passes() -> None:
    later = with_column(good, "delivery_no", [2] * 4)
    assert validate(SOCIAL, pa.concat_tables([good, later])).passed


def test_the_month_of_receipt_is_a_chinese_one() -> None:
    """1 October 00:30 in China is still September in UTC: a row of October isn't from the future."""
    assert validate(SOCIAL, rows_of(SOCIAL, received=datetime(2026, 9, 30, 16, 30, tzinfo=UTC))).passed
    assert not validate(SOCIAL, rows_of(SOCIAL, received=datetime(2026, 9, 30, 15, 30, tzinfo=UTC))).passed


def test_the_hash_of_the_rules_changes_with_them() -> None:
    tightened = SOCIAL.model_copy(update={"unique_per_delivery": False})
    newer = SOCIAL.model_copy(update={"version": "1.0.1"})
    assert len({suite_hash(SOCIAL), suite_hash(tightened), suite_hash(newer)}) == 3
    assert rules_of(SOCIAL) == rules_of(SOCIAL.model_copy())
