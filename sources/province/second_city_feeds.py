"""The second city's feeds: the electricity of one prefecture, in a dialect of its own.

UTF-8 with a byte-order mark and tabs, because its export goes through a spreadsheet; bills in 分; meter readings beside the
consumption, which the first city doesn't send.
"""

from __future__ import annotations

from core.subject import SubjectKind
from sources.province.feeds import ENTERPRISE, RESIDENT, Codes, Feed, Field

SUPPLY: Codes = (("D", "电"),)
YES_NO: Codes = (("无", "无"), ("有", "有"))
DAY = "%Y%m%d"


def _bill(adapter: str, subject: SubjectKind, twin: str) -> Feed:
    fields = (
        Field("YHH", "token", "meter", f"{subject}_meter"),
        Field("DFNY", "month", form="%Y/%m"),
        Field("DJH", "text", "bill_no"),
        Field("CBRQ", "date", "read", DAY),
        Field("NYLB", "code", "supply", codes=SUPPLY),
        Field("SQZS", "number", "previous"),
        Field("BQZS", "number", "current"),
        Field("BQYL", "number", "consumption"),
        Field("GCBS", "code", "estimated", codes=YES_NO),
        Field("YSDF", "money", "bill", "FEN"),
        Field("JFQX", "date", "due", DAY),
        Field("SFRQ", "date", "paid", DAY),
        Field("DKBS", "code", "auto_debit", codes=YES_NO),
        Field("TGBS", "code", "cut", codes=YES_NO),
        Field("XZQH", "region"),
        Field("BZ", "remark"),
        Field("CSBS", "fixed", form="0"),
    )
    return Feed(
        adapter, "sim_city2_util", subject, "util_bill", "KHBH", fields, "utf-8", "\t",
        platform="second_city", twin=twin, test_flag="CSBS", bom=True,
    )  # fmt: skip


SECOND_CITY: tuple[Feed, ...] = (
    _bill("sim_city2_util_resident", RESIDENT, "sim_city_util_resident"),
    _bill("sim_city2_util_enterprise", ENTERPRISE, "sim_city_util_enterprise"),
)
