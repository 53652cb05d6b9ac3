"""Planted identifiers are refused however they are written; a million clean cells are not."""

from __future__ import annotations

import base64
import json
import random

import numpy as np
import pyarrow as pa
import pytest

from core.errors import Refusal
from sources.convert import DeliveredRows
from sources.identity.detectors import SURNAMES
from sources.identity.enterprise_id import (
    check_character,
    is_organisation_code,
    is_social_credit_code,
    organisation_code,
)
from sources.identity.guard import candidates, refuse_identities
from sources.identity.resident_id import check_digit, eighteen_digits, is_resident_id
from sources.identity.written_id import enterprise, resident
from sources.token_form import are_tokens

ROWS = 400


def resident_id(dice: random.Random) -> str:
    # 410502 (Anyang Wenfeng) and 430124 (old Ningxiang) are missing from common region tables.
    region = dice.choice(["410502", "430124", "430802", "110105", "530102"])
    body = f"{region}{dice.randint(1930, 2005)}{dice.randint(1, 12):02d}{dice.randint(1, 28):02d}{dice.randint(0, 999):03d}"
    return body + check_digit(body)


def social_credit_code(dice: random.Random) -> str:
    body = "91" + "430100" + "".join(dice.choice("0123456789ABCDEFGHJKLMNPQRTUWXY") for _ in range(9))
    return body + check_character(body)


def card(dice: random.Random) -> str:
    body = "622202" + "".join(str(dice.randint(0, 9)) for _ in range(12))
    total = sum(
        sum(divmod(2 * int(d), 10)) if place % 2 == 0 else int(d) for place, d in enumerate(reversed(body))
    )
    return body + str((10 - total % 10) % 10)


def phone(dice: random.Random) -> str:
    return f"1{dice.randint(3, 9)}{dice.randint(0, 10**9 - 1):09d}"


def person(dice: random.Random) -> str:
    return dice.choice(SURNAMES) + "".join(
        dice.choice("伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英") for _ in range(dice.randint(1, 2))
    )


def wide(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


#: One cell of a column of remarks suffices.
ONE_CELL = {
    "id": lambda d: resident_id(d),
    "id full width": lambda d: wide(resident_id(d)),
    "id lower x": lambda d: resident_id(d).lower(),
    "id blanks": lambda d: " ".join((lambda n: [n[:6], n[6:14], n[14:]])(resident_id(d))),
    "id hyphens": lambda d: "-".join((lambda n: [n[:6], n[6:14], n[14:]])(resident_id(d))),
    "id in a remark": lambda d: f"补录，证件{resident_id(d)}，见附件",
    "id in JSON": lambda d: json.dumps({"a": 1, "zj": resident_id(d)}),
    "id in base64": lambda d: base64.b64encode(f"id={resident_id(d)}".encode()).decode(),
    "id in base64 of a URL": lambda d: base64.urlsafe_b64encode(f"证件 {resident_id(d)}".encode()).decode(),
    "telephone in a remark": lambda d: f"未接通 {phone(d)} 明日再访",
    "telephone full width in a remark": lambda d: f"联系{wide(phone(d))}",
    "telephone with hyphens in a remark": lambda d: (lambda n: f"请拨{n[:3]}-{n[3:7]}-{n[7:]}")(phone(d)),
    "e-mail": lambda d: f"user{d.randint(1, 999)}@example.com.cn",
    "short e-mail": lambda d: "a@b.cn",
    "plate": lambda d: f"湘{d.choice('ABCDEFG')}{d.randint(10000, 99999)}",
    "plate of an electric car": lambda d: f"湘A·D{d.randint(10000, 99999)}",
    "name in a penalty basis": lambda d: f"依据第三条，当事人：{person(d)}逾期未缴",
    "name after a label": lambda d: f"联系人:{person(d)}",
    "address": lambda d: f"岳麓区麓山南路{d.randint(1, 999)}号",
    "address of a flat": lambda d: f"阳光小区{d.randint(1, 20)}栋{d.randint(1, 9)}单元",
}
#: A whole column is needed, because chance makes single cells that look alike.
WHOLE_COLUMN = {
    "old ids": ("x", lambda d: (lambda n: n[:6] + n[8:17])(resident_id(d).replace("20", "19", 1))),
    "social credit codes": ("x", social_credit_code),
    "social credit codes in small letters": ("x", lambda d: social_credit_code(d).lower()),
    "telephones": ("x", phone),
    "telephones with country code": ("x", lambda d: "+86 " + phone(d)),
    "telephones in a landline field": ("lxdh", phone),
    "cards": ("x", card),
    "cards in groups": ("x", lambda d: (lambda n: " ".join(n[i : i + 4] for i in range(0, len(n), 4)))(card(d))),
    "names": ("x", person),
    "names under their header": ("xm", person),
}  # fmt: skip
#: A number in a named column is taken at its word.
UNDER_A_HEADER = {
    "telephone": ("mobile", phone),
    "card": ("card_no", card),
    "social credit code": ("uscc", social_credit_code),
}


def delivered(cells: list[str], header: str = "bz", file: str = "delivery.csv") -> DeliveredRows:
    dice = np.random.default_rng(1)
    amounts = [f"{value / 100:.2f}" for value in dice.integers(0, 10**8, len(cells))]
    return DeliveredRows(pa.table({"je": amounts, header: pa.array(cells, pa.string())}), file)


def refused(rows: DeliveredRows) -> Refusal | None:
    try:
        refuse_identities(rows)
    except Refusal as told:
        return told
    return None


def test_two_hundred_planted_variants_are_refused_without_being_quoted() -> None:
    planted, missed = 0, []
    for turn in range(6):
        dice = random.Random(turn)
        for name, make in ONE_CELL.items():
            cell = make(dice)
            told = refused(delivered(["", "正常"] * 50 + [cell]))
            planted += 1
            if told is None or told.code != "REFUSED/IDENTITY" or told.line != 102 or told.column != "bz":
                missed.append(name)
            elif cell in str(told):
                missed.append(f"{name}: quoted")
        for name, (header, make) in {**WHOLE_COLUMN, **UNDER_A_HEADER}.items():
            count = 1 if name in UNDER_A_HEADER else ROWS
            told = refused(delivered([make(dice) for _ in range(count)], header))
            planted += 1
            if told is None or told.column != header:
                missed.append(name)
    assert planted >= 198
    assert len(missed) <= planted // 100, missed


def test_an_id_in_the_files_name_is_refused_and_not_repeated() -> None:
    number = resident_id(random.Random(3))
    told = refused(delivered(["a"], file=f"{number}.csv"))
    assert told is not None and number not in str(told)


def _clean(rows: int) -> dict[str, list[str]]:
    dice = np.random.default_rng(11)
    hexes = dice.bytes(20 * rows).hex()
    days = zip(dice.integers(1, 13, rows), dice.integers(1, 29, rows), strict=True)
    words = ["社保查询", "公积金提取", "不动产登记", "户政业务", "江苏", "长沙市岳麓区税务局", "正常缴费"]
    return {
        "grbh": [f"k1:{hexes[40 * i : 40 * i + 40]}" for i in range(rows)],
        "sha": [hexes[40 * i : 40 * i + 40] + "0" * 24 for i in range(rows)],
        "fphm": [f"{n:08d}" for n in dice.integers(0, 10**8, rows)],
        "lsh": [f"{n:018d}" for n in dice.integers(10**17, 10**18, rows)],
        "je": [f"{n / 100:.2f}" for n in dice.integers(0, 10**11, rows)],
        "meter": [f"{n:012d}" for n in dice.integers(0, 10**12, rows)],
        "sj": [f"2026-{month:02d}-{day:02d} 08:15:30" for month, day in days],
        "fwzt": list(dice.choice(words, rows)),
        "item": [f"511Z{n:08d}-511602000000-000-11511301008778183N-1" for n in dice.integers(0, 500, rows)],
    }


@pytest.mark.slow
def test_a_million_clean_cells_raise_no_alarm() -> None:
    rows = 120_000
    table = pa.table(_clean(rows))
    assert table.num_rows * table.num_columns > 1_000_000
    assert refused(DeliveredRows(table, "clean.csv")) is None


def test_a_column_of_real_ids_is_refused_however_many_and_serial_numbers_with_one_chance_hit_are_not() -> (
    None
):
    dice = random.Random(9)
    serials = [f"{dice.randrange(10**17, 10**18)}" for _ in range(5000)]
    assert refused(delivered([*serials, resident_id(dice)])) is None
    assert refused(delivered([*serials[:300], resident_id(dice)])) is not None
    assert refused(delivered([resident_id(dice) for _ in range(5000)])) is not None


def test_tokens_and_short_numbers_are_never_looked_at() -> None:
    texts = pa.array(
        ["k1:" + "a1" * 20, "k1:" + "A1" * 20, "123.45", "2026-10-01", "正常", "13912345678", ""]
    )
    assert candidates(texts, are_tokens(texts)).tolist() == [1, 4, 5]
    # A slice starts inside its buffer.
    assert candidates(texts.slice(1), are_tokens(texts.slice(1))).tolist() == [0, 3, 4]


def test_tokens_in_capitals_full_width_or_between_blanks_are_no_telephones() -> None:
    dice = random.Random(6)
    tokens = ["k1:" + "".join(dice.choice("0123456789abc") for _ in range(40)) for _ in range(20_000)]
    written = [(t, t.upper(), wide(t), f" {t} ")[place % 4] for place, t in enumerate(tokens)]
    assert refused(delivered(written, "nsrbh")) is None


def test_codes_that_are_pseudonymised_on_entry_may_be_there_but_no_residents() -> None:
    dice = random.Random(4)
    rows = delivered([social_credit_code(dice) for _ in range(ROWS)], "qyh")
    assert refused(rows) is not None
    refuse_identities(rows, pseudonymised=["qyh"])
    with pytest.raises(Refusal):
        refuse_identities(delivered([resident_id(dice)], "qyh"), pseudonymised=["qyh"])


def test_published_codes() -> None:
    # GB 32100-2015, annex: 91350100M000100Y43; GB 11714-1997: D2143569-X.
    assert is_social_credit_code("91350100M000100Y43")
    assert not is_social_credit_code("91350100M000100Y44")
    assert organisation_code("91350100M000100Y43") == "M000100Y4"
    assert is_organisation_code("D2143569X")


@pytest.mark.parametrize("seed", range(20))
def test_every_written_variant_has_one_form(seed: int) -> None:
    dice = random.Random(seed)
    number, code = resident_id(dice), social_credit_code(dice)
    for written in (
        number,
        wide(number),
        f" {number} ",
        number.lower(),
        f"{number[:6]}-{number[6:14]}-{number[14:]}",
    ):
        assert resident(written) == (number, "resident_18")
    for written in (code, wide(code), code.lower(), f"{code[:2]} {code[2:]}"):
        assert enterprise(written) == (code, "social_credit_code")


def test_an_old_id_becomes_the_new_one() -> None:
    old = "110105491231002"
    assert eighteen_digits(old) == "11010519491231002X" and is_resident_id(eighteen_digits(old))
    assert resident(old) == ("11010519491231002X", "resident_15")
    assert resident("110105491331002") == ("110105491331002", "unknown")
