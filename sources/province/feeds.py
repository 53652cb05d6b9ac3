"""The feeds of the province: which system sends which table, under which headers, codes, units and date forms.

Written as the sending systems would describe themselves, independently of the adapters that must read them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.subject import SubjectKind
from sources.province.bank_codes import ARMS, CONSENT_KINDS, EVENTS, PURPOSES, REASONS, SCOPES

#: A closed list as one system writes it: (local code, Chinese label) in the order that `Rows` index.
Codes = tuple[tuple[str, str], ...]

Platform = Literal["city", "second_city", "province", "bank"]

RESIDENT, ENTERPRISE = SubjectKind.RESIDENT, SubjectKind.ENTERPRISE


@dataclass(frozen=True)
class Field:
    """One source column. `kind`: token, code, money, number, whole, date, moment, text, or the constants month, first_day,
    last_day (of the month, `shift` months away), region, remark (nobody fills it in), fixed.

    `column` names the column of `Rows`; `form` is a date form, a money unit (FEN, CNY, CNY_10K), a pool of tokens, or the
    constant. `may_be_lost` marks amounts and codes without which a row still makes sense (fault F04 takes them away).
    """

    header: str
    kind: str
    column: str = ""
    form: str = ""
    codes: Codes = ()
    may_be_lost: bool = False
    shift: int = 0


@dataclass(frozen=True)
class Feed:
    """One (subject, table) feed; `key` is the header of the subject's pseudonym.

    `platform` says who sends it, `twin` which city feed tells the same truth; `key_version` whose key made its pseudonyms.
    `test_flag` is the header of the column that marks test rows. `sent_in`: months of the year in which anything is sent (none
    given: all).
    """

    adapter: str
    source: str
    subject: SubjectKind
    table: str
    key: str
    fields: tuple[Field, ...]
    encoding: str = "gb18030"
    delimiter: str = "|"
    platform: Platform = "city"
    twin: str = ""
    key_version: int = 1
    test_flag: str = "env_flag"
    bom: bool = False
    sent_in: tuple[int, ...] = ()

    @property
    def headers(self) -> tuple[str, ...]:
        """All headers in file order."""
        return (self.key, *(field.header for field in self.fields))

    @property
    def is_bank(self) -> bool:
        """Whether the bank itself sends it: one revision, and clean."""
        return self.platform == "bank"

    @property
    def truth(self) -> str:
        """The city feed whose truth it tells; its own name where it is that feed."""
        return self.twin or self.adapter

    def header(self, column: str) -> str:
        """The header under which a column of `Rows` is sent; StopIteration where it isn't."""
        return next(field.header for field in self.fields if field.column == column)

    def of_kind(self, *kinds: str) -> tuple[Field, ...]:
        """Its fields of these kinds."""
        return tuple(field for field in self.fields if field.kind in kinds)


YES_NO: Codes = (("0", "否"), ("1", "是"))
PENSION: Codes = (("110", "城镇职工基本养老保险"),)
PAY_STATUS: Codes = (("1", "正常缴费"), ("3", "补缴"), ("2", "中断"), ("4", "暂停缴费"))
INCOME: Codes = (("0101", "工资薪金所得"), ("0400", "劳务报酬所得"))
TAX_ITEM: Codes = (("10101", "增值税"), ("10104", "企业所得税"))
SUPPLY: Codes = (("01", "电力"),)
CHANNEL: Codes = (("1", "移动端"), ("2", "网站"), ("3", "大厅"), ("4", "自助终端"))
RESULT: Codes = (("1", "办结同意"), ("2", "办结不同意"), ("3", "申请人撤回"), ("0", "办理中"))
ROLE: Codes = (("1", "中标人"), ("2", "联合体"), ("3", "分包"))
#: Themes of services, without those that tell of health, poverty, disability, marriage or legal aid.
THEMES: Codes = tuple(
    (name, name)
    for name in (
        "社保查询",
        "公积金提取",
        "不动产登记",
        "机动车业务",
        "驾驶证业务",
        "户政业务",
        "出入境",
        "个税服务",
        "入学报名",
        "职业资格",
        "水电气过户",
        "营业执照办理",
        "税务登记",
        "公共文化",
        "住房租赁",
        "人才服务",
        "农机服务",
        "邮政快递",
    )
)


def city_fields(*fields: Field) -> tuple[Field, ...]:
    """The columns every table of the city's exchange ends with; `bz` is a remark that nobody fills in."""
    return (*fields, Field("xzqh", "region"), Field("bz", "remark"), Field("env_flag", "fixed", form="0"))


def _bill(subject: SubjectKind) -> tuple[Field, ...]:
    return city_fields(
        Field("hh", "token", "meter", f"{subject}_meter"),
        Field("zq", "month", form="%Y%m"),
        Field("ywlx", "code", "supply", codes=SUPPLY),
        Field("yl", "number", "consumption"),
        Field("gcbz", "code", "estimated", codes=YES_NO),
        Field("zdje", "money", "bill", "CNY"),
        Field("jzrq", "date", "due", "%Y-%m-%d"),
        Field("jfrq", "date", "paid", "%Y-%m-%d"),
        Field("dkbz", "code", "auto_debit", codes=YES_NO),
        Field("tgbz", "code", "cut", codes=YES_NO),
        Field("zdbh", "text", "bill_no"),
        Field("cbrq", "date", "read", "%Y-%m-%d"),
    )


CITY: tuple[Feed, ...] = (
    Feed(
        "sim_city_si_person",
        "sim_city_si",
        RESIDENT,
        "si_person_month",
        "grbh",
        city_fields(
            Field("fkssq", "month", form="%Y%m"),
            Field("xzlx", "code", "scheme", codes=PENSION),
            Field("dwbh", "token", "employer", "employer"),
            Field("jfzt", "code", "status", codes=PAY_STATUS),
            Field("jfjs", "money", "base", "CNY"),
            Field("grjfe", "money", "personal", "CNY", may_be_lost=True),
            Field("dwjfe", "money", "paid_by_employer", "CNY", may_be_lost=True),
            Field("dzbz", "code", "received", codes=YES_NO),
            Field("dyfkssq", "date", "money_for", "%Y%m"),
        ),
    ),
    Feed(
        "sim_city_si_employer",
        "sim_city_si",
        ENTERPRISE,
        "si_employer_month",
        "dwbh",
        city_fields(
            Field("fkssq", "month", form="%Y%m"),
            Field("xzlx", "code", "scheme", codes=PENSION),
            Field("cbrs", "whole", "insured"),
            Field("jsze", "money", "base", "CNY_10K"),
            Field("yjje", "money", "due", "CNY"),
            Field("sjje", "money", "paid", "CNY"),
        ),
    ),
    Feed(
        "sim_city_tax_iit",
        "sim_city_tax",
        RESIDENT,
        "tax_iit_withholding",
        "nsrbh",
        city_fields(
            Field("sbyf", "month", form="%Y-%m"),
            Field("kjywr", "token", "payer", "employer"),
            Field("sdxm", "code", "income", codes=INCOME),
            Field("sre", "money", "gross", "CNY"),
            Field("kjse", "money", "tax", "CNY", may_be_lost=True),
            Field("sbrq", "date", "filed", "%Y%m%d"),
        ),
    ),
    Feed(
        "sim_city_tax_vat",
        "sim_city_tax",
        ENTERPRISE,
        "tax_vat_return",
        "nsrbh",
        city_fields(
            Field("sbyf", "month", form="%Y-%m"),
            Field("ysxse", "money", "sales", "CNY"),
            Field("xxse", "money", "output_tax", "CNY", may_be_lost=True),
            Field("ynse", "money", "payable", "CNY"),
            Field("sbrq", "date", "filed", "%Y%m%d"),
            Field("jzrq", "date", "due", "%Y%m%d"),
            Field("lsbbz", "code", "zero", codes=YES_NO),
            Field("gzbz", "code", "amended", codes=YES_NO),
            Field("skssqq", "date", "from", "%Y%m%d"),
            Field("skssqz", "date", "to", "%Y%m%d"),
        ),
    ),
    Feed(
        "sim_city_tax_arrears",
        "sim_city_tax",
        ENTERPRISE,
        "tax_arrears",
        "nsrbh",
        city_fields(
            Field("tjyf", "month", form="%Y-%m"),
            Field("zsxm", "code", "item", codes=TAX_ITEM),
            Field("qsye", "money", "balance", "CNY"),
            Field("qsts", "whole", "age", may_be_lost=True),
        ),
    ),
    Feed("sim_city_util_resident", "sim_city_util", RESIDENT, "util_bill", "yhbh", _bill(RESIDENT)),
    Feed("sim_city_util_enterprise", "sim_city_util", ENTERPRISE, "util_bill", "yhbh", _bill(ENTERPRISE)),
    Feed(
        "sim_city_service",
        "sim_city_affairs",
        RESIDENT,
        "platform_service",
        "yhbs",
        city_fields(
            Field("ny", "month", form="%Y.%m"),
            Field("bjbh", "text", "case"),
            Field("fwzt", "code", "theme", codes=THEMES),
            Field("sqsj", "date", "applied", "%Y/%m/%d"),
            Field("bjqd", "code", "channel", codes=CHANNEL, may_be_lost=True),
            Field("bjjg", "code", "result", codes=RESULT),
        ),
    ),
    Feed(
        "sim_city_award",
        "sim_city_procurement",
        ENTERPRISE,
        "gov_award",
        "gysbh",
        city_fields(
            Field("ny", "month", form="%Y.%m"),
            Field("xmbh", "text", "award"),
            Field("zbje", "money", "value", "CNY_10K", may_be_lost=True),
            Field("gysjs", "code", "role", codes=ROLE, may_be_lost=True),
            Field("zbrq", "date", "awarded", "%Y%m%d"),
        ),
    ),
)


def _plain(*names: str) -> Codes:
    return tuple((name, name) for name in names)


TRUE_FALSE = _plain("false", "true")
FIVE_CLASS = _plain("normal", "special_mention", "substandard", "doubtful", "loss")
DEPOSITS = _plain("0", "<1k", "1k-10k", "10k-50k", "50k-200k", ">200k")
PRODUCT = {RESIDENT: _plain("consumer_unsec", "card"), ENTERPRISE: _plain("sme_unsec", "sme_secured")}


def _bank(subject: SubjectKind) -> tuple[Feed, ...]:
    """The bank's own systems: UTF-8, commas, English headers, ISO dates."""
    month, day = Field("month", "month", form="%Y-%m"), "%Y-%m-%d"
    tables: dict[str, tuple[Field, ...]] = {
        "bk_account_month": (
            Field("account_token", "token", "account", f"{subject}_account"),
            month,
            Field("product", "code", "product", codes=PRODUCT[subject]),
            Field("balance", "money", "balance", "CNY"),
            Field("dpd", "whole", "dpd"),
            Field("max_dpd_in_month", "whole", "worst_dpd"),
            Field("five_class", "code", "five_class", codes=FIVE_CLASS),
            Field("written_off", "code", "written_off", codes=TRUE_FALSE),
            Field("months_on_book", "whole", "months_on_book"),
        ),
        "bk_customer": (
            month,
            Field("is_customer", "code", "is_customer", codes=TRUE_FALSE),
            Field("branch", "text", "branch"),
            Field("deposit_band", "code", "deposits", codes=DEPOSITS),
        ),
        "consent_register": (
            month,
            Field("consent_id", "text", "consent"),
            Field("purpose", "code", "purpose", codes=_plain(*PURPOSES)),
            Field("kind", "code", "kind", codes=_plain(*CONSENT_KINDS)),
            Field("granted_on", "date", "granted", day),
            Field("valid_to", "date", "valid_to", day),
            Field("withdrawn_on", "date", "withdrawn", day),
        ),
        "suppression": (
            month,
            Field("scope", "code", "scope", codes=_plain(*SCOPES)),
            Field("reason", "code", "reason", codes=_plain(*REASONS)),
            Field("from_date", "date", "since", day),
            Field("to_date", "date", "until", day),
        ),
        "mk_assignment": (
            month,
            Field("campaign_id", "text", "campaign"),
            Field("arm", "code", "arm", codes=_plain(*ARMS)),
            Field("assigned_date", "date", "assigned", day),
            Field("probability", "number", "probability"),
        ),
        "mk_response": (
            month,
            Field("campaign_id", "text", "campaign"),
            Field("event", "code", "event", codes=_plain(*EVENTS)),
            Field("event_date", "date", "day", day),
            Field("event_id", "text", "event_id"),
        ),
    }
    return tuple(
        Feed(
            f"sim_bank_{table}_{subject}",
            "sim_bank",
            subject,
            table,
            "subject_token",
            fields,
            "utf-8",
            ",",
            platform="bank",
        )
        for table, fields in tables.items()
    )


FEEDS: tuple[Feed, ...] = CITY + _bank(RESIDENT) + _bank(ENTERPRISE)
TABLES: frozenset[str] = frozenset(feed.table for feed in FEEDS)
