"""Why a row can't come in, and what each reason asks for. One reason a row, the first.

An adapter says under `quarantine` which reasons hold the row back; any other refuses the delivery whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Reason(IntEnum):
    """Reasons by number, so that a column of millions of rows needs a byte each; 0 is a good row."""

    GOOD = 0
    UNKNOWN_CODE = 1
    SEVERAL_CODES = 2
    RETIRED_CODE = 3
    UNREADABLE = 4
    MISSING = 5
    SENTINEL = 6
    OUT_OF_RANGE = 7
    NO_KEY = 8
    MALFORMED_KEY = 9
    OTHER_KEY_VERSION = 10
    OTHER_PERIOD = 11
    OTHER_SPAN = 12
    INCONSISTENT = 13
    DUPLICATE_KEY = 14
    HELD_WITH_GROUP = 15
    OTHER_FORM = 16

    @property
    def word(self) -> str:
        """How adapters, ledger and browser write it."""
        return self.name.lower()


@dataclass(frozen=True)
class ReasonText:
    """`code` of the refusal, what is wrong, and the remedy; `{}` in the remedy is the adapter's name."""

    code: str
    what: str
    remedy: str
    zh: str


_RESEND = "Have the source correct the cell and send the period again, or correct the column in {}.yaml."

TEXTS: dict[Reason, ReasonText] = {
    Reason.UNKNOWN_CODE: ReasonText(
        "REFUSED/CODE",
        "a code that the adapter doesn't declare",
        "Ask the source what the code means and declare it under `codes` or in the code map of this column in {}.yaml.",
        "未登记的代码",
    ),
    Reason.SEVERAL_CODES: ReasonText(
        "REFUSED/CODE",
        "several codes in one cell",
        "Have the source send one row a code: an amount can't be divided among them here.",
        "一格多码",
    ),
    Reason.RETIRED_CODE: ReasonText(
        "REFUSED/CODE",
        "a code that was retired before this month, without a successor",
        "Name the successor in the code map, or have the source send today's code.",
        "已停用且无后继的代码",
    ),
    Reason.UNREADABLE: ReasonText("REFUSED/TYPE", "not a {} as declared", _RESEND, "无法识别的单元格"),
    Reason.MISSING: ReasonText(
        "REFUSED/TYPE",
        "{} may not be missing",
        "Have the source fill the cell and send the period again.",
        "必填项为空",
    ),
    Reason.SENTINEL: ReasonText(
        "REFUSED/TYPE",
        "a date that stands for no date where {} needs one",
        "Have the source send the day; an end that is open is declared with `open_end: true` in {}.yaml.",
        "占位日期出现在必填项",
    ),
    Reason.OUT_OF_RANGE: ReasonText(
        "REFUSED/RANGE",
        "outside the contract's range",
        "Have the source check the value and its unit; if the range is wrong, raise it in the contract.",
        "超出合同范围",
    ),
    Reason.OTHER_FORM: ReasonText(
        "REFUSED/FORM",
        "a text of another form than the contract gives",
        "Have the source write the values that the contract allows: gscene contracts show names them.",
        "不符合合同规定的格式",
    ),
    Reason.NO_KEY: ReasonText(
        "REFUSED/TYPE",
        "no code of a subject",
        "Have the source send its subject's pseudonym in every row, or leave such rows out in {}.yaml (`key.missing`).",
        "无主体标识",
    ),
    Reason.MALFORMED_KEY: ReasonText(
        "REFUSED/TYPE",
        "not a pseudonym such as k1: and 40 hexadecimal digits",
        "Have the source send a pseudonym in every row, or let {}.yaml pseudonymise its codes on entry.",
        "主体标识格式不符",
    ),
    Reason.OTHER_KEY_VERSION: ReasonText(
        "REFUSED/TYPE",
        "a pseudonym made with another key than the adapter names",
        "Ask whose key it was; a change of key needs a crosswalk and a new `key_ver` in {}.yaml.",
        "密钥版本不符",
    ),
    Reason.OTHER_PERIOD: ReasonText(
        "REFUSED/PERIOD",
        "a row of another month than the delivery",
        "Have the source split the file by month, or correct the period in the manifest.",
        "属期不符",
    ),
    Reason.OTHER_SPAN: ReasonText(
        "REFUSED/PERIOD",
        "a row for another span of months than declared",
        "An amount of a quarter or since January can't be split into months: ask the source for months.",
        "所属期跨度不符",
    ),
    Reason.INCONSISTENT: ReasonText(
        "REFUSED/CHECK",
        "values of the row that don't fit each other",
        "Have the source check unit and readings of the row; the rule stands under `checks` in {}.yaml.",
        "行内数值互相矛盾",
    ),
    Reason.DUPLICATE_KEY: ReasonText(
        "REFUSED/KEY",
        "business keys that stand more than once with different content",
        "Have the source send one row a key, and corrections as a revision of their own.",
        "业务主键重复且内容不同",
    ),
    Reason.HELD_WITH_GROUP: ReasonText(
        "REFUSED/KEY",
        "rows summed into one with a row that can't be read",
        "Mend what holds the other row back: a sum without it would be wrong.",
        "与被隔离行合并计算",
    ),
}
assert set(TEXTS) == set(Reason) - {Reason.GOOD}

#: Reasons by the word that adapters write.
BY_WORD = {reason.word: reason for reason in TEXTS}
