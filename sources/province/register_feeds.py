"""The register of meters: who has which, where. Sent only where the settings ask for it (`registers`).

It is the one table that says where a subject is, so it is what a missing region and a retired region code are found by.
"""

from __future__ import annotations

from core.subject import SubjectKind
from sources.province.feeds import ENTERPRISE, RESIDENT, Codes, Feed, Field, city_fields

SUPPLY: Codes = (("01", "电力"),)
NATURE: Codes = (("1", "居民"), ("2", "农业"), ("3", "工商业"))
TARIFF: Codes = (("11", "居民阶梯"), ("31", "工商业单一制"), ("32", "工商业两部制"))


def _accounts(subject: SubjectKind) -> Feed:
    return Feed(
        f"sim_city_util_account_{subject}", "sim_city_util", subject, "util_account", "yhbh",
        city_fields(
            Field("hh", "token", "meter", f"{subject}_meter"),
            Field("ny", "month", form="%Y%m"),
            Field("ywlx", "code", "supply", codes=SUPPLY),
            Field("ydxz", "code", "nature", codes=NATURE),
            Field("djlb", "code", "tariff", codes=TARIFF),
            Field("ydrl", "number", "capacity"),
            Field("khrq", "date", "opened", "%Y-%m-%d"),
        ),
    )  # fmt: skip


REGISTERS: tuple[Feed, ...] = (_accounts(RESIDENT), _accounts(ENTERPRISE))
