"""Clues: what a detector found in one column, and whether it is more than chance.

A column decides, not a cell, wherever a form is common: of random numbers of 18 digits 3.2 % carry the check character of a
credit code, of random numbers of 11 digits 7 % begin like a mobile telephone, of card-like numbers every tenth passes Luhn.
So each clue says how many texts had the form, how many passed, and how many would by chance.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

#: So few texts of a form don't make a column of codes: there any hit counts.
FEW = 20
#: One hit is proof where random texts would give it in fewer columns than this share: 330 numbers of 18 digits for a resident id.
RARE = 0.01

#: Of random numbers of 18 digits so many have a province, a day of birth and the check character of a resident id.
RANDOM_RESIDENT = 3e-5

#: Different hits that a column-level form needs where its header says nothing.
ENOUGH = 20


@dataclass(frozen=True)
class Kind:
    """One sort of identifier: what a refusal calls it, and the words in a header that announce it."""

    name: str
    told: str
    header: str

    def announced(self, column: str) -> bool:
        """Whether the column's name says that it holds such identifiers."""
        return bool(self.header) and re.search(self.header, column, re.IGNORECASE) is not None


RESIDENT = Kind(
    "resident_id",
    "a resident id",
    r"身份证|证件号|公民身份|sfz|gmsfhm|zjhm|id_?card|id_?no\b|aac147",
)
SHORT_RESIDENT = Kind("resident_id_15", "a resident id of 15 digits", RESIDENT.header)
USCC = Kind(
    "uscc",
    "a unified social credit code",
    r"信用代码|税号|纳税人识别|uscc|xydm|nsrsbh|credit_?code|tax_?no\b|taxpayer_?no",
)
PHONE = Kind(
    "phone",
    "a telephone number",
    r"手机|电话|联系方式|联系号码|lxdh|sjh|yddh|(^|_)(tel|dh)(_|$)|phone|mobile",
)
CARD = Kind("bank_card", "a bank card number", r"银行卡|卡号|bank_?card|card_?no|yhkh|yhzh")
NAME = Kind(
    "name",
    "the name of a person",
    r"姓名|名字|法定代表|法人代表|联系人|户主|负责人|经办人|(^|_)(xm|lxr|fddbr)(_|$)|person_?name",
)
ADDRESS = Kind("address", "an address", r"地址|住址|住所|address|(^|_)addr(_|$)")
EMAIL = Kind("email", "an e-mail address", "")
PLATE = Kind("plate", "a number plate", r"车牌|号牌|cph|plate_?no")


@dataclass(frozen=True)
class Clue:
    """`hits`: positions of the texts that passed, of `among` texts that had the form.

    `chances`: (texts, share) pairs; of so many texts such a share passes at random, and the hits must be beyond each.
    `least` hits, and `share` of `among`, are needed where the header doesn't announce the kind.
    """

    kind: Kind
    hits: np.ndarray
    among: int
    chances: tuple[tuple[int, float], ...] = ()
    least: int = 1
    share: float = 0.0

    def at(self, places: np.ndarray) -> Clue:
        """The same, where text number i is text number `places[i]` of the whole column."""
        return replace(self, hits=places[self.hits])

    def convinces(self, column: str) -> bool:
        """Whether the column holds such identifiers."""
        hits = len(self.hits)
        if not is_more_than_chance(hits, self.chances):
            return False
        return self.kind.announced(column) or (hits >= self.least and hits >= self.share * self.among)


def is_more_than_chance(hits: int, chances: Sequence[tuple[int, float]]) -> bool:
    """Whether so many hits aren't what random texts would give; where even one would be rare, one is enough."""
    judged = [(n, share) for n, share in chances if n >= FEW and n * share >= RARE]
    return hits > 0 and all(hits > by_chance(n, share) for n, share in judged)


def by_chance(texts: int, share: float) -> float:
    """Hits that chance alone passes in some 5 columns of 10,000: one more than four standard deviations above the mean.

    >>> [round(by_chance(n, 1 / 11), 1) for n in (0, 20, 1000)]
    [1.0, 8.0, 128.3]
    """
    mean = texts * share
    return mean + 4 * math.sqrt(mean * (1 - share)) + 1
