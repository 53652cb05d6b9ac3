"""What the words of a contract are called by people, in both languages."""

from __future__ import annotations

from core.definition_file import Bilingual
from core.table_schema import ColumnType
from expectations.contract import ContractColumn

CADENCES = {
    "daily": Bilingual(zh="每日", en="daily"),
    "weekly": Bilingual(zh="每周", en="weekly"),
    "monthly": Bilingual(zh="每月", en="monthly"),
    "quarterly": Bilingual(zh="每季", en="quarterly"),
    "annual": Bilingual(zh="每年", en="yearly"),
    "event": Bilingual(zh="发生即送", en="as it happens"),
    "batch": Bilingual(zh="按批次", en="by batch"),
}
LEGAL_CHANNELS = {
    "subject_authorised_query": Bilingual(
        zh="主体授权查询（银税互动等）", en="Query authorised by the subject"
    ),
    "licensed_credit_bureau": Bilingual(zh="持牌征信机构", en="Licensed credit bureau"),
    "authorised_public_data_operation": Bilingual(
        zh="公共数据授权运营", en="Authorised operation of public data"
    ),
    "credit_platform": Bilingual(zh="融资信用服务平台", en="Credit service platform"),
    "payment_service_byproduct": Bilingual(zh="代收付服务产生", en="Comes with the bank's payment service"),
    "bank_own": Bilingual(zh="银行自有", en="The bank's own"),
}
CONSENT_KINDS = {
    "none": Bilingual(zh="无须同意", en="none needed"),
    "notice": Bilingual(zh="告知", en="notice"),
    "general": Bilingual(zh="一般同意", en="general consent"),
    "separate": Bilingual(zh="单独同意", en="separate consent"),
    "written": Bilingual(zh="书面同意", en="written consent"),
}
DATA_CLASSES = {
    "general": Bilingual(zh="一般", en="general"),
    "quasi_id": Bilingual(zh="准标识", en="quasi-identifier"),
    "sensitive": Bilingual(zh="敏感", en="sensitive"),
    "pseudonym": Bilingual(zh="假名", en="pseudonym"),
}
PURPOSES = {
    "risk": Bilingual(zh="风险", en="risk"),
    "marketing": Bilingual(zh="营销", en="marketing"),
    "evaluation": Bilingual(zh="评价", en="evaluation"),
    "migration_check": Bilingual(zh="迁移核对", en="migration check"),
}
OWNERS = {
    "resident": Bilingual(zh="居民", en="residents"),
    "enterprise": Bilingual(zh="企业", en="enterprises"),
    "shared": Bilingual(zh="不涉及主体", en="about no subject"),
}
KEEPERS = {
    "data-engineering": Bilingual(zh="数据工程", en="data engineering"),
    "risk": Bilingual(zh="风险管理", en="risk"),
    "marketing": Bilingual(zh="营销", en="marketing"),
    "data-protection": Bilingual(zh="个人信息保护", en="data protection"),
}
TYPES = {
    ColumnType.STRING: Bilingual(zh="文本", en="text"),
    ColumnType.CODE: Bilingual(zh="代码", en="code"),
    ColumnType.MONEY: Bilingual(zh="金额", en="amount"),
    ColumnType.INT: Bilingual(zh="整数", en="whole number"),
    ColumnType.LONG: Bilingual(zh="整数（64位）", en="whole number (64 bits)"),
    ColumnType.FLOAT: Bilingual(zh="小数", en="number"),
    ColumnType.BOOL: Bilingual(zh="是否", en="yes or no"),
    ColumnType.DATE: Bilingual(zh="日期", en="date"),
    ColumnType.MONTH: Bilingual(zh="年月", en="month"),
    ColumnType.SUBJECT: Bilingual(zh="主体代号", en="pseudonym"),
    ColumnType.TIME: Bilingual(zh="时刻", en="moment"),
}
UNITS = {
    "CNY": "元",
    "fen": "分",
    "days": "天",
    "months": "个月",
    "persons": "人",
    "rows": "笔",
    "points": "分值",
    "invoices": "份",
    "cycles": "期",
    "kWh or m3": "千瓦时或立方米",
    "kVA": "千伏安",
    "annual": "年化",
    "leads": "条",
    "share": "比例",
}


def unit(column: ContractColumn) -> Bilingual:
    """The unit's name; empty where there is none."""
    return Bilingual(zh=UNITS.get(column.unit, column.unit), en=column.unit)


def limits(column: ContractColumn) -> str:
    """The range as people write it: `0 – 5,000,000,000`, `≥ 1`; empty where there is none."""
    low, high = (_number(limit) for limit in (column.minimum, column.maximum))
    if low and high:
        return f"{low} – {high}"
    return f"≥ {low}" if low else f"≤ {high}" if high else ""


def _number(limit: float | None) -> str:
    return "" if limit is None else f"{limit:,.12g}"
