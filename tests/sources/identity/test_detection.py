"""Identifiers are found however they are written; amounts, dates, codes and pseudonyms are not mistaken for them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Refusal
from sources.delivered_rows import DeliveredRows
from sources.identity.guard import column_clues, convincing, refuse_identities
from tests.sources.identity import planted

#: Clean cells that a remark column has around a planted one.
AROUND = [
    "",
    "正常",
    "备注",
    "已核",
    "转入单位",
    "2026-10-12",
    "补缴",
    *(f"第{n}期已入库" for n in range(60)),
]


def found(texts: list[str], column: str = "bz") -> str | None:
    """The kind of identifier that convinces in a column of these cells."""
    clue = convincing(column, column_clues(pa.array(texts, pa.string()).unique(), len(texts)))
    return None if clue is None else clue.kind.name


def variants() -> Iterator[tuple[str, str]]:
    """Name and cell of every planted variant."""
    rng = np.random.default_rng(3)
    for make, forms in (
        (planted.resident, planted.RESIDENT_FORMS),
        (planted.resident_with_x, planted.RESIDENT_FORMS),
        (planted.uscc, planted.USCC_FORMS),
        (planted.uscc_of_letters, planted.USCC_FORMS),
        (planted.phone, planted.PHONE_FORMS),
        (planted.card, planted.CARD_FORMS),
        (lambda rng: planted.card(rng, 16), planted.CARD_FORMS),
    ):
        for form, write in forms.items():
            yield f"{getattr(make, '__name__', 'card')}, {form}", write(make(rng))
    for form in ("as is", "in a remark", "full width", "padded", "in JSON", "in quotes", "in a list"):
        yield f"15 digits, {form}", planted.RESIDENT_FORMS[form](planted.short_resident(rng))
    for words in planted.WORDS:
        yield words, words
    for _ in range(64):
        form = str(rng.choice(sorted(planted.RESIDENT_FORMS)))
        yield f"again, {form}", planted.RESIDENT_FORMS[form](planted.resident(rng))


def test_of_200_planted_variants_none_passes() -> None:
    cells = list(variants())
    assert len(cells) >= 200
    missed = [name for name, cell in cells if found([*AROUND, cell]) is None]
    assert missed == []


def test_every_variant_is_found_alone_in_its_column_too() -> None:
    assert [name for name, cell in variants() if found([cell]) is None] == []


def digits(rng: np.random.Generator, length: int, rows: int) -> list[str]:
    table = rng.integers(ord("0"), ord("9") + 1, (rows, length)).astype(np.uint8)
    return [row.tobytes().decode() for row in table]


WORDS = ("社保查询", "公积金提取", "不动产登记", "户政业务", "江苏", "长沙市岳麓区税务局", "正常缴费")

CLEAN: dict[str, Callable[[np.random.Generator, int], list[str]]] = {
    "tokens": lambda rng, n: [f"k1:{rng.bytes(20).hex()}" for _ in range(n)],
    "disguised tokens": lambda rng, n: [
        way(f"k1:{rng.bytes(20).hex()}")
        for way in (str.upper, planted.full_width, " {}  ".format, "{},".format, '{{"id":"{}"}}'.format)
        for _ in range(n // 5)
    ],
    "sha-256": lambda rng, n: [rng.bytes(32).hex() for _ in range(n)],
    "amounts": lambda rng, n: [f"{a:.2f}" for a in rng.lognormal(8, 3, n)],
    "amounts in fen": lambda rng, n: [f"{a:.0f}" for a in rng.lognormal(14, 4, n)],
    "payment codes": lambda rng, n: [f"43{code}" for code in digits(rng, 14, n)],
    "codes of 18": lambda rng, n: digits(rng, 18, n),
    "codes of 15": lambda rng, n: digits(rng, 15, n),
    "codes of 11": lambda rng, n: digits(rng, 11, n),
    "codes of 19": lambda rng, n: digits(rng, 19, n),
    "serials with region and day": lambda rng, n: [
        f"430100202610{d:02d}{s:04d}"
        for d, s in zip(rng.integers(1, 32, n), rng.integers(0, 9999, n), strict=True)
    ],
    "moments": lambda rng, n: [
        str(np.datetime64("2026-10-01T00:00:00") + int(s)).replace("T", " ")
        for s in rng.integers(0, 2_600_000, n)
    ],
    "item codes": lambda rng, n: [
        f"511Z{code:08d}-511602000000-000-11511301008778183N-1" for code in rng.integers(0, 10**8, n)
    ],
    "meters": lambda rng, n: digits(rng, 12, n),
    "codes of 18 with letters": lambda rng, n: [
        "9143" + "".join(row) for row in rng.choice(list("0123456789ABCDEFGHJKLMNPQRTUWXY"), (n, 14))
    ],
    "words": lambda rng, n: list(rng.choice(WORDS, n)),
    "invoices": lambda rng, n: [f"FP{code}" for code in digits(rng, 18, n)],
    "base64": lambda rng, n: [base64.b64encode(rng.bytes(18)).decode() for _ in range(n)],
}


@pytest.mark.slow
def test_of_a_million_clean_cells_at_most_one_in_10000_alarms() -> None:
    rng = np.random.default_rng(8)
    rows = 1_000_000 // len(CLEAN) + 10
    alarms = 0
    for make in CLEAN.values():
        cells = make(rng, rows)
        clue = convincing("lsh", column_clues(pa.array(cells).unique(), rows))
        alarms += 0 if clue is None else len(clue.hits)
    assert alarms <= 100
    assert alarms == 0


def test_small_columns_of_codes_seldom_alarm() -> None:
    """2,000 columns of 500 numbers of 18 digits: at most one in a hundred is refused by chance."""
    rng = np.random.default_rng(9)
    assert sum(found(digits(rng, 18, 500)) is not None for _ in range(200)) <= 2


@pytest.mark.parametrize(
    "cell",
    [
        "10413231",
        "A09920",
        "E123",
        "2017/7/18",
        "2026-10-12 23:13:05.123456",
        "20261012101112",
        "12345678901234567890",
        "74218321-3",
        "511Z07001006-511602000000-000-11511301008778183N-1-00",
        "-13800138.00",
        "13,800,138,000.00",
        "纳税人于十月在系统内补申报",
        "负责人向单位说明情况",
        "本人余额不足未扣款",
        "法人单位变更登记",
        "联系人方式已变更",
        "户主同意过户",
        "安全生产",
        "10101、10104",
        "王府井街道",
        "10千伏线路3号杆",
        "供水管道12号阀",
        "第2村民小组选举",
    ],
)
def test_what_identifies_nobody(cell: str) -> None:
    assert found([*AROUND, cell]) is None


def test_a_column_of_names_is_told_from_a_column_of_words() -> None:
    rng = np.random.default_rng(4)
    people = [planted.name(rng) for _ in range(400)]
    assert found(people) == "name"
    assert found(["张伟", "李静"], "法定代表人姓名") == "name"
    words = [
        "金融业",
        "建筑业",
        "房地产",
        "居民服务",
        "查账征收",
        "江东区",
        "石家庄",
        "高新区",
        "张家界",
        "安全生产",
    ]
    assert found(words * 40) is None


def test_credit_codes_are_decided_by_the_column() -> None:
    rng = np.random.default_rng(6)
    codes = [planted.uscc(rng) for _ in range(30)]
    assert found([*codes, *digits(rng, 18, 500)], "dm") == "uscc"
    # Random numbers of 18 digits carry the check character 3.2 % of the time and are none the less codes.
    assert found(digits(rng, 18, 2000), "dm") is None


def test_one_id_among_some_hundred_numbers_is_none_of_them() -> None:
    rng = np.random.default_rng(10)
    assert found([*digits(rng, 18, 300), planted.resident(rng)], "lsh") == "resident_id"
    # Among thousands it can't be told from chance; all of them being ids can.
    assert found([planted.resident(rng) for _ in range(5000)], "lsh") == "resident_id"


def rows(column: str, cells: list[str], file: str = "data.csv") -> DeliveredRows:
    return DeliveredRows(pa.table({"lsh": [str(n) for n in range(len(cells))], column: cells}), file)


def test_only_a_column_replaced_on_entry_may_hold_credit_codes() -> None:
    rng = np.random.default_rng(6)
    codes = [planted.uscc(rng) for _ in range(30)]
    with pytest.raises(Refusal, match="IDENTITY"):
        refuse_identities(rows("nsrsbh", codes))
    refuse_identities(rows("nsrsbh", codes), pseudonymised=["nsrsbh"])
    with pytest.raises(Refusal, match="resident id"):
        refuse_identities(rows("nsrsbh", [*codes, planted.resident(rng)]), pseudonymised=["nsrsbh"])


def test_a_refusal_tells_column_and_line_and_never_the_cell() -> None:
    number = planted.resident(np.random.default_rng(2))
    with pytest.raises(Refusal) as caught:
        refuse_identities(rows("bz", ["", "", f"见{number}", number]))
    refusal = caught.value
    assert (refusal.code, refusal.column, refusal.line) == ("REFUSED/IDENTITY", "bz", 4)
    assert number not in str(refusal)


def test_ids_in_file_names_are_refused_and_not_quoted() -> None:
    rng = np.random.default_rng(2)
    for number in (planted.resident(rng), planted.phone(rng)):
        for name in (f"{number}.csv", f"tax_{number}_2026-10.csv", f"{number}-r1.csv.gz"):
            with pytest.raises(Refusal, match="IDENTITY") as caught:
                refuse_identities(rows("bz", [""], name))
            assert number not in str(caught.value)
    refuse_identities(rows("bz", [""], "sim_city.tax_vat_return-2026-10-r1-20261104.csv"))


#: Anything that may stand around an id but no digit and no letter.
BESIDE = st.text(st.characters(exclude_categories=["Cs", "Nd", "No", "Nl", "Cc", "Lu", "Ll"]), max_size=6)


@given(
    st.integers(0, 10**9),
    BESIDE,
    BESIDE,
    st.sampled_from(["as is", "full width", "hyphens", "blanks", "lower-case x"]),
)
def test_an_id_is_found_in_any_text(seed: int, before: str, after: str, form: str) -> None:
    number = planted.resident(np.random.default_rng(seed))
    assert found([before + planted.RESIDENT_FORMS[form](number) + after]) == "resident_id"


@given(st.integers(0, 10**9), st.integers(0, 9))
def test_part_of_a_longer_number_is_none(seed: int, digit: int) -> None:
    number = planted.resident(np.random.default_rng(seed))
    assert found([f"第{digit}{number}号"]) != "resident_id"
    assert found([f"第{number}号"]) == "resident_id"


def test_whole_tokens_never_alarm_but_text_with_one_is_searched() -> None:
    number = planted.resident(np.random.default_rng(1))
    while number.endswith("X"):
        number = planted.resident(np.random.default_rng(int(number[6:14])))
    token = "k1:" + "ab" * 11 + number
    assert len(token) == 43
    assert found([token]) is None
    assert found([token + " 备注"]) == "resident_id"
