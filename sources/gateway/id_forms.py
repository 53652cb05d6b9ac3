"""One canonical form for every way in which an id is written, so that one subject gets one token.

| column | as written | canonical | kind |
|---|---|---|---|
| resident, owner | 18 characters, any width, case, blanks, hyphens | 18 characters, X in capitals | `resident_18` |
| | 15 digits, as issued until 1999 | 18 with the century and the check digit | `resident_15` |
| enterprise | credit code of 18 characters | its organisation code, characters 9-17 | `uscc` |
| | organisation code, `74218321-3` or `742183213` | 9 characters | `org_code` |
| | taxpayer number of 15: region and organisation code | the organisation code | `taxpayer_15` |
| | registration number of 15 digits | itself | `registration_15` |
| | taxpayer number of a natural person: 15, 18 or 20 | with 18 for 15; 20 keeps its serial | `personal_taxpayer` |
| code | anything | itself, full width folded, blanks around it cut | `code` |

`valid` says that the check characters (and the day of birth) are right. An old resident id has none to check. What isn't valid
keeps its normalised text, so that it can still be compared with itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sources.identity import numbers

IdKind = Literal["resident", "owner", "enterprise", "code"]

#: Blanks of every width, hyphens, dashes, dots, quotes and the apostrophe of spreadsheets.
_NOISE = "[\\s\\p{Z}\\p{Cf}\\-\u2010-\u2015\u2212_.\u00b7\u30fb'\"`\u2018\u2019\u201c\u201d]+"
#: Other alphabets' X that keyboards produce: Greek, Cyrillic, the sign of multiplication.
_LOOKALIKES = (("Χ", "X"), ("Х", "X"), ("×", "X"))
UNKNOWN = "unknown"


@dataclass(frozen=True)
class CanonicalIds:
    """Per text: `ids` canonical, `kinds` by form, `valid` by check characters; all of shape (texts,)."""

    ids: pa.Array
    kinds: pa.Array
    valid: np.ndarray


def canonical(texts: pa.Array, kind: IdKind) -> CanonicalIds:
    """The canonical ids of texts (strings without nulls), as the table above says."""
    if kind == "code":
        plain = pc.utf8_trim_whitespace(pc.utf8_normalize(texts, form="NFKC"))
        return CanonicalIds(plain, pa.repeat("code", len(texts)), np.ones(len(texts), dtype=bool))
    plain = normalised(texts)
    return _enterprises(plain) if kind == "enterprise" else _residents(plain)


def normalised(texts: pa.Array) -> pa.Array:
    """Half width, capitals, nothing but letters and digits; a number that a spreadsheet made 110105.0 loses its `.0`."""
    plain = pc.utf8_normalize(texts, form="NFKC")
    plain = pc.replace_substring_regex(plain, r"^(\s*[0-9]{9,20})\.0+\s*$", r"\1")
    plain = pc.utf8_upper(pc.replace_substring_regex(plain, _NOISE, ""))
    for written, meant in _LOOKALIKES:
        plain = pc.replace_substring(plain, written, meant)
    return plain


class _Forms:
    """Canonical ids under way: forms are tried one after the other, and what one has settled stays."""

    def __init__(self, texts: pa.Array) -> None:
        self.texts = texts
        self.lengths = np.diff(
            np.frombuffer(texts.buffers()[1], dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1]
        )
        self.places: list[np.ndarray] = []
        self.ids: list[pa.Array] = []
        self.kinds = np.full(len(texts), UNKNOWN, dtype=object)
        self.valid = np.zeros(len(texts), dtype=bool)

    def of_length(self, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions and characters of texts of so many bytes that nothing has settled yet."""
        places = np.flatnonzero((self.lengths == length) & ~self.valid)
        return places, numbers.characters(self.texts.take(pa.array(places)), length)

    def settle(self, places: np.ndarray, kind: str, characters: np.ndarray | None = None) -> None:
        """These texts are valid and of the kind; `characters` (places, length) are their canonical form, else their own."""
        self.valid[places], self.kinds[places] = True, kind
        if characters is not None and len(places):
            self.places.append(places)
            self.ids.append(_strings(characters))

    def shaped(self, places: np.ndarray, kind: str) -> None:
        """These texts have the form of the kind without being valid, unless they turn out to be something else."""
        free = places[~self.valid[places]]
        self.kinds[free] = kind

    def done(self) -> CanonicalIds:
        """What came out."""
        ids = self.texts
        if self.places:
            at = np.arange(len(ids))
            every = pa.concat_arrays([ids, *self.ids])
            at[np.concatenate(self.places)] = np.arange(len(ids), len(every))
            ids = every.take(pa.array(at))
        return CanonicalIds(ids, pa.array(self.kinds, pa.string()), self.valid)


def _residents(texts: pa.Array) -> CanonicalIds:
    forms = _Forms(texts)
    _settle_residents(forms, "resident_18", "resident_15")
    return forms.done()


def _settle_residents(forms: _Forms, long: str, short: str) -> None:
    places, characters = forms.of_length(18)
    forms.shaped(places, long)
    forms.settle(places[numbers.resident_ids(characters)], long)
    places, characters = forms.of_length(15)
    old = numbers.short_resident_ids(characters)
    forms.settle(places[old], short, _lengthened(characters[old]))


def _enterprises(texts: pa.Array) -> CanonicalIds:
    forms = _Forms(texts)
    places, characters = forms.of_length(18)
    good = numbers.usccs(characters)
    forms.settle(places[good], "uscc", characters[good, 8:17])
    forms.shaped(places[~good], "uscc")
    places, characters = forms.of_length(9)
    forms.settle(places[numbers.organisation_codes(characters)], "org_code")
    forms.shaped(places, "org_code")
    _settle_fifteen(forms)
    places, characters = forms.of_length(18)
    forms.settle(places[numbers.resident_ids(characters)], "personal_taxpayer")
    places, characters = forms.of_length(20)
    serials = ((characters[:, 18:] >= ord("0")) & (characters[:, 18:] <= ord("9"))).all(axis=1)
    forms.settle(places[serials & numbers.resident_ids(characters[:, :18])], "personal_taxpayer")
    return forms.done()


def _settle_fifteen(forms: _Forms) -> None:
    """15 characters are a registration number, a taxpayer number or a person's old id. Where more than one fits, nothing is
    settled: a guess would give two firms one token.
    """
    places, characters = forms.of_length(15)
    region = numbers.in_province(characters) & ((characters[:, :6] >= 48) & (characters[:, :6] <= 57)).all(
        axis=1
    )
    taxpayer = region & numbers.organisation_codes(characters[:, 6:])
    registered = numbers.registration_numbers(characters)
    person = numbers.short_resident_ids(characters)
    single = taxpayer.astype(int) + registered + person == 1
    forms.settle(places[single & taxpayer], "taxpayer_15", characters[single & taxpayer, 6:])
    forms.settle(places[single & registered], "registration_15")
    forms.settle(places[single & person], "personal_taxpayer", _lengthened(characters[single & person]))
    forms.shaped(places[~single & (taxpayer | registered | person)], "ambiguous_15")


def _lengthened(characters: np.ndarray) -> np.ndarray:
    """Old ids (n, 15) as today's (n, 18): the century 19 and the check character."""
    count = len(characters)
    century = np.tile(np.frombuffer(b"19", dtype=np.uint8), (count, 1))
    body = np.concatenate([characters[:, :6], century, characters[:, 6:]], axis=1)
    total = (body.astype(np.int64) - ord("0")) @ np.array(numbers.RESIDENT_WEIGHTS)
    checks = np.frombuffer(numbers.RESIDENT_CHECKS.encode(), dtype=np.uint8)[total % 11]
    return np.concatenate([body, checks[:, None]], axis=1)


def _strings(characters: np.ndarray) -> pa.Array:
    """Rows of (n, length) as strings."""
    count, length = characters.shape
    offsets = np.arange(0, (count + 1) * length, length, dtype=np.int32)
    data = np.ascontiguousarray(characters)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(data))
