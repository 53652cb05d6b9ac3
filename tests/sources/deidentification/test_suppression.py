"""No suppressed cell can be worked out from what is published: an attacker with a linear program is the judge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from scipy.optimize import linprog

from core.errors import Refusal
from sources.deidentification.cross_table import cross, write_cross_table
from sources.deidentification.people import Coded, People
from sources.deidentification.suppression import SuppressedTable, suppress, with_margins


def ranges(table: SuppressedTable, wide_enough: float) -> dict[tuple[int, int], float]:
    """How far apart each suppressed cell's least and greatest possible values are, to whoever sees the rest.

    The published cells and margins are the equations, and no count is negative. Every solution found along the way is a
    possible table, so it bounds the range of all cells from below; a cell that is wide enough by then needs no program.
    """
    hidden = [tuple(map(int, at)) for at in np.argwhere(table.suppressed)]
    if not hidden:
        return {}
    place = {at: number for number, at in enumerate(hidden)}
    rows, columns = table.counts.shape
    equations, right = [], []
    lines = [[(r, c) for c in range(columns)] for r in range(rows)]
    lines += [[(r, c) for r in range(rows)] for c in range(columns)]
    for line in lines:
        left, known = np.zeros(len(hidden)), 0.0
        for position, at in enumerate(line):
            sign = -1 if position == len(line) - 1 else 1
            if at in place:
                left[place[at]] = sign
            else:
                known += sign * int(table.counts[at])
        if left.any():
            equations.append(left)
            right.append(-known)
    least = np.array([float(table.counts[at]) for at in hidden])
    greatest = least.copy()
    for number in range(len(hidden)):
        for sign in (1, -1):
            if greatest[number] - least[number] > wide_enough:
                continue
            goal = np.zeros(len(hidden))
            goal[number] = sign
            found = linprog(
                goal, A_eq=np.array(equations), b_eq=np.array(right), bounds=(0, None), method="highs"
            )
            if found.status == 3:
                greatest[number] = np.inf
                continue
            assert found.status == 0
            least, greatest = np.minimum(least, found.x), np.maximum(greatest, found.x)
    return {at: greatest[number] - least[number] for at, number in place.items()}


def random_table(rng: np.random.Generator) -> np.ndarray:
    """Skewed counts; or large ones with a few small holes, where there is least to hide behind."""
    shape = rng.integers(1, 7, 2)
    if rng.random() < 0.6:
        return rng.poisson(rng.gamma(0.7, rng.choice([5, 20, 60]), shape))
    holes = rng.random(shape) < rng.choice([0.1, 0.4])
    return np.where(holes, rng.integers(0, 10, shape), rng.integers(10, 200, shape))


@pytest.mark.slow
def test_of_1000_random_tables_no_suppressed_cell_can_be_recovered() -> None:
    rng = np.random.default_rng(42)
    judged = 0
    for _ in range(1000):
        threshold = int(rng.choice([5, 10]))
        table = suppress(random_table(rng), threshold)
        found = ranges(table, threshold)
        judged += len(found)
        assert all(width > threshold + 1e-6 for width in found.values()), table
    assert judged > 3000


SPARSE = st.one_of(st.integers(0, 9), st.integers(0, 9), st.integers(10, 200))


@settings(max_examples=60, deadline=None)
@given(st_numpy.arrays(np.int64, st.tuples(st.integers(1, 5), st.integers(1, 5)), elements=SPARSE))
def test_no_suppressed_cell_of_any_table_is_known_to_within_ten(counts: np.ndarray) -> None:
    table = suppress(counts, 10)
    assert all(width > 10 + 1e-6 for width in ranges(table, 10).values())


def test_the_judge_notices_small_cells_that_are_suppressed_alone() -> None:
    """Without complementary suppression the attacker subtracts and knows; else the test above could not fail."""
    rng = np.random.default_rng(7)
    recovered = 0
    for _ in range(60):
        counts = rng.poisson(20, (4, 4))
        counts[1, 2] = 3
        grid = with_margins(counts)
        primary = (grid > 0) & (grid < 5)
        found = ranges(SuppressedTable(grid, primary, primary), 5)
        recovered += any(width <= 5 for width in found.values())
    assert recovered == 60


@settings(max_examples=200, deadline=None)
@given(
    st_numpy.arrays(np.int64, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.integers(0, 40)),
    st.integers(2, 12),
)
def test_small_cells_and_margins_are_never_published(counts: np.ndarray, threshold: int) -> None:
    table = suppress(counts, threshold)
    cells = [cell for row in table.published() for cell in row]
    assert all(cell is None or cell == 0 or cell >= threshold for cell in cells)
    assert [cell for cell in cells if cell is not None] == table.counts[~table.suppressed].tolist()
    # Where there is nothing small, everything is published.
    assert table.primary.any() or not table.suppressed.any()


@settings(max_examples=50, deadline=None)
@given(st_numpy.arrays(np.int64, st.tuples(st.integers(1, 5), st.integers(1, 5)), elements=SPARSE))
def test_public_tables_are_rounded_to_five(counts: np.ndarray) -> None:
    table = suppress(counts, 10)
    for exact, rounded in zip(table.published(), table.published(5), strict=True):
        for one, other in zip(exact, rounded, strict=True):
            assert (one is None) == (other is None)
            assert one is None or other is None or (other % 5 == 0 and abs(one - other) <= 2)


def test_margins_stay_where_inner_cells_can_do_the_work() -> None:
    counts = np.random.default_rng(1).poisson(50, (6, 6))
    counts[2, 3] = 4
    table = suppress(counts, 10)
    assert (
        table.suppressed.sum() == 4 and not table.suppressed[-1].any() and not table.suppressed[:, -1].any()
    )


def test_a_table_that_is_small_altogether_is_withheld() -> None:
    assert suppress(np.array([[3]]), 10).suppressed.all()


def test_counts_that_aren_t_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="aren't negative"):
        suppress(np.array([[-1, 2]]), 5)


def people(rows: list[str], columns: list[str], subject: list[int] | None = None) -> People:
    def coded(values: list[str]) -> Coded:
        texts = tuple(dict.fromkeys(values))
        return Coded(texts, np.array([texts.index(value) for value in values], dtype=np.int32))

    return People(
        {"a": coded(rows), "b": coded(columns)}, None if subject is None else np.array(subject), len(rows)
    )


def test_people_are_crossed_and_written(tmp_path) -> None:  # type: ignore[no-untyped-def]
    rows = ["y"] * 40 + ["x"] * 43 + ["=z"] * 40
    columns = ["p", "q"] * 20 + ["p"] * 40 + ["q"] * 3 + ["p", "q"] * 20
    made = cross(people(rows, columns), "a", "b", 5)
    assert made.row_names == ("=z", "x", "y") and made.table.counts[1].tolist() == [40, 3, 43]
    write_cross_table(made, tmp_path / "out.csv")
    lines = (tmp_path / "out.csv").read_text(encoding="utf-8-sig").splitlines()
    assert lines[0] == "a / b,p,q,合计 total" and lines[1].startswith("'=z,")
    assert lines[2] == "x,*,*,43" and "*" in lines[1] + lines[3]
    # The same person twice in a cell counts once.
    assert cross(people(rows, columns, [1] * len(rows)), "a", "b", 5).table.counts[:-1, :-1].max() == 1


def test_a_table_too_large_to_be_looked_at_is_refused() -> None:
    names = [str(n) for n in range(200)]
    with pytest.raises(Refusal, match="REFUSED/CELLS"):
        cross(people(names, names), "a", "b", 5)
