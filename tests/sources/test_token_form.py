"""Tokens are known by their bytes, and what is taken for one is one."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources import cells
from sources.token_form import LEAVE_TOKENS, are_of_key, are_tokens

TOKEN = st.builds("k{}:{}".format, st.integers(0, 12), st.text("0123456789abcdef", min_size=39, max_size=41))
SPOILT = st.builds(
    lambda text, at, letter: text[:at] + letter + text[at + 1 :],
    TOKEN,
    st.integers(0, 42),
    st.sampled_from("gG: F中\tk"),
)


@given(st.lists(st.one_of(TOKEN, SPOILT, st.text(max_size=45)), max_size=20), st.integers(0, 3))
def test_tokens_are_told_from_all_else(texts: list[str], skipped: int) -> None:
    array = pa.array(texts, pa.string()).slice(skipped)
    wanted = [re.fullmatch("k[0-9]:[0-9a-f]{40}", text) is not None for text in texts[skipped:]]
    assert are_tokens(array).tolist() == wanted


@given(st.lists(TOKEN.filter(lambda text: len(text) == 43), min_size=1, max_size=8))
def test_no_step_changes_a_token(texts: list[str]) -> None:
    array = pa.array([text for text in texts if text[1] in "0123456789" and text[2] == ":"], pa.string())
    tokens = array.filter(pa.array(are_tokens(array)))
    assert cells.normalised(tokens, sorted(LEAVE_TOKENS)).equals(tokens)


@pytest.mark.parametrize(
    ("key_ver", "wanted"), [("k1", [True, False]), ("k2", [False, True]), ("k12", [False] * 2)]
)
def test_the_key_is_told_by_its_digit(key_ver: str, wanted: list[bool]) -> None:
    tokens = pa.array(["x", f"k1:{'0' * 40}", f"k2:{'0' * 40}"], pa.string()).slice(1)
    assert are_of_key(tokens, key_ver).tolist() == wanted
