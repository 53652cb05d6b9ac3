"""Numbers inside other text, however they are written: blanks or hyphens between digits, full width, Chinese numerals, JSON,
base64 or hexadecimal.

One RE2 pass over all texts finds those that are worth a closer look; Python judges these few.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sources.identity import numbers
from sources.identity.clues import CARD, PHONE, RANDOM_RESIDENT, RESIDENT, SHORT_RESIDENT, USCC, Clue, Kind

#: What may stand between two digits: blanks (also of no width), hyphens and dashes, dots, slashes.
_GAP = (
    "[\\s\u00a0\u00ad\u2000-\u200f\u2060\u3000\ufeff\\-\u2010-\u2015\u2212\uff0d_.\u00b7\u30fb/\uff0f]{0,3}"
)
_DIGIT = "[0-9]"
_DATED = _GAP.join(
    [
        *(_DIGIT for _ in range(6)),
        f"(?:1{_GAP}9|2{_GAP}0)",
        _DIGIT,
        _DIGIT,
        f"(?:0{_GAP}[1-9]|1{_GAP}[0-2])",
        f"(?:0{_GAP}[1-9]|[12]{_GAP}[0-9]|3{_GAP}[01])",
        *(_DIGIT for _ in range(3)),
        "[0-9Xx]",
    ]
)
_SEVENTEEN = f"[0-9](?:{_GAP}[0-9]){{16}}"
_OTHER_DIGITS = "[^\\P{Nd}0-9]{3}"
_PHONE_FORM = "1[3-9]\\d[\\s-]?\\d{4}[\\s-]?\\d{4}"
_LANDLINE_FORM = "(?:\\(0\\d{2,3}\\)|0\\d{2,3}[-\\s])\\s?[2-8]\\d{6,7}"
_CARD_FORM = "(?:62|60|9558|4\\d|5[1-5])\\d{2}[ -]?\\d{4}[ -]?\\d{4}[ -]?\\d{4}[ -]?\\d{0,3}"

#: Where text that people write could hold a number of somebody.
ROUGH_PROSE = "|".join(
    [
        _DATED,
        f"(?:^|[^0-9]){_PHONE_FORM}(?:[^0-9]|$)",
        f"(?:^|[^0-9]){_LANDLINE_FORM}(?:[^0-9]|$)",
        f"(?:^|[^0-9]){_CARD_FORM}(?:[^0-9]|$)",
        "(?:^|[^0-9])[0-9]{15}(?:[^0-9]|$)",
        "[1-9ANY][0-9][0-9]{6}[0-9A-Z]{10}|[1-9any][0-9][0-9]{6}[0-9a-z]{10}",
        "[〇零○一二三四五六七八九]{11}",
        "\\\\u[0-9a-fA-F]{4}",
        "%3[0-9]",
        _OTHER_DIGITS,
    ]
)
#: Where a code could: an id anywhere in it, or the whole of it a telephone or card with blanks or hyphens.
ROUGH_CODE = "|".join(
    [_DATED, f"^(?:(?:\\+|00)?86[\\s-]?)?{_PHONE_FORM}(?:\\.0)?$", f"^{_LANDLINE_FORM}$", f"^{_CARD_FORM}$"]
)

#: Three digits are four characters of base64, of a few each; nine digits in a row don't happen by chance (4e-13 a place).
ROUGH_BASE64 = "(?:[MNO][DTjz][AEIMQUYcgk][wxyz0-5]){3}"
#: Eleven digits and more as hexadecimal ASCII.
ROUGH_HEX = "(?:3[0-9]){11,}(?:58|78)?"

_RESIDENT = re.compile(f"(?<![0-9])(?=(?P<number>[0-9](?:{_GAP}[0-9]){{16}}{_GAP}[0-9xX])(?![0-9]))")
_PHONE = re.compile(f"(?<![0-9]){_PHONE_FORM}(?![0-9])")
_LANDLINE = re.compile(f"(?<![0-9]){_LANDLINE_FORM}(?![0-9])")
_WHOLE_PHONE = re.compile(f"(?:(?:\\+|00)?86[\\s-]?)?{_PHONE_FORM}(?:\\.0)?|{_LANDLINE_FORM}")
_CARD = re.compile(f"(?<![0-9]){_CARD_FORM}(?![0-9])")
_SHORT = re.compile(r"(?<![0-9])[0-9]{15}(?![0-9])")
_USCC = re.compile(r"(?<![0-9A-Za-z_-])[0-9A-Za-z]{2}[0-9]{6}[0-9A-Za-z]{10}(?![0-9A-Za-z_-])")
_HASH = re.compile(r"(?:[kK][0-9]{1,4}:)?(?=[0-9]*[a-fA-F])[0-9a-fA-F]{32,}")
_CHINESE = str.maketrans("〇零○一二三四五六七八九", "000123456789")


def prose_clues(texts: pa.Array) -> list[Clue]:
    """Clues in text that people write: a telephone or card may stand between words."""
    return _clues(texts, ROUGH_PROSE, lambda text: _in_prose(plain(text)))


def code_clues(texts: pa.Array) -> list[Clue]:
    """Clues in codes: of a telephone or card only what fills the cell counts."""
    return _clues(texts, ROUGH_CODE, _in_code)


def base64_clues(texts: pa.Array) -> list[Clue]:
    """Clues in what texts mean that may be base64."""
    return _clues(texts, ROUGH_BASE64, lambda text: _in_prose(plain(" ".join(from_base64(text)))))


def hex_clues(texts: pa.Array) -> list[Clue]:
    """Clues in what texts mean that may be hexadecimal ASCII."""
    return _clues(texts, ROUGH_HEX, lambda text: _in_prose(" ".join(from_hex(text))))


def from_base64(text: str) -> Iterator[str]:
    """What the pieces of a text mean that may be base64, plain or URL-safe."""
    for piece in re.findall(r"[A-Za-z0-9+/_-]{12,}", text):
        standard = piece.replace("-", "+").replace("_", "/")
        # One character alone carries no byte.
        standard = standard[: len(standard) - (len(standard) % 4 == 1)]
        try:
            yield base64.b64decode(standard + "=" * (-len(standard) % 4)).decode("utf-8", "ignore")
        except binascii.Error:
            continue


def from_hex(text: str) -> Iterator[str]:
    """What the pieces of a text mean that are digits in hexadecimal ASCII."""
    for piece in re.findall(ROUGH_HEX, text):
        yield bytes.fromhex(piece).decode("ascii")


def plain(text: str) -> str:
    """The text with every digit as ASCII, whatever script or escape it was written in."""
    if "\\u" in text:
        text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
    if "%3" in text:
        text = re.sub(r"%([2-7][0-9a-fA-F])", lambda match: chr(int(match[1], 16)), text)
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKD", text).translate(_CHINESE)
    return "".join(str(unicodedata.decimal(c)) if not c.isascii() and c.isdecimal() else c for c in text)


def _clues(texts: pa.Array, rough: str, look: Callable[[str], dict[Kind, bool]]) -> list[Clue]:
    maybe = pc.indices_nonzero(pc.match_substring_regex(texts, rough)).to_pylist()
    hits: dict[Kind, list[int]] = defaultdict(list)
    formed: dict[Kind, int] = defaultdict(int)
    for place in maybe:
        for kind, passed in look(texts[place].as_py()).items():
            formed[kind] += 1
            if passed:
                hits[kind].append(place)
    return [_clue(kind, np.array(found), formed[kind], texts) for kind, found in hits.items()]


def _clue(kind: Kind, hits: np.ndarray, formed: int, texts: pa.Array) -> Clue:
    if kind is RESIDENT:
        among = max(formed, pc.sum(pc.match_substring_regex(texts, _SEVENTEEN)).as_py())
        return Clue(kind, hits, among, ((among, RANDOM_RESIDENT), (formed, 1 / 11)))
    chances = {USCC: ((formed, 1 / 341),), CARD: ((formed, 0.1),)}.get(kind, ())
    return Clue(kind, hits, formed, chances, share=0.5 if kind is SHORT_RESIDENT else 0.0)


def _in_prose(text: str) -> dict[Kind, bool]:
    """Each kind whose form stands in the text, and whether one of that form passes."""
    found = _resident(text)
    # One in 300 hashes holds a telephone by chance.
    text = _HASH.sub(" ", text)
    if _PHONE.search(text) or _LANDLINE.search(text):
        found[PHONE] = True
    if cards := _CARD.findall(text):
        found[CARD] = any(_is_card(card) for card in cards)
    if short := _SHORT.findall(text):
        found[SHORT_RESIDENT] = bool(numbers.short_resident_ids(_matrix(short)).any())
    if codes := _USCC.findall(text):
        found[USCC] = bool(numbers.usccs(_matrix([code.upper() for code in codes])).any())
    return found


def _in_code(text: str) -> dict[Kind, bool]:
    found = _resident(text)
    if _WHOLE_PHONE.fullmatch(text):
        found[PHONE] = True
    elif _CARD.fullmatch(text):
        found[CARD] = _is_card(text)
    return found


def _resident(text: str) -> dict[Kind, bool]:
    dated = _dated(text)
    return {RESIDENT: any(numbers.is_resident_id(number) for number in dated)} if dated else {}


def _dated(text: str) -> list[str]:
    """Numbers of 18 characters with a year of birth where a resident id has it."""
    found = (re.sub(r"[^0-9xX]", "", match["number"]).upper() for match in _RESIDENT.finditer(text))
    return [number for number in found if number[6:8] in ("19", "20")]


def _is_card(text: str) -> bool:
    number = _matrix([re.sub(r"[^0-9]", "", text)])
    return 16 <= number.shape[1] <= 19 and bool((numbers.card_issuers(number) & numbers.cards(number))[0])


def _matrix(texts: list[str]) -> np.ndarray:
    return numbers.characters(pa.array(texts, pa.string()), len(texts[0]))
