"""The provincial platform's feeds: the cities' truth for the core sources under national codes, re-keyed, and later.

What is other than in a city's feed (domain.md 2.1): UTF-8 with commas, headers of the national standards, the three-digit
edition of codes alone, yuan throughout, both the month that booked a contribution and the month it is for, and what the
platform did with each row since it last sent it (`opFlag`: I new, U changed, D withdrawn).
"""

from __future__ import annotations

from core.subject import SubjectKind
from sources.province.feeds import ENTERPRISE, RESIDENT, Codes, Feed, Field

DAY = "%Y-%m-%d"
OPERATION: Codes = (("I", "新增"), ("U", "变更"), ("D", "删除"))
SCHEME: Codes = (("110", "企业职工基本养老保险"),)
#: AAC031, payment status, with the two states that cities write as codes of their own.
PAYMENT: Codes = (("10", "正常缴费"), ("20", "补缴"), ("30", "中断"), ("40", "暂停缴费"))
INCOME: Codes = (("0101", "正常工资薪金"), ("0400", "一般劳务报酬"))
TAX_ITEM: Codes = (("10101", "增值税"), ("10104", "企业所得税"))
SUPPLY: Codes = (("1", "电"),)
YES_NO: Codes = (("N", "否"), ("Y", "是"))


def province_feed(
    adapter: str, source: str, subject: SubjectKind, table: str, key: str, twin: str, *fields: Field
) -> Feed:
    """A feed of the provincial platform; `twin` is the city's that tells the same truth."""
    ends = (
        Field("XZQHDM", "region"),
        Field("opFlag", "code", "operation", codes=OPERATION),
        Field("BZ", "remark"),
        Field("isTest", "fixed", form="0"),
    )
    return Feed(
        adapter, source, subject, table, key, (*fields, *ends), "utf-8", ",",
        platform="province", twin=twin, key_version=2, test_flag="isTest",
    )  # fmt: skip


def _bill(adapter: str, subject: SubjectKind, twin: str) -> Feed:
    return province_feed(
        adapter, "sim_prov_util", subject, "util_bill", "custNo", twin,
        Field("consNo", "token", "meter", f"{subject}_meter"),
        Field("billYm", "month", form="%Y%m"),
        Field("billNo", "text", "bill_no"),
        Field("readDate", "date", "read", DAY),
        Field("energyType", "code", "supply", codes=SUPPLY),
        Field("lastReading", "number", "previous"),
        Field("thisReading", "number", "current"),
        Field("totalQty", "number", "consumption"),
        Field("estFlag", "code", "estimated", codes=YES_NO),
        Field("recvAmt", "money", "bill", "FEN"),
        Field("dueDate", "date", "due", DAY),
        Field("payDate", "date", "paid", DAY),
        Field("autoDebit", "code", "auto_debit", codes=YES_NO),
        Field("cutFlag", "code", "cut", codes=YES_NO),
    )  # fmt: skip


PROVINCE: tuple[Feed, ...] = (
    province_feed(
        "sim_prov_si_person", "sim_prov_si", RESIDENT, "si_person_month", "AAC001", "sim_city_si_person",
        Field("AAE002", "month", form="%Y%m"),
        Field("AAE003", "date", "money_for", "%Y%m"),
        Field("AAE140", "code", "scheme", codes=SCHEME),
        Field("AAB001", "token", "employer", "employer"),
        Field("AAC031", "code", "status", codes=PAYMENT),
        Field("AAE180", "money", "base", "CNY"),
        Field("AAE020", "money", "personal", "CNY", may_be_lost=True),
        Field("AAE021", "money", "paid_by_employer", "CNY", may_be_lost=True),
    ),
    province_feed(
        "sim_prov_si_employer", "sim_prov_si", ENTERPRISE, "si_employer_month", "AAB001", "sim_city_si_employer",
        Field("AAE002", "month", form="%Y%m"),
        Field("AAE003", "month", form="%Y%m", shift=-1),
        Field("AAE140", "code", "scheme", codes=SCHEME),
        Field("AAB083", "whole", "insured"),
        Field("AAB121", "money", "base", "CNY"),
        Field("AAE058", "money", "due", "CNY"),
        Field("AAE080", "money", "paid", "CNY"),
    ),
    province_feed(
        "sim_prov_tax_vat", "sim_prov_tax", ENTERPRISE, "tax_vat_return", "NSRSBH", "sim_city_tax_vat",
        Field("SBNY", "month", form="%Y%m"),
        Field("SKSSQQ", "date", "from", DAY),
        Field("SKSSQZ", "date", "to", DAY),
        Field("YSXSE", "money", "sales", "CNY"),
        Field("XXSE", "money", "output_tax", "CNY", may_be_lost=True),
        Field("YNSE", "money", "payable", "CNY"),
        Field("SBRQ", "date", "filed", DAY),
        Field("SBQX", "date", "due", DAY),
        Field("LSBBZ", "code", "zero", codes=YES_NO),
        Field("GZBZ", "code", "amended", codes=YES_NO),
    ),
    province_feed(
        "sim_prov_tax_arrears", "sim_prov_tax", ENTERPRISE, "tax_arrears", "NSRSBH", "sim_city_tax_arrears",
        Field("TJNY", "month", form="%Y%m"),
        Field("ZSXM_DM", "code", "item", codes=TAX_ITEM),
        Field("QSYE", "money", "balance", "CNY"),
        Field("QSTS", "whole", "age", may_be_lost=True),
    ),
    province_feed(
        "sim_prov_tax_iit", "sim_prov_tax", RESIDENT, "tax_iit_withholding", "NSRSBH", "sim_city_tax_iit",
        Field("SBNY", "month", form="%Y%m"),
        Field("KJYWRSBH", "token", "payer", "employer"),
        Field("SDXM_DM", "code", "income", codes=INCOME),
        Field("SRE", "money", "gross", "CNY"),
        Field("KJSE", "money", "tax", "CNY", may_be_lost=True),
        Field("SBRQ", "date", "filed", DAY),
    ),
    _bill("sim_prov_util_resident", RESIDENT, "sim_city_util_resident"),
    _bill("sim_prov_util_enterprise", ENTERPRISE, "sim_city_util_enterprise"),
)  # fmt: skip
