"""Made-up identifiers of nobody, and the ways in which they slip into deliveries."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import date, timedelta

import numpy as np

from sources.identity.numbers import ORGANISATION_WEIGHTS, USCC_ALPHABET, USCC_WEIGHTS, resident_check

REGIONS = (110105, 430124, 410502, 330204, 440524, 530102, 650102, 810000, 460105)


def resident(rng: np.random.Generator) -> str:
    """A valid resident id."""
    born = date(1940, 1, 1) + timedelta(days=int(rng.integers(0, 25_000)))
    body = f"{rng.choice(REGIONS)}{born:%Y%m%d}{rng.integers(1, 999):03d}"
    return body + resident_check(body)


def resident_with_x(rng: np.random.Generator) -> str:
    """A valid resident id that ends in X."""
    while not (number := resident(rng)).endswith("X"):
        pass
    return number


def short_resident(rng: np.random.Generator) -> str:
    """A resident id as issued until 1999."""
    number = resident(rng)
    while number[6:8] != "19":
        number = resident(rng)
    return number[:6] + number[8:17]


def organisation(rng: np.random.Generator) -> str:
    """A valid organisation code of nine characters."""
    body = "".join(rng.choice(list("0123456789ABCDEFGHJKLMNPQRTUWXY"), 8))
    values = ["0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ".index(c) for c in body]
    rest = 11 - sum(w * v for w, v in zip(ORGANISATION_WEIGHTS, values, strict=True)) % 11
    return body + {10: "X", 11: "0"}.get(rest, str(rest))


def uscc(rng: np.random.Generator, body: str = "91") -> str:
    """A valid unified social credit code."""
    first = f"{body}{rng.choice(REGIONS)}{organisation(rng)}"
    total = sum(w * USCC_ALPHABET.index(c) for w, c in zip(USCC_WEIGHTS, first, strict=True))
    return first + USCC_ALPHABET[(31 - total % 31) % 31]


def uscc_of_letters(rng: np.random.Generator) -> str:
    """A valid credit code with at most two digits after its region."""
    code = uscc(rng)
    while sum(character.isdigit() for character in code) > 10:
        code = uscc(rng)
    return code


def phone(rng: np.random.Generator) -> str:
    """A mobile number of the mainland."""
    return f"1{rng.integers(3, 10)}{rng.integers(0, 10**9):09d}"


def card(rng: np.random.Generator, length: int = 19) -> str:
    """A UnionPay card number that passes Luhn."""
    body = "62" + "".join(map(str, rng.integers(0, 10, length - 3)))
    doubled = [int(d) * (2 if place % 2 == 0 else 1) for place, d in enumerate(reversed(body))]
    return body + str(-sum(d - 9 if d > 9 else d for d in doubled) % 10)


SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗郑"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀英华慧建国文平志红玉兰"


def name(rng: np.random.Generator) -> str:
    """A name of two or three characters."""
    return rng.choice(list(SURNAMES)) + "".join(rng.choice(list(GIVEN), int(rng.integers(1, 3))))


def full_width(text: str) -> str:
    """The same in full-width characters."""
    return "".join(chr(ord(c) + 0xFEE0) for c in text)


#: How a resident id may be written.
RESIDENT_FORMS: dict[str, Callable[[str], str]] = {
    "as is": str,
    "lower-case x": str.lower,
    "full width": full_width,
    "full width, lower case": lambda n: full_width(n.lower()),
    "hyphens": lambda n: f"{n[:6]}-{n[6:14]}-{n[14:]}",
    "blanks": lambda n: f"{n[:6]} {n[6:14]} {n[14:]}",
    "full-width blanks": lambda n: f"{n[:6]}\u3000{n[6:14]}\u3000{n[14:]}",
    "dashes": lambda n: f"{n[:6]}—{n[6:14]}—{n[14:]}",
    "dots": lambda n: f"{n[:6]}.{n[6:14]}.{n[14:]}",
    "slashes": lambda n: f"{n[:6]}/{n[6:14]}/{n[14:]}",
    "no-width blanks": lambda n: "\u200b".join(n),
    "soft hyphens": lambda n: "\u00ad".join(n),
    "a blank between all": lambda n: " ".join(n),
    "padded": lambda n: f"   {n}  ",
    "in quotes": lambda n: f'"{n}"',
    "spreadsheet's apostrophe": lambda n: f"'{n}",
    "in brackets": lambda n: f"({n})",
    "in a remark": lambda n: f"户主身份证{n}已核",
    "in English": lambda n: f"id no. {n} checked",
    "glued to letters": lambda n: f"ID{n}",
    "glued to a code": lambda n: f"FP_{n}_01",
    "in JSON": lambda n: json.dumps({"sfz": n}),
    "in JSON, nested": lambda n: json.dumps({"a": [{"b": n, "c": 1}]}),
    "in JSON, escaped": lambda n: '{"a":"' + "".join(f"\\u{ord(c):04x}" for c in n) + '"}',
    "in XML": lambda n: f"<sfz>{n}</sfz>",
    "in an address of a page": lambda n: f"https://a.gov.cn/q?id={n}&t=1",
    "percent-encoded": lambda n: "".join(f"%{ord(c):02x}" for c in n),
    "base64": lambda n: base64.b64encode(n.encode()).decode(),
    "base64 with a prefix": lambda n: base64.b64encode(f"id:{n}".encode()).decode(),
    "base64 of Chinese": lambda n: base64.b64encode(f"身份证{n}".encode()).decode(),
    "base64 of Chinese, URL-safe": lambda n: base64.urlsafe_b64encode(f"证件 {n}".encode()).decode(),
    "base64, URL-safe, unpadded": lambda n: base64.urlsafe_b64encode(f"x{n}".encode()).decode().rstrip("="),
    "hexadecimal": lambda n: n.encode().hex(),
    "Chinese numerals": lambda n: n.translate(str.maketrans("0123456789", "零一二三四五六七八九")),
    "mathematical digits": lambda n: "".join(chr(0x1D7CE + int(c)) if c.isdigit() else c for c in n),
    "Arabic-Indic digits": lambda n: "".join(chr(0x660 + int(c)) if c.isdigit() else c for c in n),
    "beside a token": lambda n: f"k1:{'ab' * 20},{n}",
    "in a list": lambda n: f"1001|{n}|20261012",
    "after a date": lambda n: f"2026-10-12 {n}",
    "with its region apart": lambda n: f"{n[:6]} | {n}",
}

PHONE_FORMS: dict[str, Callable[[str], str]] = {
    "as is": str,
    "in groups": lambda n: f"{n[:3]} {n[3:7]} {n[7:]}",
    "with hyphens": lambda n: f"{n[:3]}-{n[3:7]}-{n[7:]}",
    "with the country": lambda n: f"+86 {n}",
    "with the country, glued": lambda n: f"86{n}",
    "full width": full_width,
    "in a remark": lambda n: f"联系电话{n},请回电",
    "glued to Chinese": lambda n: f"王{n}",
    "as a float": lambda n: f"{n}.0",
    "in JSON": lambda n: json.dumps({"tel": n}),
    "with a landline": lambda n: f"0731-84512345/{n}",
    "base64": lambda n: base64.b64encode(n.encode()).decode(),
    "padded": lambda n: f" {n} ",
}

CARD_FORMS: dict[str, Callable[[str], str]] = {
    "as is": str,
    "in groups": lambda n: " ".join(n[place : place + 4] for place in range(0, len(n), 4)),
    "with hyphens": lambda n: "-".join(n[place : place + 4] for place in range(0, len(n), 4)),
    "in a remark": lambda n: f"卡号{n}",
    "full width": full_width,
    "in JSON": lambda n: json.dumps({"card": n}),
}

USCC_FORMS: dict[str, Callable[[str], str]] = {
    "as is": str,
    "lower case": str.lower,
    "full width": full_width,
    "in a remark": lambda n: f"代码{n}已核",
    "padded": lambda n: f" {n} ",
    "in JSON": lambda n: json.dumps({"code": n}),
    "in English": lambda n: f"code {n} checked",
}

WORDS = (
    "当事人张三丰因逾期未缴被处罚",
    "法定代表人：李明",
    "负责人 王建国，电话未留",
    "姓名:欧阳明华",
    "联系人陈静",
    "张伟先生已签收",
    "对刘芳女士作出处罚",
    "户主为赵志红",
    "被处罚人：周涛，男",
    "经办人：高明",
    "长沙市岳麓区麓山南路932号3栋2单元501室",
    "人民路12号3栋502室",
    "岳麓区麓山南路932号",
    "阳光小区3栋2单元",
    "湖南省宁乡市金洲镇龙桥村3组",
    "浙江省宁波市鄞州区中山东路18号",
    "某某小区5栋2单元1003室,湖南省长沙市雨花区韶山路",
    "zhang.san@example.com",
    "a@b.cn",
    "依据第三条，当事人：王伟逾期未缴",
    "邮箱：lisi88@qq.com",
    "湘A12345",
    "车牌号湘AD12345已过户",
    "粤Z1234港",
    "浙B·88888",
    "电话0731-84512345",
    "(0731)84512345",
)
