"""What the city's offices send beside the core sources, in the city's dialect: records of firms (`FIRM_RECORDS`), scenes of
residents' lives (`CITY_SCENES`), payments, arrears and changes of state (`PAYMENTS`). Each only where the settings ask for it."""

from __future__ import annotations

from core.subject import SubjectKind
from sources.province.feeds import (
    ENTERPRISE,
    PENSION,
    RESIDENT,
    TAX_ITEM,
    YES_NO,
    Codes,
    Feed,
    Field,
    city_fields,
)

GRADE: Codes = (("A", "A级"), ("B", "B级"), ("M", "M级"), ("C", "C级"), ("D", "D级"))
RULES: Codes = (("2014", "2014年办法"), ("2025", "2025年办法"))
TAX_EVENT: Codes = (("1", "非正常户"), ("2", "逾期申报处罚"), ("3", "重大税收违法"), ("4", "发票限制"))
LISTING: Codes = (("01", "经营异常名录"), ("02", "严重违法失信"), ("03", "失信被执行人"), ("04", "行政处罚"))
RETURN: Codes = (("1", "季度预缴"), ("2", "年度汇算清缴"))
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
PAYMENT_KIND: Codes = (("1", "正税"), ("2", "滞纳金"), ("3", "罚款"), ("4", "退税"))
PAY_CHANNEL: Codes = (("1", "代扣"), ("2", "手机应用"), ("3", "营业厅"), ("4", "第三方支付"), ("5", "银行"))
STATE: Codes = (("1", "存续"), ("2", "吊销"), ("3", "注销"), ("4", "迁出"))
ENROLMENT: Codes = (("1", "参保"), ("2", "暂停"), ("3", "终止"))


def _arrears(subject: SubjectKind) -> Feed:
    return Feed(
        f"sim_city_util_arrears_{subject}", "sim_city_util", subject, "util_arrears_month", "yhbh",
        city_fields(
            Field("ny", "month", form="%Y%m"),
            Field("hh", "token", "meter", f"{subject}_meter"),
            Field("qfqs", "whole", "terms"),
            Field("qfje", "money", "amount", "CNY"),
            Field("wyj", "money", "late_fee", "CNY"),
        ),
    )  # fmt: skip


FIRM_RECORDS: tuple[Feed, ...] = (
    Feed(
        "sim_city_tax_rating", "sim_city_tax", ENTERPRISE, "tax_credit_rating", "nsrbh",
        city_fields(
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
        city_fields(
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
        city_fields(
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
        city_fields(
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
        city_fields(
            Field("ny", "month", form="%Y%m"),
            Field("jlbh", "text", "event"),
            Field("jllx", "code", "kind", codes=LISTING),
            Field("lrrq", "date", "day", "%Y-%m-%d"),
            Field("ycrq", "date", "removed", "%Y-%m-%d"),
            Field("cfje", "money", "amount", "CNY_10K"),
        ),
    ),
)  # fmt: skip

CITY_SCENES: tuple[Feed, ...] = (
    Feed(
        "sim_city_login", "sim_city_affairs", RESIDENT, "platform_login_day", "yhbs",
        city_fields(
            Field("ny", "month", form="%Y.%m"),
            Field("dlrq", "date", "day", "%Y/%m/%d"),
            Field("ptbm", "fixed", form="4301"),
            Field("dlcs", "whole", "sessions"),
            Field("smdj", "code", "level", codes=LEVEL, may_be_lost=True),
        ),
    ),
    Feed(
        "sim_city_violation", "sim_city_traffic", RESIDENT, "veh_violation", "jsrdh",
        city_fields(
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
        city_fields(
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
        city_fields(
            Field("tgbh", "text", "event"),
            Field("hh", "token", "meter", f"{RESIDENT}_meter"),
            Field("ny", "month", form="%Y%m"),
            Field("tgrq", "date", "cut", "%Y-%m-%d"),
            Field("fdrq", "date", "restored", "%Y-%m-%d"),
            Field("tgyy", "code", "reason", codes=CUT_REASON),
        ),
    ),
)  # fmt: skip

PAYMENTS: tuple[Feed, ...] = (
    Feed(
        "sim_city_tax_payment", "sim_city_tax", ENTERPRISE, "tax_payment", "nsrbh",
        city_fields(
            Field("ny", "month", form="%Y-%m"),
            Field("pzbh", "text", "voucher"),
            Field("zsxm", "code", "item", codes=TAX_ITEM),
            Field("kxlx", "code", "kind", codes=PAYMENT_KIND),
            Field("sjje", "money", "amount", "CNY"),
            Field("skssqq", "date", "from", "%Y%m%d"),
            Field("skssqz", "date", "to", "%Y%m%d"),
            Field("rkrq", "date", "posted", "%Y%m%d"),
        ),
    ),
    Feed(
        "sim_city_util_payment", "sim_city_util", ENTERPRISE, "util_payment", "yhbh",
        city_fields(
            Field("ny", "month", form="%Y%m"),
            Field("pjh", "text", "receipt"),
            Field("zdbh", "text", "bill_no"),
            Field("jfrq", "date", "day", "%Y-%m-%d"),
            Field("jfje", "money", "amount", "CNY"),
            Field("jfqd", "code", "channel", codes=PAY_CHANNEL, may_be_lost=True),
        ),
    ),
    _arrears(RESIDENT),
    _arrears(ENTERPRISE),
    Feed(
        "sim_city_register", "sim_city_market", ENTERPRISE, "reg_enterprise", "qybh",
        city_fields(
            Field("ny", "month", form="%Y%m"),
            Field("djzt", "code", "state", codes=STATE),
            Field("clrq", "date", "established", "%Y-%m-%d"),
            Field("zczb", "money", "capital", "CNY_10K"),
            Field("bgrq", "date", "valid_from", "%Y-%m-%d"),
        ),
    ),
    Feed(
        "sim_city_si_status", "sim_city_si", RESIDENT, "si_person_status", "grbh",
        city_fields(
            Field("ny", "month", form="%Y%m"),
            Field("xzlx", "code", "scheme", codes=PENSION),
            Field("cbzt", "code", "status", codes=ENROLMENT),
            Field("dwbh", "token", "employer", "employer"),
            Field("lhjy", "code", "flexible", codes=YES_NO),
            Field("bdrq", "date", "valid_from", "%Y%m%d"),
        ),
    ),
    Feed(
        "sim_city_school_fee", "sim_city_edu", RESIDENT, "edu_fee_payment", "jfrdh",
        city_fields(
            Field("kdny", "month", form="%Y%m"),
            Field("sjh", "text", "receipt"),
            Field("xxdm", "text", "school"),
            Field("xq", "text", "term"),
            Field("yjje", "money", "bill", "FEN"),
            Field("sjje", "money", "paid", "FEN"),
            Field("jzrq", "date", "due", "%Y%m%d"),
            Field("jfsj", "moment", "paid_at", "%Y-%m-%d %H:%M:%S"),
            Field("fqbz", "code", "instalment", codes=YES_NO),
        ),
        # Schools are paid by the term; in between nothing is sent.
        sent_in=(3, 9),
    ),
    Feed(
        "sim_city_vehicle", "sim_city_traffic", RESIDENT, "veh_registration", "syrdh",
        city_fields(
            Field("ny", "month", form="%Y%m"),
            Field("cldh", "token", "vehicle", f"{RESIDENT}_vehicle"),
            Field("yybz", "code", "commercial", codes=YES_NO),
            Field("dybz", "code", "mortgaged", codes=YES_NO),
            Field("djrq", "date", "registered", "%Y%m%d"),
        ),
    ),
)  # fmt: skip
