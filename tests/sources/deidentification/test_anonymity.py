"""k, l, t and alpha against a slow, plain reference; golden numbers of the papers; proposals that keep what they promise."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import GsceneError
from sources.deidentification.anonymity import anonymity, diversity
from sources.deidentification.generalise import ladder, propose
from sources.deidentification.people import Coded, Gathering, People


def coded(values: list[str]) -> Coded:
    encoded = pa.array(values, pa.string()).dictionary_encode()
    return Coded(tuple(encoded.dictionary.to_pylist()), encoded.indices.to_numpy())


def people_of(frame: pd.DataFrame, subject: str | None = None) -> People:
    columns = {name: coded(list(frame[name])) for name in frame if name != subject}
    of = None if subject is None else coded(list(frame[subject])).places
    return People(columns, of, len(frame))


CELLS = st.sampled_from(["", "a", "b", "c"])
TABLES = st.lists(
    st.tuples(CELLS, CELLS, st.sampled_from(["x", "y", "z", ""]), st.sampled_from("12345678")),
    min_size=1,
    max_size=60,
)


def slow(frame: pd.DataFrame, subject: str | None) -> dict[str, float]:
    """Class by class, value by value, in plain Python."""

    def count(rows: pd.DataFrame) -> int:
        return len(rows) if subject is None else rows[subject].nunique()

    classes = [rows for _, rows in frame.groupby(["q", "r"], dropna=False)]
    cells = [[(value, count(cell)) for value, cell in rows.groupby("s")] for rows in classes]
    whole: dict[str, int] = {}
    for row in cells:
        for value, n in row:
            whole[value] = whole.get(value, 0) + n
    total = sum(whole.values())
    l_, entropy, alpha, t = [], [], [], []
    for row in cells:
        size = sum(n for _, n in row)
        shares = {value: n / size for value, n in row}
        l_.append(len(row))
        entropy.append(math.exp(-sum(share * math.log(share) for share in shares.values())))
        alpha.append(max(shares.values()))
        t.append(sum(abs(shares.get(value, 0) - n / total) for value, n in whole.items()) / 2)
    sizes = [count(rows) for rows in classes]
    return {
        "k": min(sizes),
        "people": sum(sizes),
        "classes": len(sizes),
        "uniques": sum(size for size in sizes if size == 1),
        "under 5": sum(size for size in sizes if size < 5),
        "l": min(l_),
        "entropy": min(entropy),
        "alpha": max(alpha),
        "t": max(t),
        "single": sum(n == 1 for n in l_),
    }


@settings(max_examples=60, deadline=None)
@given(TABLES, st.booleans())
def test_duckdb_agrees_with_the_slow_reference(rows: list[tuple[str, ...]], by_subject: bool) -> None:
    agrees(pd.DataFrame(rows, columns=["q", "r", "s", "who"]), by_subject)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 12), st.integers(1, 9), st.booleans())
def test_duckdb_agrees_with_the_slow_reference_on_500_rows(
    seed: int, regions: int, ages: int, values: int, by_subject: bool
) -> None:
    """Skewed like real ones: few large classes and many small, sensitive values that hang on the class."""
    rng = np.random.default_rng(seed)
    region = np.minimum(rng.geometric(0.15, 500), regions)
    value = np.where(rng.random(500) < 0.5, region % values, rng.integers(0, values, 500))
    frame = pd.DataFrame(
        {
            "q": region.astype(str),
            "r": rng.integers(0, ages, 500).astype(str),
            "s": value.astype(str),
            "who": rng.integers(0, 300, 500).astype(str),
        }
    )
    agrees(frame, by_subject)


def agrees(frame: pd.DataFrame, by_subject: bool) -> None:
    """Every measure of the frame against the slow reference's."""
    subject = "who" if by_subject else None
    people = people_of(frame, subject)
    measured, diverse = anonymity(people, ["q", "r"]), diversity(people, ["q", "r"], "s")
    found = {
        "k": measured.k,
        "people": measured.people,
        "classes": measured.classes,
        "uniques": measured.uniques,
        "under 5": measured.under[5],
        "l": diverse.l,
        "entropy": diverse.entropy_l,
        "alpha": diverse.alpha,
        "t": diverse.t,
        "single": diverse.single,
    }
    assert found == pytest.approx(slow(frame, subject), rel=1e-9, abs=1e-12)
    assert sorted(people.class_sizes(["q", "r"])) == sorted(
        people.distinct(["q", "r"]).class_sizes(["q", "r"])
    )
    assert sum(band.people for band in measured.bands) == measured.people
    assert sum(band.classes for band in measured.bands) == measured.classes


def test_golden_numbers_by_hand() -> None:
    """Two classes of four: (x, x, y, z) and (x, x, x, x); in the whole table x has 6/8, y and z 1/8 each."""
    frame = pd.DataFrame({"q": ["a"] * 4 + ["b"] * 4, "s": ["x", "x", "y", "z", "x", "x", "x", "x"]})
    people = people_of(frame)
    measured, diverse = anonymity(people, ["q"]), diversity(people, ["q"], "s")
    assert (measured.k, measured.risk_max, measured.risk_avg) == (4, 0.25, 0.25)
    assert (diverse.l, diverse.single, diverse.alpha) == (1, 1, 1.0)
    assert diverse.entropy_l == pytest.approx(1.0)
    # |1/2-3/4| + |1/4-1/8| + |1/4-1/8| = 1/2 for the first, 1/4 + 1/8 + 1/8 = 1/2 for the second; half of each.
    assert diverse.t == pytest.approx(0.25)


def test_more_columns_than_63_bits_hold() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({f"c{n}": rng.integers(0, 2000, 300).astype(str) for n in range(12)})
    frame = pd.concat([frame, frame, frame], ignore_index=True)
    assert anonymity(people_of(frame), list(frame)).k == 3


def test_no_quasi_identifiers_and_no_rows() -> None:
    frame = pd.DataFrame({"q": ["a", "b"], "s": ["x", "y"]})
    assert anonymity(people_of(frame), []).k == 2
    empty = People({"q": Coded((), np.zeros(0, np.int32)), "s": Coded((), np.zeros(0, np.int32))}, None, 0)
    assert (anonymity(empty, ["q"]).k, diversity(empty, ["q"], "s").l) == (0, 0)


def test_blocks_give_what_the_whole_gives() -> None:
    rng = np.random.default_rng(2)
    values = rng.choice(["a", "b", "c", ""], 500).tolist()
    gathering = Gathering(["q"], None)
    for start in range(0, 500, 70):
        gathering.add("q", pa.array(values[start : start + 70]).dictionary_encode())
    assert sorted(gathering.people().class_sizes(["q"])) == sorted(pd.Series(values).value_counts())
    with pytest.raises(GsceneError, match="no column z"):
        Gathering(["z"], None).people()


@pytest.mark.parametrize(
    ("name", "text", "rungs"),
    [
        ("region_cd12", "430124107205", ["430124", "430100", "430000"]),
        ("industry_cd", "C1311", ["C13", "C"]),
        ("age", "37", ["35-39", "30-39", "20-39"]),
        ("birth_date", "1987-05-06", ["1987-05", "1987Q2", "1987", "1985-1989", "1980-1989"]),
        ("birth_ym", "198705", ["1987-05", "1987Q2", "1987", "1985-1989", "1980-1989"]),
        ("birth_year", "1987", ["1985-1989", "1980-1989", "1980-1999"]),
        ("employees", "37", ["32+", "10+"]),
        ("sales", "-1234.5", ["-1024+", "-1000+"]),
        ("sales", "0", ["0", "0"]),
        ("kind", "abc", []),
    ],
)
def test_ladders_fit_what_texts_look_like(name: str, text: str, rungs: list[str]) -> None:
    steps = ladder(name, Coded((text, ""), np.zeros(1, np.int32)))
    assert [step.change(text) for step in steps] == rungs
    assert all(step.change("") == "" for step in steps)


def test_a_proposal_reaches_the_threshold_and_takes_no_needless_step() -> None:
    rng = np.random.default_rng(3)
    n = 20_000
    frame = pd.DataFrame(
        {
            "region": rng.choice(
                [f"43{city:02d}{county:02d}" for city in range(1, 6) for county in range(1, 10)], n
            ),
            "age": rng.integers(20, 60, n).astype(str),
            "sex": rng.choice(["1", "2"], n),
        }
    )
    quasi = ["region", "age", "sex"]
    people = people_of(frame)
    assert anonymity(people, quasi).k < 10
    proposed = propose(people, quasi, 10)
    assert proposed and proposed[-1].under == 0 and proposed[-1].k >= 10
    # What the proposal says is what applying it gives, and each step is needed.
    changed = dict(people.columns)
    for step in proposed:
        change = next(s.change for s in ladder(step.column, people.columns[step.column]) if s.to == step.to)
        changed[step.column] = people.columns[step.column].mapped(change)
        measured = anonymity(People(changed, None, n), quasi)
        assert (measured.k, measured.classes, measured.under[10]) == (step.k, step.classes, step.under)
    for step in proposed:
        without = People(changed | {step.column: people.columns[step.column]}, None, n)
        assert anonymity(without, quasi).k < 10


def test_where_ladders_end_the_rest_is_told() -> None:
    frame = pd.DataFrame({"kind": [str(n) + "x" for n in range(5)] + ["same"] * 50})
    assert propose(people_of(frame), ["kind"], 5) == []
