"""Unified social credit codes (统一社会信用代码, GB 32100-2015) and the organisation codes inside them (GB 11714-1997).

18 characters of 31 symbols, the last a check character: 31 - sum(value x 3^(i-1) mod 31) mod 31. Characters 9 to 17 are the
organisation code, which older systems write alone, as `74218321-3`. Of random 18-digit numbers 3.2 % pass the check, so a single
hit says nothing: a column is judged by the share of its different values.
"""

from __future__ import annotations

import re

_SYMBOLS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_VALUE = {symbol: value for value, symbol in enumerate(_SYMBOLS)}
_WEIGHTS = tuple(pow(3, place, 31) for place in range(17))
_FORM = re.compile(f"[0-9A-Z][0-9A-Z][0-9]{{6}}[{_SYMBOLS}]{{10}}")
_ORGANISATION = re.compile(r"[0-9A-Z]{8}[0-9X]")
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)


def check_character(body: str) -> str:
    """The 18th character for 17 symbols; ValueError for a symbol that the code doesn't have."""
    try:
        total = sum(weight * _VALUE[symbol] for weight, symbol in zip(_WEIGHTS, body, strict=True))
    except KeyError:
        raise ValueError("a social credit code has no I, O, S, V or Z") from None
    return _SYMBOLS[(31 - total % 31) % 31]


def is_social_credit_code(code: str) -> bool:
    """Whether 18 characters are a unified social credit code by form and check character."""
    return (
        _FORM.fullmatch(code) is not None
        and all(symbol in _VALUE for symbol in code)
        and code[17] == check_character(code[:17])
    )


def is_organisation_code(code: str) -> bool:
    """Whether 9 characters (no hyphen) are an organisation code: C9 = 11 - sum(weight x value) mod 11, X for 10, 0 for 11."""
    if _ORGANISATION.fullmatch(code) is None:
        return False
    values = [int(symbol) if symbol.isdigit() else ord(symbol) - 55 for symbol in code[:8]]
    check = 11 - sum(w * v for w, v in zip(_ORGANISATION_WEIGHTS, values, strict=True)) % 11
    return code[8] == {10: "X", 11: "0"}.get(check, str(check))


def organisation_code(code: str) -> str:
    """The organisation code inside a social credit code, or the code itself without its hyphen."""
    plain = code.replace("-", "")
    return plain[8:17] if len(plain) == 18 else plain
