"""A file that comes in blocks is judged like a whole one, in memory that doesn't grow."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import Refusal
from sources.identity import IdentityScan, stream
from sources.identity.guard import column_clues, convincing
from tests.sources.identity import planted


def digits(rng: np.random.Generator, length: int, rows: int) -> list[str]:
    return [
        row.tobytes().decode()
        for row in rng.integers(ord("0"), ord("9") + 1, (rows, length)).astype(np.uint8)
    ]


def column(kind: str, rng: np.random.Generator) -> list[str]:
    """Cells of one column; some kinds are clean, some hold identifiers, some stand at the border."""
    rows = 400
    few = int(rng.integers(1, 30))
    match kind:
        case "serials":
            return digits(rng, 18, rows)
        case "an id among serials":
            return [*digits(rng, 18, 300), planted.resident(rng)]
        case "some credit codes":
            return [*digits(rng, 18, rows), *(planted.uscc(rng) for _ in range(few))]
        case "names":
            return [planted.name(rng) for _ in range(rows)]
        case "some names":
            return [*(planted.name(rng) for _ in range(few)), *["正常", "补缴", "已核"] * 20]
        case "telephones among amounts":
            return [*(planted.phone(rng) for _ in range(few)), *digits(rng, 7, rows)]
        case "a word list":
            return ["金融业", "建筑业", "江东区", "石家庄", "张家界"] * 80
        case "cards":
            return [planted.card(rng) for _ in range(few)]
        case _:
            return ["正常", *planted.WORDS, ""] * 3


KINDS = [
    "serials", "an id among serials", "some credit codes", "names", "some names", "telephones among amounts",
    "a word list", "cards", "words that identify",
]  # fmt: skip


def scanned(cells: list[str], blocks: list[int]) -> IdentityScan:
    """The cells in blocks of these sizes, over and over."""
    scan, at, turn = IdentityScan(), 0, 0
    while at < len(cells):
        size = blocks[turn % len(blocks)]
        scan.look("lsh", pa.array(cells[at : at + size], pa.string()).dictionary_encode(), at + 2)
        at, turn = at + size, turn + 1
    return scan


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 10**6), st.lists(st.integers(1, 300), min_size=1, max_size=4))
def test_a_column_is_judged_alike_however_the_file_is_cut(kind: str, seed: int, blocks: list[int]) -> None:
    rng = np.random.default_rng(seed)
    cells = column(kind, rng)
    cells = [cells[place] for place in rng.permutation(len(cells))] * int(rng.integers(1, 4))
    whole = convincing("lsh", column_clues(pa.array(cells).unique(), len(cells)))
    scan = scanned(cells, blocks)
    if whole is None:
        assert scan.findings() == []
        scan.refuse("data.csv", "")
        return
    assert scan.findings() == [("lsh", whole.kind, len(whole.hits))]
    different = pa.array(cells).unique().take(pa.array(whole.hits)).to_pylist()
    with pytest.raises(Refusal) as caught:
        scan.refuse("data.csv", "")
    assert caught.value.line == 2 + min(cells.index(cell) for cell in different)


def test_codes_that_come_again_in_every_block_count_once() -> None:
    """One of 400 codes looks like a resident id by chance; a thousand blocks with it are still one code."""
    rng = np.random.default_rng(5)
    codes = [*digits(rng, 18, 400), planted.resident(rng)]
    assert convincing("lsh", column_clues(pa.array(codes), len(codes))) is None
    assert scanned(codes * 50, [97]).findings() == []


@pytest.mark.parametrize("kind", ["names", "cards", "words that identify", "an id among serials"])
def test_columns_longer_than_a_window_are_searched_to_the_end(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "WINDOW", 500)
    rng = np.random.default_rng(7)
    clean = [f"2026-10-12 {n:06d}" for n in range(3000)]
    cells = [*clean, *column(kind, rng), *clean] if kind != "cards" else [*clean, *column(kind, rng)]
    scan = scanned(cells, [211])
    with pytest.raises(Refusal) as caught:
        scan.refuse("data.csv", "")
    assert caught.value.line is not None and caught.value.line >= 3002
    assert all(len(one.texts) <= 500 for one in scan._columns.values())


@pytest.mark.parametrize("make", ["serials", "tokens", "amounts"])
def test_long_clean_columns_stay_clean(make: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "WINDOW", 500)
    rng = np.random.default_rng(3)
    cells = {
        "serials": digits(rng, 18, 20_000),
        "tokens": [f"k1:{rng.bytes(20).hex()}" for _ in range(20_000)],
        "amounts": [f"{amount:.0f}" for amount in rng.lognormal(14, 4, 20_000)],
    }[make]
    assert scanned(cells, [1500]).findings() == []
