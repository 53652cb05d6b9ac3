"""What the city's other offices send: log-ins, traffic fines, fees and fines, disconnections. Sent only where the settings ask
for it (`city_scenes`)."""

from __future__ import annotations

from sources.province.feeds import RESIDENT, Codes, Feed, Field

CATEGORY: Codes = (
    ("1", "行政事业性收费"),
    ("2", "政府性基金"),
    ("3", "罚没收入"),
    ("4", "国有资源有偿使用"),
    ("9", "其他"),
)
STATUS: Codes = (("0", "已开单"), ("1", "已缴款"), ("2", "已作废"), ("3", "已退付"))
LEVEL: Codes = (("0", "未实名"), ("1", "基础实名"), ("2", "人脸核验"), ("3", "银行卡核验"))
CUT_REASON: Codes = (("1", "欠费"), ("2", "用户申请"), ("3", "安全隐患"), ("4", "违约用电"))


def _city(*fields: Field) -> tuple[Field, ...]:
    return (*fields, Field("xzqh", "region"), Field("bz", "remark"), Field("env_flag", "fixed", form="0"))


CITY_SCENES: tuple[Feed, ...] = (
    Feed(
        "sim_city_login", "sim_city_affairs", RESIDENT, "platform_login_day", "yhbs",
        _city(
            Field("ny", "month", form="%Y.%m"),
            Field("dlrq", "date", "day", "%Y/%m/%d"),
            Field("ptbm", "fixed", form="4301"),
            Field("dlcs", "whole", "sessions"),
            Field("smdj", "code", "level", codes=LEVEL, may_be_lost=True),
        ),
    ),
    Feed(
        "sim_city_violation", "sim_city_traffic", RESIDENT, "veh_violation", "jsrdh",
        _city(
            Field("tjny", "month", form="%Y%m"),
            Field("wfbh", "text", "event"),
            Field("wfrq", "date", "day", "%Y%m%d"),
            Field("wfjfs", "whole", "points"),
            Field("fkje", "money", "fine", "CNY", may_be_lost=True),
            Field("jkrq", "date", "paid", "%Y%m%d"),
        ),
    ),
    Feed(
        "sim_city_nontax_bill", "sim_city_finance", RESIDENT, "nontax_bill", "jkrdh",
        _city(
            Field("kdny", "month", form="%Y%m"),
            Field("jkm", "text", "pay_code"),
            Field("zsdw", "text", "unit"),
            Field("xmbm", "text", "item"),
            Field("srlb", "code", "category", codes=CATEGORY),
            Field("yjje", "money", "due_amount", "CNY"),
            Field("kdrq", "date", "issued", "%Y%m%d"),
            Field("jzrq", "date", "due", "%Y%m%d"),
            Field("zt", "code", "status", codes=STATUS),
        ),
    ),
    Feed(
        "sim_city_util_cut", "sim_city_util", RESIDENT, "util_disconnection", "yhbh",
        _city(
            Field("tgbh", "text", "event"),
            Field("hh", "token", "meter", f"{RESIDENT}_meter"),
            Field("ny", "month", form="%Y%m"),
            Field("tgrq", "date", "cut", "%Y-%m-%d"),
            Field("fdrq", "date", "restored", "%Y-%m-%d"),
            Field("tgyy", "code", "reason", codes=CUT_REASON),
        ),
    ),
)  # fmt: skip
