"""Records of firms at tax offices and registers, in the city's dialect. Sent only where the settings ask for `firm_records`."""

from __future__ import annotations

from sources.province.feeds import ENTERPRISE, YES_NO, Codes, Feed, Field

GRADE: Codes = (("A", "A级"), ("B", "B级"), ("M", "M级"), ("C", "C级"), ("D", "D级"))
RULES: Codes = (("2014", "2014年办法"), ("2025", "2025年办法"))
TAX_EVENT: Codes = (("1", "非正常户"), ("2", "逾期申报处罚"), ("3", "重大税收违法"), ("4", "发票限制"))
LISTING: Codes = (("01", "经营异常名录"), ("02", "严重违法失信"), ("03", "失信被执行人"), ("04", "行政处罚"))
RETURN: Codes = (("1", "季度预缴"), ("2", "年度汇算清缴"))


def _city(*fields: Field) -> tuple[Field, ...]:
    return (*fields, Field("xzqh", "region"), Field("bz", "remark"), Field("env_flag", "fixed", form="0"))


FIRM_RECORDS: tuple[Feed, ...] = (
    Feed(
        "sim_city_tax_rating", "sim_city_tax", ENTERPRISE, "tax_credit_rating", "nsrbh",
        _city(
            Field("ny", "month", form="%Y-%m"),
            Field("pjnd", "whole", "year"),
            Field("xyjb", "code", "grade", codes=GRADE),
            Field("pjdf", "text", "score"),
            Field("pjbf", "code", "rules", codes=RULES),
            Field("zjpd", "code", "direct_d", codes=YES_NO),
            Field("pjrq", "date", "evaluated", "%Y%m%d"),
            Field("yxqq", "date", "valid_from", "%Y%m%d"),
            Field("yxqz", "date", "valid_to", "%Y%m%d"),
        ),
    ),
    Feed(
        "sim_city_tax_event", "sim_city_tax", ENTERPRISE, "tax_event", "nsrbh",
        _city(
            Field("ny", "month", form="%Y-%m"),
            Field("sjbh", "text", "event"),
            Field("sjlx", "code", "kind", codes=TAX_EVENT),
            Field("rdrq", "date", "day", "%Y%m%d"),
            Field("jcrq", "date", "removed", "%Y%m%d"),
            Field("cfje", "money", "amount", "CNY"),
        ),
    ),
    Feed(
        "sim_city_tax_inspection", "sim_city_tax", ENTERPRISE, "tax_inspection", "nsrbh",
        _city(
            Field("ny", "month", form="%Y-%m"),
            Field("ajbh", "text", "case"),
            Field("larq", "date", "opened", "%Y%m%d"),
            Field("jarq", "date", "closed", "%Y%m%d"),
            Field("cbje", "money", "recovered", "CNY"),
            Field("fkje", "money", "penalty", "CNY"),
            Field("yssf", "code", "judicial", codes=YES_NO),
        ),
    ),
    Feed(
        "sim_city_tax_cit", "sim_city_tax", ENTERPRISE, "tax_cit_return", "nsrbh",
        _city(
            Field("sbyf", "month", form="%Y-%m"),
            Field("skssqz", "date", "to", "%Y%m%d"),
            Field("sblx", "code", "kind", codes=RETURN),
            Field("yysr", "money", "revenue", "CNY"),
            Field("lrze", "money", "profit", "CNY"),
            Field("ynssde", "money", "taxable", "CNY"),
            Field("ynsdse", "money", "payable", "CNY"),
            # This platform states balance sheets in 万元.
            Field("zcze", "money", "assets", "CNY_10K"),
            Field("fzze", "money", "debts", "CNY_10K"),
            Field("cyrs", "whole", "staff"),
        ),
    ),
    Feed(
        "sim_city_adverse", "sim_city_market", ENTERPRISE, "reg_adverse", "qybh",
        _city(
            Field("ny", "month", form="%Y%m"),
            Field("jlbh", "text", "event"),
            Field("jllx", "code", "kind", codes=LISTING),
            Field("lrrq", "date", "day", "%Y-%m-%d"),
            Field("ycrq", "date", "removed", "%Y-%m-%d"),
            Field("cfje", "money", "amount", "CNY_10K"),
        ),
    ),
)  # fmt: skip
