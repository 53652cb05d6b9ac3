"""The fields that tables belong to: tax, social insurance, utilities and so on."""

from __future__ import annotations

from enum import StrEnum

from core.definition_file import Bilingual


class Domain(StrEnum):
    """The field that a table belongs to, in the order of the dictionary page."""

    TAX = "tax"
    SOCIAL_INSURANCE = "social_insurance"
    UTILITIES = "utilities"
    NON_TAX = "non_tax"
    EDUCATION = "education"
    PUBLIC_SECURITY = "public_security"
    VEHICLES = "vehicles"
    PLATFORM = "platform"
    REGISTERS = "registers"
    BANK = "bank"
    MARKETING = "marketing"
    GOVERNANCE = "governance"

    @property
    def label(self) -> Bilingual:
        """The field's name in both languages."""
        return _DOMAINS[self]


_DOMAINS = {
    Domain.TAX: Bilingual(zh="税务", en="Tax"),
    Domain.SOCIAL_INSURANCE: Bilingual(zh="社会保险与公积金", en="Social insurance and housing fund"),
    Domain.UTILITIES: Bilingual(zh="水电气", en="Utilities"),
    Domain.NON_TAX: Bilingual(zh="非税收入", en="Non-tax fees"),
    Domain.EDUCATION: Bilingual(zh="教育缴费", en="School fees"),
    Domain.PUBLIC_SECURITY: Bilingual(zh="公安核验", en="Public security checks"),
    Domain.VEHICLES: Bilingual(zh="车辆", en="Vehicles"),
    Domain.PLATFORM: Bilingual(zh="政务平台", en="Government service platform"),
    Domain.REGISTERS: Bilingual(zh="登记与政府采购", en="Registers and public contracts"),
    Domain.BANK: Bilingual(zh="银行自有", en="The bank's own"),
    Domain.MARKETING: Bilingual(zh="营销", en="Marketing"),
    Domain.GOVERNANCE: Bilingual(zh="授权与治理", en="Consent and governance"),
}
