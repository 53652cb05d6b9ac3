"""What each direct identifier looks like in a cell, and how many must be seen before a column is refused.

Where chance alone makes cells that look like an identifier (a tenth of all numbers pass a card's check digit), one cell proves
nothing: such a detector asks for a number of different cells and for a share of the column. Others need one cell.
"""

from __future__ import annotations

import base64
import binascii
import re
from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from sources.identity.enterprise_id import is_social_credit_code
from sources.identity.resident_id import holds_resident_id
from sources.identity.resident_id import suspects as resident_ids
from sources.identity.written_id import one_form

Positions = list[int]


@dataclass(frozen=True)
class Detector:
    """`find` gives the positions of the texts that look like the identifier. The column is refused from `least` different texts
    that are `share` of all different texts, or from one where the header matches `header`.

    `chance`: of numbers of the form `alike` so many pass by chance. A column full of such numbers is refused only where far more
    pass: with fewer than 500 of them one is proof.
    """

    name: str
    what: str
    find: Callable[[pa.Array], Positions]
    least: int = 1
    share: float = 0.0
    header: str = "(?!)"
    alike: str = ""
    chance: float = 0.0

    def convicts(self, hits: int, texts: pa.Array, header: str) -> bool:
        """Whether so many of a column's different texts, under this header, are proof."""
        if not hits:
            return False
        if re.search(self.header, header, re.IGNORECASE) is not None:
            return True
        least = self.least
        if self.alike:
            numbers = pc.sum(pc.match_substring_regex(texts, self.alike)).as_py() or 0
            least = 1 if numbers < 500 else 5 + int(10 * self.chance * numbers)
        return hits >= least and hits >= self.share * len(texts)


def _matching(pattern: str) -> Callable[[pa.Array], Positions]:
    def find(texts: pa.Array) -> Positions:
        return pc.indices_nonzero(pc.match_substring_regex(texts, pattern)).to_pylist()

    return find


def _valid(pattern: str, test: Callable[[str], bool]) -> Callable[[pa.Array], Positions]:
    """Texts of which the whole matches the pattern and passes a test in its one form."""
    rough = _matching(pattern)

    def find(texts: pa.Array) -> Positions:
        return [place for place in rough(texts) if test(one_form(texts[place].as_py()))]

    return find


def _is_old_resident_id(number: str) -> bool:
    month, day = int(number[8:10]), int(number[10:12])
    year = 1900 + int(number[6:8])
    return 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1] and 11 <= int(number[:2]) <= 65


def _passes_luhn(number: str) -> bool:
    digits = [int(digit) for digit in reversed(number)]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return (sum(digits[0::2]) + sum(doubled)) % 10 == 0


def _hidden_ids(texts: pa.Array) -> Positions:
    """Base64 of something that holds a resident id."""
    rough = pc.and_(
        pc.match_substring_regex(texts, r"^[A-Za-z0-9+/_-]{24,}={0,2}$"),
        # Hexadecimal tokens are base64 too, and decode to nothing that anybody could read.
        pc.invert(pc.match_substring_regex(texts, r"^(k[0-9]+:)?[0-9a-fA-F]+$")),
    )
    return [place for place in pc.indices_nonzero(rough).to_pylist() if _decoded(texts[place].as_py())]


def _decoded(text: str) -> bool:
    padded = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        raw = base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True)
        return holds_resident_id(raw.decode("utf-8"))
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return False


#: The hundred commonest surnames carry 85 % of all people, so that a column of names is found by them.
SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟"
    "谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
)
_NAME_LABEL = "姓名|联系人|法人代表|法定代表人|当事人|负责人|申请人|经办人|户主|纳税人"
_GAP = "[\\s\\-\u2010-\u2015\u3000]?"
_PHONE = f"1{_GAP}[3-9](?:{_GAP}[0-9]){{9}}"
_PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"

DETECTORS: tuple[Detector, ...] = (
    Detector(
        "resident_id", "an 18-digit resident id", resident_ids, alike=r"^\s*[0-9]{17}[0-9Xx]\s*$", chance=9e-5
    ),
    Detector("hidden_resident_id", "a resident id in base64", _hidden_ids),
    Detector(
        "resident_id_15",
        "15-digit resident ids",
        _valid(r"^\s*[0-9]{15}\s*$", _is_old_resident_id),
        least=20,
        share=0.5,
        header="sfz|身份证|id_?card|idno|zjhm|证件",
    ),
    Detector(
        "social_credit_code",
        "unified social credit codes",
        _valid(r"^\s*[0-9A-Za-z]{18}\s*$", is_social_credit_code),
        least=20,
        share=0.05,
        header="uscc|tyshxydm|社会信用代码",
    ),
    Detector(
        "phone_in_text",
        "a telephone number in free text",
        # A number is free text's only where something other than digits stands in the cell.
        lambda texts: [
            place
            for place in _matching(f"(?:^|[^0-9A-Za-z]){_PHONE}(?:[^0-9A-Za-z]|$)")(texts)
            if re.search(r"[^\s0-9\-.+()]", texts[place].as_py()) and "e+" not in texts[place].as_py()
        ],
    ),
    Detector(
        "phone",
        "telephone numbers",
        _matching(f"^\\s*(?:\\+?86{_GAP})?{_PHONE}\\s*$"),
        least=20,
        share=0.5,
        header="phone|mobile|tel|sjh|lxdh|手机|电话|联系方式",
    ),
    Detector(
        "bank_card",
        "bank card numbers",
        _valid(r"^\s*(?:62|4[0-9]|5[1-5]|35)(?:[\s-]?[0-9]){14,17}\s*$", _passes_luhn),
        least=20,
        share=0.5,
        header="card_?no|yhk|银行卡|卡号|账号",
    ),
    Detector(
        "email",
        "an e-mail address",
        _matching(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}"),
    ),
    Detector(
        "plate",
        "a number plate",
        _matching(f"^\\s*[{_PROVINCES}][A-HJ-NP-Z][·\\s]?[A-HJ-NP-Z0-9]{{5,6}}\\s*$"),
    ),
    Detector(
        "name_in_text",
        "a name in free text",
        _matching(f"(?:{_NAME_LABEL})[\\s:：为是]{{1,2}}[{SURNAMES}][\u4e00-\u9fff]{{1,2}}"),
    ),
    Detector(
        "name",
        "names of persons",
        _matching(f"^\\s*[{SURNAMES}][\u4e00-\u9fff·]{{1,3}}\\s*$"),
        least=30,
        share=0.6,
        header="^(xm|name|姓名|联系人|法人)$",
    ),
    Detector(
        "address",
        "an address",
        _matching(
            "(?:路|街|巷|弄|村|小区|大道|胡同)[^,，;；]{0,12}?[0-9０-９一二三四五六七八九十]+(?:号|栋|幢|单元|室)"
        ),
    ),
)
