"""Hunan: fourteen dialects and the province fill one table; a payment told twice counts once, and who told it is kept."""

from collections import Counter

import pyarrow.compute as pc
import pytest

from core.money import fen
from core.state import Delivery
from sources.province.scenes.prefectures import DIALECTS, FEEDS, PROVINCE, Payments, write
from tests.sources.province.scenes.office import ADAPTERS, Office

TABLE = "raw/resident/util_payment"


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prefectures")
    sent = write(Payments(), folder / "inbox")
    office = Office(folder)
    office.take(sent.arrivals)
    return sent, office


def test_no_two_dialects_are_alike_and_a_city_is_a_file():
    assert len(FEEDS) == 14 == len({feed.adapter for feed in FEEDS.values()})
    # The thirteenth differs from the first in unit and encoding alone, the fourteenth from the second in both too.
    assert len(set(DIALECTS.values())) == 14
    for feed in (*FEEDS.values(), PROVINCE):
        adapter = ADAPTERS[feed.adapter]
        assert set(adapter.source_columns) == set(feed.headers)
        assert (adapter.file.encoding, adapter.file.delimiter, adapter.file.bom) == (
            feed.encoding,
            feed.delimiter,
            feed.bom,
        )


def test_a_payment_told_by_city_and_province_counts_once(told):
    sent, office = told
    every, known = office.rows(TABLE), office.known(TABLE)
    assert every.num_rows == sum(sent.payments.values()) + sent.told_twice
    assert (
        known.num_rows == sum(sent.payments.values()) == pc.count_distinct(known.column("receipt_id")).as_py()
    )
    assert int(fen(known.column("paid_amt")).sum()) == sum(sent.fen.values())


def test_who_told_of_a_payment_is_kept(told):
    sent, office = told
    with office.state.session() as session:
        source = {entry.delivery_no: entry.source for entry in session.query(Delivery)}
    every = Counter(source[number] for number in office.rows(TABLE).column("delivery_no").to_pylist())
    assert every == {
        **{f"sim_hn_{code}": n for code, n in sent.payments.items()},
        "sim_hn_province": sent.told_twice,
    }
    # The province came later, so that it is who tells last.
    last = Counter(source[number] for number in office.known(TABLE).column("delivery_no").to_pylist())
    assert last["sim_hn_province"] == sent.told_twice


def test_amounts_of_each_city_are_the_truth_whatever_its_unit(told):
    sent, office = told
    with office.state.session() as session:
        source = {entry.delivery_no: entry.source for entry in session.query(Delivery)}
    rows = office.rows(TABLE)
    names = [source[number] for number in rows.column("delivery_no").to_pylist()]
    amounts = Counter()
    for name, amount in zip(names, fen(rows.column("paid_amt")).tolist(), strict=True):
        amounts[name] += amount
    assert {code: amounts[f"sim_hn_{code}"] for code in sent.fen} == sent.fen
