"""Screening finds what was planted, and accuses nobody where nothing was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import Refusal
from core.months import Month
from models.binning import fit_bins
from models.definition import ScorecardParameters
from models.information_values import information_values
from models.screening.expected_breaks import explained_by, load_breaks
from models.screening.leak_probe import alone, suspects
from models.screening.likeness import groups, rank_correlation
from models.screening.screen import SourceOf, screen
from models.screening.stability import bin_counts, bin_edges, stability

ROWS = 3000
MONTHS = ("2025-05", "2025-06", "2025-07", "2025-08")


def test_psi_worked_by_hand() -> None:
    told = stability(np.array([50, 50]), np.array([80, 20]))
    # (0.8 - 0.5) ln(0.8 / 0.5) + (0.2 - 0.5) ln(0.2 / 0.5)
    assert told.psi == pytest.approx(0.3 * np.log(1.6) - 0.3 * np.log(0.4))
    # chi-square, 1 degree of freedom, 99 %: 6.6349; 1/100 + 1/100
    assert told.limit == pytest.approx(6.6349 * 0.02, abs=1e-4)
    assert told.moved


def test_without_drift_small_samples_pass_the_usual_limit_and_stay_below_ours() -> None:
    """50 rows, ten bins: PSI > 0.1 in three of four samples although nothing moved."""
    random = np.random.default_rng(7)
    beyond_usual = beyond_ours = 0
    for _ in range(400):
        one, other = random.random(50), random.random(50)
        edges = np.arange(0.1, 1.0, 0.1)
        told = stability(bin_counts(one, edges), bin_counts(other, edges))
        beyond_usual += told.psi > 0.1
        beyond_ours += told.moved
    assert beyond_usual > 250
    assert beyond_ours < 40


#: Few different values, so that there are ties; some missing.
TIED = st.lists(
    st.tuples(st.sampled_from([float("nan"), -2.5, 0.0, 1.0, 1.5, 7e9]), st.integers(0, 1)),
    min_size=2,
    max_size=80,
).filter(lambda rows: len({event for _, event in rows}) == 2)


@settings(max_examples=200)
@given(TIED)
def test_the_probes_auc_is_that_of_all_pairs(rows: list[tuple[float, int]]) -> None:
    """Every pair of an event and another compared one by one, ties half, missing at the median."""
    values, target = np.array([v for v, _ in rows]), np.array([e for _, e in rows])
    gap = np.isnan(values)
    filled = np.where(gap, np.nanmedian(values) if not gap.all() else 0.0, values)
    slow = []
    for score in (filled, gap.astype(float)):
        events, others = score[target == 1], score[target == 0]
        pairs = (events[:, None] > others) + 0.5 * (events[:, None] == others)
        slow.append(max(pairs.mean(), 1 - pairs.mean()))
    assert alone(values, target) == pytest.approx(tuple(slow), abs=1e-12)


@settings(max_examples=100)
@given(TIED)
def test_the_quick_information_value_is_that_of_the_binning(rows: list[tuple[float, int]]) -> None:
    values, target = np.array([v for v, _ in rows]), np.array([e for _, e in rows], dtype=float)
    rules = ScorecardParameters(max_features=1, max_bins=5, min_bin_share=0.05)
    expected = [fit_bins(column, target, "x", 0, rules).iv for column in (values, -values)]
    assert information_values(np.column_stack([values, -values]), target, rules).tolist() == expected


@settings(max_examples=100)
@given(TIED)
def test_rows_are_counted_as_numpy_counts_them(rows: list[tuple[float, int]]) -> None:
    values = np.array([v for v, _ in rows])
    edges = bin_edges(values, bins=3)
    places = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="left"))
    assert bin_counts(values, edges).tolist() == np.bincount(places, minlength=len(edges) + 2).tolist()


@settings(max_examples=50)
@given(st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(float("nan"))), min_size=1, max_size=60))
def test_every_row_falls_into_exactly_one_bin_and_the_same_rows_never_move(values: list[float]) -> None:
    rows = np.array(values)
    counts = bin_counts(rows, bin_edges(rows))
    assert counts.sum() == len(rows) and counts[-1] == np.isnan(rows).sum()
    assert stability(counts, counts).psi == 0.0


def test_features_that_say_the_same_are_grouped_whatever_their_scale() -> None:
    random = np.random.default_rng(1)
    x, other = random.normal(size=ROWS), random.normal(size=ROWS)
    values = np.column_stack([x, other, np.exp(x), -3 * x, np.ones(ROWS)])
    assert groups(rank_correlation(values)) == [[0, 2, 3]]


def test_the_leak_probe_names_the_column_and_the_gap() -> None:
    random = np.random.default_rng(2)
    target = (random.random(ROWS) < 0.05).astype(int)
    honest = target * 0.8 + random.normal(size=ROWS)
    leak = -target * 4.0 + random.normal(size=ROWS)
    gap = np.where((target == 1) & (random.random(ROWS) < 0.97), np.nan, random.normal(size=ROWS))
    found = suspects(["honest", "leak", "gap"], np.column_stack([honest, leak, gap]), target)
    assert {(each.feature, each.by) for each in found} == {("leak", "value"), ("gap", "gap")}


def _world() -> tuple[pd.DataFrame, pd.Series]:
    random = np.random.default_rng(3)
    pieces = []
    for place, month in enumerate(MONTHS):
        late = month >= "2025-07"
        rating = random.normal(size=ROWS) + 1.5 * late
        pieces.append(
            pd.DataFrame(
                {
                    "subject_no": np.arange(ROWS),
                    "as_of": month,
                    "steady": random.normal(size=ROWS),
                    "rating": rating,
                    "drifting": random.normal(size=ROWS) + 0.5 * place,
                    "empty": np.nan,
                }
            )
        )
    features = pd.concat(pieces).set_index(["subject_no", "as_of"])
    first = features.xs(MONTHS[0], level="as_of", drop_level=False)
    outcomes = pd.Series((random.random(ROWS) < 0.1).astype(float), index=first.index)
    return features, outcomes


def test_a_change_of_rules_is_annotated_and_a_drift_is_an_alarm() -> None:
    features, outcomes = _world()
    sources = {
        name: SourceOf(frozenset({"tax_credit_rating.rating" if name == "rating" else "t.x"}), 1)
        for name in features.columns
    }
    platform = pd.Series(np.where(np.arange(ROWS) % 2, "city", "province"), index=np.arange(ROWS))
    platforms = pd.Series(
        platform[features.index.get_level_values("subject_no")].to_numpy(), index=features.index
    )
    told = screen("world", features, sources, load_breaks(), outcomes, platforms)
    by_name = {each.name: each for each in told.features}
    assert by_name["steady"].alarms == [] and by_name["steady"].psi["2025-08"].psi < 0.02
    assert by_name["rating"].alarms == []
    assert by_name["rating"].psi["2025-07"].moved
    assert by_name["rating"].expected["2025-07"].name == "tax_credit_rating_2025"
    assert by_name["drifting"].alarms == ["2025-06", "2025-07", "2025-08"]
    assert by_name["empty"].empty and by_name["empty"].missing["2025-05"] == 1.0
    assert by_name["steady"].iv is not None and by_name["steady"].iv < 0.1
    assert set(by_name["steady"].psi_by_platform) == {"city", "province"}
    assert told.outcomes == ROWS and not told.suspects
    figures = told.figures
    assert (figures["features_moved"], figures["features_moved_as_expected"], figures["features_empty"]) == (
        1,
        1,
        1,
    )
    assert figures["largest_psi"] == by_name["drifting"].psi["2025-08"].psi
    assert figures["leak_suspects"] == 0


def test_a_platform_that_moves_alone_is_seen_and_a_planted_leak_is_named() -> None:
    features, outcomes = _world()
    city = features.index.get_level_values("subject_no").to_numpy() % 4 == 0
    last = features.index.get_level_values("as_of").to_numpy() == MONTHS[-1]
    features.loc[city & last, "steady"] += 2.0
    random = np.random.default_rng(5)
    known = outcomes.reindex(features.index)
    features["planted"] = np.where(known.isna(), 0.0, known * 5.0) + random.normal(size=len(features))
    sources = {name: SourceOf(frozenset({"t.x"}), 1) for name in features.columns}
    platform = pd.Series(np.where(city, "city", "province"), index=features.index).where(last, None)
    told = screen("world", features, sources, load_breaks(), outcomes, platform)
    by_name = {each.name: each for each in told.features}
    assert (
        by_name["steady"].psi_by_platform["city"].moved
        and by_name["steady"].psi_by_platform["province"].moved
    )
    assert not by_name["drifting"].psi_by_platform["city"].moved
    assert [(each.feature, each.by) for each in told.suspects] == [("planted", "value")]
    assert told.figures["leak_suspects"] == 1 and told.figures["largest_iv"] == by_name["planted"].iv


def test_a_break_explains_only_its_own_columns_and_months() -> None:
    breaks = load_breaks()
    rating = {"tax_credit_rating.rating"}
    assert explained_by(breaks, rating, Month(2025, 6), Month(2025, 7)) is not None
    assert explained_by(breaks, rating, Month(2025, 7), Month(2025, 9)) is None
    assert explained_by(breaks, {"tax_arrears.arrears_amt"}, Month(2025, 6), Month(2025, 7)) is None


def test_a_mistake_in_the_register_is_told_by_line(tmp_path: Path) -> None:
    file = tmp_path / "breaks.yaml"
    file.write_text(
        "breaks:\n  - name: x\n    from_month: '2025-13'\n    columns: [a.b]\n    zh: a\n    en: b\n    source: c\n"
    )
    with pytest.raises(Refusal) as told:
        load_breaks(file)
    assert told.value.line == 3
