"""Check digits by the standards' own examples, and the many-at-once checks against the plain ones."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.identity import numbers
from tests.sources.identity import planted


def matrix(*texts: str) -> np.ndarray:
    return numbers.characters(pa.array(texts), len(texts[0]))


def test_resident_ids_of_the_standard() -> None:
    # GB 11643-1999, annex: 11010519491231002X and 440524188001010014, the second born before 1900.
    assert numbers.is_resident_id("11010519491231002X")
    assert not numbers.is_resident_id("110105194912310020")
    assert not numbers.is_resident_id("11010519491331002X")
    assert not numbers.is_resident_id("440524188001010014")
    assert numbers.resident_check("44052418800101001") == "4"


@given(
    st.lists(
        st.one_of(
            st.from_regex(r"\A[0-9]{17}[0-9X]\Z"),
            st.builds(
                lambda region, day, order, last: f"{region:06d}{day:%Y%m%d}{order:03d}{last}",
                st.integers(0, 999_999),
                st.dates(min_value=date(1890, 1, 1), max_value=date(2110, 1, 1)),
                st.integers(0, 999),
                st.sampled_from("0123456789X"),
            ),
            st.from_regex(r"\A[0-9]{6}(19|20)[0-9]{2}0[1-3](29|30|31)[0-9]{3}[0-9X]\Z"),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_many_resident_ids_are_judged_like_one(texts: list[str]) -> None:
    assert numbers.resident_ids(matrix(*texts)).tolist() == [numbers.is_resident_id(t) for t in texts]


def test_codes_of_organisations_of_the_standards() -> None:
    # GB 11714-1997 gives D2143569-X as its example; 74218321-3 is the form of old registers.
    assert numbers.organisation_codes(matrix("D2143569X", "742183213", "742183214")).tolist() == [
        True,
        True,
        False,
    ]
    # The credit code of a company on the national register, published by itself.
    assert numbers.usccs(matrix("91110000600037341L", "91110000600037341M")).tolist() == [True, False]


def test_registration_numbers_and_cards() -> None:
    assert numbers.registration_numbers(matrix("110108000000016", "110108000000017")).tolist() == [
        True,
        False,
    ]
    assert numbers.cards(matrix("4111111111111111", "4111111111111112")).tolist() == [True, False]
    assert numbers.card_issuers(
        matrix("4111111111111111", "6222021234567890", "7222021234567890")
    ).tolist() == [True, True, False]


def test_old_resident_ids_have_a_province_and_a_day() -> None:
    assert numbers.short_resident_ids(
        matrix("130503670401001", "130503671301001", "990503670401001", "130503670229001")
    ).tolist() == [True, False, False, False]


@pytest.mark.parametrize("make", [planted.resident, planted.uscc, planted.card, planted.organisation])
def test_one_changed_character_is_noticed(make) -> None:  # type: ignore[no-untyped-def]
    check = {
        planted.resident: lambda m: numbers.resident_checks(m),
        planted.uscc: numbers.uscc_checks,
        planted.card: numbers.cards,
        planted.organisation: numbers.organisation_codes,
    }[make]
    rng = np.random.default_rng(11)
    for _ in range(50):
        number = make(rng)
        assert check(matrix(number)).all()
        places = [p for p, c in enumerate(number[:-1]) if c.isdigit()]
        if not places:
            continue
        place = int(rng.choice(places))
        other = str((int(number[place]) + 1) % 10)
        assert not check(matrix(number[:place] + other + number[place + 1 :])).any()


def test_chance_is_what_the_decisions_count_with() -> None:
    """Of random 18-digit numbers 3.2 % carry the check character of a credit code and 3 in 100,000 are a resident id."""
    rng = np.random.default_rng(5)
    random = rng.integers(ord("0"), ord("9") + 1, (400_000, 18)).astype(np.uint8)
    assert numbers.uscc_checks(random).mean() == pytest.approx(1 / 31, abs=0.001)
    assert (numbers.resident_ids(random) & numbers.in_province(random)).mean() == pytest.approx(
        3e-5, abs=2e-5
    )
    assert numbers.cards(random).mean() == pytest.approx(0.1, abs=0.003)
