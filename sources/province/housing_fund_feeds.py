"""The housing fund in both dialects. Sent only where the settings ask for it (`housing_fund`)."""

from __future__ import annotations

from sources.province.feeds import ENTERPRISE, RESIDENT, Codes, Feed, Field, city_fields
from sources.province.province_feeds import province_feed

#: Account status as the city and as the national standard write it.
CITY_STATUS: Codes = (("0", "正常"), ("1", "封存"))
STATUS: Codes = (("01", "正常"), ("02", "封存"))


HOUSING_FUND: tuple[Feed, ...] = (
    Feed(
        "sim_city_hpf_person", "sim_city_hpf", RESIDENT, "hpf_person_month", "grzh",
        city_fields(
            Field("jcny", "month", form="%Y%m"),
            Field("dwzh", "token", "employer", "employer"),
            Field("zhzt", "code", "status", codes=CITY_STATUS),
            Field("jcjs", "money", "base", "CNY", may_be_lost=True),
            Field("dwbl", "number", "employer_rate"),
            Field("grbl", "number", "person_rate"),
            Field("yjce", "money", "month_amount", "CNY", may_be_lost=True),
            Field("jzny", "date", "paid_to", "%Y%m"),
            Field("zhye", "money", "balance", "CNY", may_be_lost=True),
        ),
    ),
    Feed(
        "sim_city_hpf_employer", "sim_city_hpf", ENTERPRISE, "hpf_employer_month", "dwzh",
        city_fields(
            Field("hjny", "month", form="%Y%m"),
            Field("hjje", "money", "paid", "CNY_10K"),
            Field("hjrs", "whole", "payers"),
            Field("dzrq", "date", "paid_on", "%Y-%m-%d"),
        ),
    ),
    province_feed(
        "sim_prov_hpf_person", "sim_prov_hpf", RESIDENT, "hpf_person_month", "GRZH", "sim_city_hpf_person",
        Field("JCNY", "month", form="%Y%m"),
        Field("DWZH", "token", "employer", "employer"),
        Field("GRZHZT", "code", "status", codes=STATUS),
        Field("GRJCJS", "money", "base", "CNY", may_be_lost=True),
        Field("DWJCBL", "number", "employer_rate"),
        Field("GRJCBL", "number", "person_rate"),
        Field("YJCE", "money", "month_amount", "CNY", may_be_lost=True),
        Field("JZNY", "date", "paid_to", "%Y-%m"),
        Field("GRZHYE", "money", "balance", "CNY", may_be_lost=True),
    ),
    province_feed(
        "sim_prov_hpf_employer", "sim_prov_hpf", ENTERPRISE, "hpf_employer_month", "DWZH", "sim_city_hpf_employer",
        Field("HJNY", "month", form="%Y%m"),
        Field("FSE", "money", "paid", "CNY"),
        Field("FSRS", "whole", "payers"),
        Field("RZRQ", "date", "paid_on", "%Y%m%d"),
    ),
)  # fmt: skip
