"""One form for every way in which an identifier is written: full-width digits, blanks, hyphens, small letters, 15 digits."""

from __future__ import annotations

import re
import unicodedata

from sources.identity.enterprise_id import is_organisation_code, is_social_credit_code
from sources.identity.resident_id import eighteen_digits, is_resident_id

_BETWEEN = re.compile(r"[\s\-\u2010-\u2015\u2212\u200b\ufeff.·_/]+")


def one_form(written: str) -> str:
    """NFKC, without blanks, hyphens, dots and slashes, in capitals; `74218321-3` and `７４２１８３２１３` are one."""
    return _BETWEEN.sub("", unicodedata.normalize("NFKC", written)).upper()


def resident(written: str) -> tuple[str, str]:
    """(normal form, kind): `resident_18` and `resident_15` (extended to 18 digits) are valid, `unknown` isn't."""
    plain = one_form(written)
    if is_resident_id(plain):
        return plain, "resident_18"
    extended = eighteen_digits(plain)
    if extended != plain and is_resident_id(extended):
        return extended, "resident_15"
    return plain, "unknown"


def enterprise(written: str) -> tuple[str, str]:
    """(normal form, kind): `social_credit_code`, `organisation_code`, `taxpayer_number` (15 or 20 digits), else `unknown`.

    A 15-digit taxpayer number is the region and the organisation code; a code of 18 and the 9 inside it stay two identifiers:
    only a crosswalk can say that they are one firm.
    """
    plain = one_form(written)
    if is_social_credit_code(plain):
        return plain, "social_credit_code"
    if is_organisation_code(plain):
        return plain, "organisation_code"
    if re.fullmatch(r"[0-9]{6}[0-9A-Z]{9}|[0-9]{20}", plain):
        return plain, "taxpayer_number"
    return plain, "unknown"
