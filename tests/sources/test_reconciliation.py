"""Three books of a day: every planted case is classified, totals hold to the fen, an open case leaves its day open."""

from collections import Counter
from datetime import date

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import Refusal
from sources.reconciliation import SETTLED, Case, reconcile, unreconciled_days

CHANNELS = ("hall_pos", "mobile_bank", "wechat", "alipay", "unionpay_qr")
DAY, NEXT = date(2026, 3, 31), date(2026, 4, 1)

#: What each case leaves in the platform's, the government's and the bank's book: amounts in fen.
LEAVES = {
    Case.MATCHED: ((100,), (100,), (100,)),
    Case.DUPLICATE: ((100,), (100,), (100, 100)),
    Case.LONG: ((100,), (), (100,)),
    Case.SHORT: ((100,), (100,), ()),
    Case.AMOUNT_DIFF: ((100,), (100,), (101,)),
    Case.REFUNDED: ((100, -100), (100, -100), (100, -100)),
    Case.REFUND_OPEN: ((100,), (100,), (100, -100)),
    Case.OFF_PLATFORM: ((), (100,), (100,)),
    Case.UNPAID_ORDER: ((100,), (), ()),
}


def books(planted: list[Case], day: date = DAY) -> list[pa.Table]:
    """The three books with one order a planted case."""
    entries: list[list[dict[str, object]]] = [[], [], []]
    for number, case in enumerate(planted):
        for book, amounts in zip(entries, LEAVES[case], strict=True):
            for amount in amounts:
                serial = f"s{number}"
                book.append(
                    {
                        "entry_date": day,
                        "platform_serial": serial,
                        "channel": CHANNELS[number % 5],
                        "exec_unit_cd": f"U{number % 3}",
                        "amt_fen": amount * (number + 1),
                        "gov_serial": f"g{number}-{amount}",
                        "acct_serial": f"a{number}-{len(book)}",
                    }
                )
    form = pa.schema(
        [("entry_date", pa.date32()), ("amt_fen", pa.int64())]
        + [
            (n, pa.string())
            for n in ("platform_serial", "channel", "exec_unit_cd", "gov_serial", "acct_serial")
        ]
    )
    return [pa.Table.from_pylist(book, schema=form) for book in entries]


@pytest.mark.parametrize("case", list(Case))
def test_each_case_alone_is_told_as_itself(case):
    found = reconcile(*books([case]))
    assert found.cases.column("case").to_pylist() == [str(case)]
    assert found.days.column("settled_flag").to_pylist() == [case in SETTLED]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(list(Case)), min_size=1, max_size=80))
def test_all_planted_cases_are_classified_and_totals_hold_to_the_fen(planted):
    platform, gov, bank = books(planted)
    found = reconcile(platform, gov, bank)
    assert {str(case): n for case, n in Counter(planted).items()} == Counter(
        found.cases.column("case").to_pylist()
    )
    for side, book in (("gov", gov), ("bank", bank)):
        total = sum(book.column("amt_fen").to_pylist())
        assert sum(found.days.column(f"{side}_amt_fen").to_pylist()) == total
        assert sum(found.cases.column(f"{side}_amt_fen").to_pylist()) == total
    differences = zip(
        *(found.days.column(n).to_pylist() for n in ("amt_diff_fen", "bank_amt_fen", "gov_amt_fen")),
        strict=True,
    )
    assert all(difference == ours - theirs for difference, ours, theirs in differences)
    assert sum(found.days.column("long_cnt").to_pylist()) == planted.count(Case.LONG)
    assert sum(found.days.column("short_cnt").to_pylist()) == planted.count(Case.SHORT)
    assert bool(unreconciled_days(found.days)) == bool(set(planted) - SETTLED)


def test_an_entry_sent_again_counts_once_and_another_serial_twice():
    platform, gov, bank = books([Case.MATCHED])
    assert reconcile(platform, gov, pa.concat_tables([bank, bank])).count(Case.MATCHED) == 1
    second = bank.set_column(bank.column_names.index("acct_serial"), "acct_serial", pa.array(["a-second"]))
    assert reconcile(platform, gov, pa.concat_tables([bank, second])).count(Case.DUPLICATE) == 1


def test_a_payment_at_midnight_belongs_to_the_platforms_day():
    platform, gov, _ = books([Case.MATCHED])
    bank = books([Case.MATCHED], NEXT)[2]
    found = reconcile(platform, gov, bank)
    assert found.days.column("recon_date").to_pylist() == [DAY] and unreconciled_days(found.days) == {}


def test_an_open_day_is_named_with_its_lines():
    found = reconcile(*books([Case.MATCHED, Case.LONG, Case.SHORT, Case.MATCHED]))
    assert unreconciled_days(found.days) == {str(DAY): 2}


def test_amounts_beyond_floats_stay_exact():
    platform, gov, bank = books([Case.MATCHED, Case.MATCHED])
    large = pa.array([9_007_199_254_740_993, 1])
    wide = [t.set_column(t.column_names.index("amt_fen"), "amt_fen", large) for t in (platform, gov, bank)]
    assert sum(reconcile(*wide).days.column("bank_amt_fen").to_pylist()) == 9_007_199_254_740_994


def test_one_serial_with_two_contents_is_refused_without_its_content():
    platform, gov, bank = books([Case.MATCHED, Case.MATCHED])
    twice = bank.set_column(bank.column_names.index("acct_serial"), "acct_serial", pa.array(["a1", "a1"]))
    with pytest.raises(Refusal, match="REFUSED/SERIAL") as told:
        reconcile(platform, gov, twice)
    assert "a1" not in str(told.value)


def test_empty_books_have_no_days():
    assert reconcile(*books([])).days.num_rows == 0
