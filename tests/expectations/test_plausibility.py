"""Each probe finds what it is for, at the share it is for, and stays silent on ordinary months."""

import numpy as np
import pyarrow as pa
import pytest

from core.errors import Refusal
from core.money import from_fen
from core.months import Month, month_range
from expectations.contract import load_contracts
from expectations.plausibility import CHECKS, MEANINGS, Probe, Verdict, judge, load_probes
from expectations.seen_months import SeenMonths

ACCOUNTS, MONTHS = 400, 6
FIRST = Month(2026, 2)


def token(number: int) -> str:
    return f"k1:{number:040x}"


def world(**changed) -> dict[str, np.ndarray]:
    """Bills (months, accounts): lognormal with each account's own level, as believable as it needs to be."""
    rng = np.random.default_rng(7)
    used = np.round(np.exp(rng.normal(5, 0.8, ACCOUNTS) + rng.normal(0, 0.35, (MONTHS, ACCOUNTS))), 2)
    read = np.cumsum(used, axis=0).round(2)
    tables = {
        "bill_amt": np.round(used * 0.6, 2),
        "consumption": used,
        "prev_reading": read - used,
        "curr_reading": read,
        "subject_no": np.tile(np.arange(ACCOUNTS), (MONTHS, 1)),
        "est_flag": np.zeros((MONTHS, ACCOUNTS), dtype=bool),
        "region_cd": np.full((MONTHS, ACCOUNTS), "430100", dtype=object),
        "there": np.ones((MONTHS, ACCOUNTS), dtype=bool),
    }
    return {name: table.copy() for name, table in (tables | changed).items()}


def seen(bills: dict[str, np.ndarray], first: Month = FIRST, **beside) -> SeenMonths:
    months = month_range(first, first.plus(MONTHS - 1))
    rows = {}
    for place, month in enumerate(months):
        there = np.flatnonzero(bills["there"][place])
        columns = {name: values[place][there] for name, values in bills.items() if name != "there"}
        amounts = from_fen(np.rint(columns.pop("bill_amt") * 100).astype(np.int64))
        rows[str(month)] = pa.table(
            {
                "util_acct_id": pa.array([f"m{number}" for number in there], pa.string()),
                "bill_amt": amounts,
                **{name: pa.array(values) for name, values in columns.items()},
            }
        )
    return SeenMonths(tuple(months), rows, ("util_acct_id",), **beside)


def counted(check: str, column: str, bills: dict[str, np.ndarray], **beside) -> tuple[int, int]:
    found = CHECKS[check](seen(bills, **beside), column)
    return found.rows, found.of


def test_ordinary_months_pass_every_probe():
    findings = judge("raw/resident/util_bill", seen(world()), load_probes()["util_bill"])
    assert {finding.verdict for finding in findings} == {Verdict.PASS}


@pytest.mark.parametrize("factor", [1e-4, 1e4, 1e-2, 100.0])
def test_another_unit_in_a_few_rows_is_found_row_by_row(factor):
    bills = world()
    bills["bill_amt"][-1, :8] = np.round(bills["bill_amt"][-1, :8] * factor, 4).clip(0.01)
    rows, of = counted("unit_of_history", "bill_amt", bills)
    assert of == ACCOUNTS and 7 <= rows <= 8


def test_another_unit_is_not_judged_without_history():
    bills = world()
    bills["there"][:-2] = False
    assert counted("unit_of_history", "bill_amt", bills) == (0, 0)


def test_a_cumulative_column_rises_for_all_and_an_ordinary_one_for_few():
    bills = world()
    rows, of = counted("year_to_date", "bill_amt", bills)
    assert of == ACCOUNTS and rows < 0.05 * of
    bills["bill_amt"] = np.cumsum(bills["bill_amt"], axis=0)
    assert counted("year_to_date", "bill_amt", bills) == (ACCOUNTS, ACCOUNTS)


def test_a_cumulative_column_needs_four_months_of_one_year():
    bills = world(bill_amt=np.cumsum(world()["bill_amt"], axis=0))
    assert counted("year_to_date", "bill_amt", bills, first=Month(2025, 10)) == (0, 0)


def test_the_month_before_under_this_months_period():
    bills = world()
    assert counted("repeated_month", "consumption", bills)[0] < 5
    bills["consumption"][-1] = bills["consumption"][-2]
    assert counted("repeated_month", "consumption", bills) == (ACCOUNTS, ACCOUNTS)


def test_one_column_mapped_twice():
    bills = seen(world())
    own = pa.array([token(number) for number in range(ACCOUNTS)])
    employers = pa.array([token(number + 10_000) for number in range(ACCOUNTS)])
    for column, rows in ((own, ACCOUNTS), (employers, 0)):
        table = bills.now.append_column("employer_subject_id", column)
        both = SeenMonths(
            bills.months, {**bills.rows, str(bills.months[-1]): table}, bills.key, subject_ids=own
        )
        assert CHECKS["same_column_twice"](both, "employer_subject_id").rows == rows


def test_a_lost_region_is_found_in_a_first_delivery_and_a_late_half_is_not():
    regions = np.arange(ACCOUNTS) % 14
    bills = world()
    rng = np.random.default_rng(1)
    bills["there"][-1] = rng.random(ACCOUNTS) < 0.55
    assert counted("region_missing", "", bills, regions=regions)[0] == 0
    bills["there"][-1, regions == 3] = False
    rows, of = counted("region_missing", "", bills, regions=regions)
    assert (rows, of) == (int((regions == 3).sum()), ACCOUNTS)


def test_without_regions_nothing_is_judged():
    assert counted("region_missing", "", world()) == (0, 0)


def test_retired_codes_are_counted_from_the_month_they_were_retired():
    bills = world()
    bills["region_cd"][-1, :4] = "430122"
    assert counted("retired_region", "region_cd", bills) == (4, ACCOUNTS)
    assert counted("retired_region", "region_cd", bills, first=Month(2010, 2)) == (0, ACCOUNTS)


def test_estimated_reads_are_counted():
    bills = world()
    bills["est_flag"][-1, :16] = True
    assert counted("estimated_reads", "est_flag", bills) == (16, ACCOUNTS)


def test_a_meter_that_went_once_round():
    bills = world()
    bills["curr_reading"][-1, :3] -= 100_000
    assert counted("meter_identity", "consumption", bills) == (3, ACCOUNTS)


def test_readings_that_are_missing_are_not_judged():
    assert CHECKS["meter_identity"](seen(world()), "no_such_column").of == 0


def test_one_account_under_another_pseudonym():
    bills = world()
    assert counted("split_key", "util_acct_id", bills) == (0, ACCOUNTS)
    bills["subject_no"][-1, :2] += ACCOUNTS
    assert counted("split_key", "util_acct_id", bills) == (2, ACCOUNTS)


def test_many_accounts_under_one_pseudonym():
    bills = world()
    bills["subject_no"][-1, :5] = 9_999
    assert counted("shared_key", "util_acct_id", bills) == (0, ACCOUNTS)
    bills["subject_no"][-1, 5] = 9_999
    assert counted("shared_key", "util_acct_id", bills) == (6, ACCOUNTS)


def test_verdicts_follow_the_shares():
    probe = Probe(check="estimated_reads", column="est_flag", warn_above=0.01, fail_above=0.05)
    verdicts = []
    for hits in (4, 5, 20, 21):
        bills = world()
        bills["est_flag"][-1, :hits] = True
        verdicts.append(judge("t", seen(bills), [probe])[0].verdict)
    assert verdicts == [Verdict.PASS, Verdict.WARN, Verdict.WARN, Verdict.FAIL]


def test_a_finding_is_counts_alone():
    bills = world()
    bills["est_flag"][-1] = True
    finding = judge(
        "raw/resident/util_bill", seen(bills), [Probe(check="estimated_reads", column="est_flag")]
    )[0]
    assert str(finding) == "raw/resident/util_bill 2026-07 estimated_reads est_flag: 400 of 400, fail"


def test_shipped_probes_name_columns_of_contracts_and_every_probe_says_what_it_means():
    contracts = load_contracts()
    assert set(MEANINGS) == set(CHECKS)
    for table, wanted in load_probes().items():
        if table in contracts:
            names = {column.name for column in contracts[table].schema().columns}
            assert {probe.column for probe in wanted} - {""} <= names, table


def test_a_probe_that_does_not_exist_is_told_with_its_line(tmp_path):
    path = tmp_path / "plausibility.yaml"
    path.write_text("util_bill:\n  - {check: shared_key}\n  - {check: sharedkey}\n", encoding="utf-8")
    with pytest.raises(Refusal, match=r"plausibility\.yaml:3"):
        load_probes(path)


def test_empty_months_are_no_finding():
    bills = world(there=np.zeros((MONTHS, ACCOUNTS), dtype=bool))
    findings = judge("raw/resident/util_bill", seen(bills), load_probes()["util_bill"])
    assert {(finding.rows, finding.of) for finding in findings} == {(0, 0)}
