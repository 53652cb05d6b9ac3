"""Every way in which one id is written gives one canonical id (faults F01, F02 and F24)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.gateway.id_forms import canonical
from tests.sources.identity import planted

SEEDS = st.integers(0, 10**6)


def ids(texts: list[str], kind: str) -> list[tuple[str, str, bool]]:
    made = canonical(pa.array(texts, pa.string()), kind)  # type: ignore[arg-type]
    return list(zip(made.ids.to_pylist(), made.kinds.to_pylist(), made.valid.tolist(), strict=True))


def disguised(number: str) -> list[str]:
    return [
        number,
        number.lower(),
        f"  {number} ",
        f"\u3000{number}\t",
        planted.full_width(number),
        planted.full_width(number.lower()),
        f"{number[:6]}-{number[6:14]}-{number[14:]}",
        f"{number[:6]} {number[6:]}",
        "\u200b".join(number),
        f"'{number}",
        f'"{number}"',
        number.replace("X", "Ｘ"),
        number.replace("X", "Х"),  # Cyrillic
        number.replace("X", "Χ"),  # Greek
        number.replace("X", "×"),
    ]


@given(SEEDS)
def test_a_resident_has_one_canonical_id(seed: int) -> None:
    number = planted.resident_with_x(np.random.default_rng(seed))
    assert {made for made, _, _ in ids(disguised(number), "resident")} == {number}
    assert all(valid for _, _, valid in ids(disguised(number), "owner"))


@given(SEEDS)
def test_fifteen_digits_are_the_same_person_as_eighteen(seed: int) -> None:
    number = planted.resident(np.random.default_rng(seed))
    if number[6:8] != "19":
        return
    short = number[:6] + number[8:17]
    assert ids([short, planted.full_width(short), f"{short}.0", number], "resident") == [
        (number, "resident_15", True),
        (number, "resident_15", True),
        (number, "resident_15", True),
        (number, "resident_18", True),
    ]


@given(SEEDS)
def test_a_firm_has_one_canonical_id_in_all_its_numbers(seed: int) -> None:
    code = planted.uscc(np.random.default_rng(seed))
    organisation = code[8:17]
    forms = [*disguised(code), organisation, organisation.lower(), f"{organisation[:8]}-{organisation[8]}"]
    assert {made for made, _, _ in ids(forms, "enterprise")} == {organisation}
    assert all(valid for _, _, valid in ids(forms, "enterprise"))
    # A taxpayer number of fifteen: unless it could be another number too.
    made, kind, valid = ids([f"430100{organisation}"], "enterprise")[0]
    assert (made, kind, valid) in [
        (organisation, "taxpayer_15", True),
        (f"430100{organisation}", "ambiguous_15", False),
    ]


def test_numbers_of_sole_proprietors() -> None:
    number = planted.resident(np.random.default_rng(4))
    assert ids([number, f"{number}01", f"{number}02"], "enterprise") == [
        (number, "personal_taxpayer", True),
        (f"{number}01", "personal_taxpayer", True),
        (f"{number}02", "personal_taxpayer", True),
    ]
    assert ids(["110108000000016"], "enterprise") == [("110108000000016", "registration_15", True)]


def test_fifteen_digits_that_fit_two_numbers_are_not_guessed() -> None:
    rng = np.random.default_rng(2)
    texts = [f"430100{rng.integers(0, 10**9):09d}" for _ in range(20_000)]
    made = ids(texts, "enterprise")
    kinds = {kind for _, kind, _ in made}
    assert kinds == {"taxpayer_15", "registration_15", "personal_taxpayer", "ambiguous_15", "unknown"}
    assert all(
        not valid and text == id_
        for text, (id_, kind, valid) in zip(texts, made, strict=True)
        if kind == "ambiguous_15"
    )


@pytest.mark.parametrize(
    ("text", "kind", "form"),
    [
        ("110105194912310021", "resident", "resident_18"),
        ("11010519491331002X", "resident", "resident_18"),
        ("130503671301001", "resident", "unknown"),
        ("G12345678", "resident", "unknown"),
        ("张三", "resident", "unknown"),
        ("91110000600037341M", "enterprise", "uscc"),
        ("742183214", "enterprise", "org_code"),
        ("E123", "enterprise", "unknown"),
    ],
)
def test_wrong_ids_are_flagged_and_keep_their_text(text: str, kind: str, form: str) -> None:
    assert ids([text], kind) == [(text, form, False)]


def test_codes_are_taken_as_they_are() -> None:
    assert ids([" a-1b ", "Ａ1"], "code") == [("a-1b", "code", True), ("A1", "code", True)]


def test_nothing_at_all() -> None:
    assert ids([], "resident") == []
    assert ids([""], "enterprise") == [("", "unknown", False)]
