"""The engine agrees with the slow reference on random worlds: every aggregation, every formula, every way in which rows arrive,
are corrected and go."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.definition_file import Bilingual
from core.months import knowledge_cutoff
from core.purpose import Purpose
from core.subject import SubjectKind
from features.as_of import feature_table
from features.catalogue import Feature, FeatureSet
from features.fact_definition import Aggregation, FactDefinition
from features.window_kernels import KERNELS
from features.window_kernels_of_two import KERNELS_OF_TWO
from features.windows import EXTRA_MONTHS, FORMULAS, OF_IDENTITY, OF_TWO
from tests.features import slow_reference as slow
from tests.features.random_worlds import FIRST, MONEY, MONTHS, World, folded, known, told, world, worlds

TEXT = Bilingual(zh="发票", en="invoices")
DERIVE = {
    "days_late": {"days_from": "due", "to": "paid"},
    "rate": {"tax": "tax", "net": "amt", "rates": [17, 13, 9, 6, 3, 1, 0], "tolerance": 0.1},
    "after": {"days_after_new_year": "due"},
    "before": {"days_before_new_year": "due"},
    "age": {"days_from": "ended", "to": "period_end"},
    "until_opened": {"days_from": "due", "to": "opened"},
}
VALID = {"status": "valid"}
MEASURES: dict[str, dict[str, Any]] = {
    "n": {"agg": "count"},
    "several": {"agg": "count", "where": {"status": ["valid", "void"], "auto": False}},
    "late": {"agg": "count", "where": {"days_late": {"gt": 0}}},
    "unpaid": {"agg": "count", "where": {"paid": {"missing": True}}},
    "paid": {"agg": "count", "where": {"paid": {"missing": False}}},
    "large": {"agg": "count", "where": {"amt": {"ge": 100}}},
    "small": {"agg": "count", "where": {"amt": {"le": 33.33}}},
    "at_13": {"agg": "count", "where": {"rate": {"among": [13]}}},
    "at_6": {"agg": "sum", "column": "amt", "where": {"rate": {"among": [6, 9]}}},
    "no_rate": {"agg": "count", "where": {"rate": {"missing": True}}},
    "amt": {"agg": "sum", "column": "amt", "where": VALID},
    "margin": {"agg": "sum", "column": "amt", "minus": {"status": "void"}},
    "used": {"agg": "sum", "column": "used"},
    "people": {"agg": "sum", "column": "people", "where": {"auto": True}},
    "largest": {"agg": "max", "column": "amt"},
    "smallest": {"agg": "min", "column": "people"},
    "most_used": {"agg": "max", "column": "used"},
    "after": {"agg": "min", "column": "after", "where": {"after": {"gt": 0}}},
    "before": {"agg": "min", "column": "before"},
    "others": {"agg": "distinct", "column": "other", "where": VALID},
    "days": {"agg": "distinct", "column": "due"},
    "top1": {"agg": "top_share", "column": "other", "by": "amt", "top": 1, "where": {"amt": {"gt": 0}}},
    "hhi": {"agg": "hhi", "column": "other", "by": "amt", "where": {"amt": {"gt": 0}}},
    "gap": {"agg": "max_gap", "column": "due"},
    "grade": {"agg": "code_rank", "column": "grade", "ranks": ["A", "B", "C"], "where": {"amt": {"lt": 99}}},
    "payer": {"agg": "identity", "column": "payer", "where": VALID},
    "age": {"agg": "max", "column": "age"},
    "old": {"agg": "count", "where": {"age": {"gt": 31}}},
    "until_opened": {"agg": "sum", "column": "until_opened"},
    "at_once": {"agg": "count", "where": {"until_opened": {"among": [0, 1]}}},
    "this_month": {"agg": "count", "adverse": "month"},
    "young": {"agg": "count", "adverse": {"end": "ended", "months": 2}},
    "young_amt": {
        "agg": "sum",
        "column": "amt",
        "where": VALID,
        "adverse": {"date": "due", "end": "ended", "months": 3},
    },
    "begun": {"agg": "max", "column": "people", "adverse": {"date": "ended", "months": 1}},
    "by_either": {"agg": "count", "adverse": {"date": "ended", "end": "paid", "months": 2}},
}
PARTIES: dict[str, dict[str, Any]] = {
    "new": {"agg": "first_seen", "column": "other", "back": 2, "where": VALID},
    "kept": {"agg": "returning", "column": "other", "back": 2},
    "kept_amt": {"agg": "returning_sum", "column": "other", "by": "amt", "back": 1, "where": VALID},
    "lost": {"agg": "lapsed", "column": "other", "back": 2, "where": VALID},
}


def facts(name: str, measures: dict[str, Any], absent: str = "unknown") -> FactDefinition:
    body = {
        "facts": name,
        "subject": "enterprise",
        "table": "invoice",
        "title": TEXT.model_dump(),
        "absent": absent,
    }
    return FactDefinition.model_validate({**body, "derive": DERIVE, "measures": measures})


ROWS, BACK = facts("rows", MEASURES), facts("parties", PARTIES)
EVENTS = facts("events", {name: MEASURES[name] for name in ("n", "amt", "largest")}, absent="zero")


def test_every_aggregation_stands_in_these_worlds() -> None:
    used = {measure.agg for definition in (ROWS, BACK) for measure in definition.measures.values()}
    assert used == set(get_args(Aggregation))


def _dated(rows: list[slow.Row] | None, month: int) -> list[slow.Row] | None:
    return None if rows is None else [{**row, "period_end": FIRST.plus(month).last_day} for row in rows]


def expected_month(
    deliveries: World, definition: FactDefinition, month: int, at: Any
) -> dict[int, dict[str, float]]:
    """Measures of a month as known at a moment by subject; {} where nothing of it had come."""
    rows = _dated(known(deliveries, month, at), month)
    if not told(deliveries, month, at):
        return {}
    ages = range(1, definition.look_back + 1)
    before = {
        age: _dated(known(deliveries, month - age, at), month) if month >= age else None for age in ages
    }
    mine = slow.by_subject(rows or [])
    theirs = {age: slow.by_subject(each) for age, each in before.items() if each is not None}
    everyone = set(mine).union(*theirs.values())
    return {
        subject: {
            name: slow.NAN if definition.look_back and rows is None else slow.month_measure(
                measure, mine.get(subject, []), definition, MONEY,
                {age: None if before[age] is None else theirs[age].get(subject, []) for age in ages},
            )
            for name, measure in definition.measures.items()
        }
        for subject in everyone
    }  # fmt: skip


@pytest.mark.parametrize("definition", [ROWS, BACK], ids=lambda d: d.facts)
@settings(max_examples=100)
@given(worlds, st.data())
def test_facts_agree(definition: FactDefinition, deliveries: World, data: st.DataObject) -> None:
    """At every moment at which anything changed, subject by subject; whoever isn't expected is missing."""
    month = data.draw(st.sampled_from(sorted({d.month for d in deliveries})))
    facts = folded(deliveries, definition, month).to_pandas()
    moments = {d.at for d in deliveries} | {d.gone_at for d in deliveries if d.gone_at is not None}
    for moment in sorted(moments):
        latest = facts[facts["known_at"] <= moment].drop_duplicates("subject_no", keep="last")
        found = latest.set_index("subject_no").drop(columns="known_at")
        expected = expected_month(deliveries, definition, month, moment)
        wanted = pd.DataFrame.from_dict(expected, orient="index", columns=list(definition.measures))
        assert set(found.index) >= set(wanted.index)
        pd.testing.assert_frame_equal(
            found.reindex(sorted(set(found.index))).astype(float),
            wanted.reindex(sorted(set(found.index))).astype(float),
            check_names=False, check_index_type=False, rtol=1e-12, atol=0,
        )  # fmt: skip


# -- formulas ----------------------------------------------------------------------------------------------------------

cells = st.one_of(
    st.just(slow.NAN), st.integers(-5, 20).map(float), st.floats(-1e6, 1e6).map(lambda x: round(x, 2))
)
series = st.sampled_from([1, 2, 3, 6, 12, 14, 24, 36]).flatmap(
    lambda n: st.lists(cells, min_size=n, max_size=n)
)


#: Identities of a month: two under the first key, two under the second.
identities = st.sampled_from([slow.NAN, 2**48 + 5.0, 2**48 + 6.0, 2 * 2**48 + 5.0, 2 * 2**48 + 6.0])


@settings(max_examples=150)
@given(series, st.data())
def test_formulas_of_one_measure_agree(values: list[float], data: st.DataObject) -> None:
    size = len(values)
    who = data.draw(st.lists(identities, min_size=size, max_size=size))
    for name, kernel in KERNELS.items():
        if name == "year_on_year" and size < 13:
            continue
        x = who if name in OF_IDENTITY else values
        if _all_but_zero(pd.Series(x), name):
            continue
        found = kernel(np.array(x)[:, None])[0]
        assert found == pytest.approx(slow.formula(name, pd.Series(x)), rel=1e-9, abs=1e-9, nan_ok=True), name


@settings(max_examples=150)
@given(series.flatmap(lambda x: st.tuples(st.just(x), st.lists(cells, min_size=len(x), max_size=len(x)))))
def test_formulas_of_two_measures_agree(sides: tuple[list[float], list[float]]) -> None:
    x, y = (pd.Series(side) for side in sides)
    for name, kernel in KERNELS_OF_TWO.items():
        if _all_but_zero(x, name) or _all_but_zero(y, name):
            continue
        found = kernel(x.to_numpy()[:, None], y.to_numpy()[:, None])[0]
        assert found == pytest.approx(slow.formula(name, x, y), rel=1e-9, abs=1e-9, nan_ok=True), name


def _all_but_zero(months: pd.Series, name: str) -> bool:
    """A sum, mean or spread that is nothing but rounding is no number to divide by."""
    there = months.dropna()
    size = there.abs().max() if len(there) else 0.0
    tiny = abs(there.mean()) < 1e-9 * size if len(there) else False
    alike = len(there) > 0 and there.std(ddof=0) < 1e-6 * size
    return (name in ("cv", "slope", "peak_share", "share_of") and tiny) or (
        name in ("seasonal_strength", "co_movement") and alike and there.nunique() > 1
    )


# -- features ----------------------------------------------------------------------------------------------------------

_WINDOWS = {
    "year_on_year": [1, 2],
    "ratio_previous": [1, 3],
    "best_quarter_share": [3, 6],
    "seasonal_strength": [14],
    "worst_on_year": [1, 2],
    "down_on_year": [2],
}


def _feature(
    facts: str, measure: str, formula: str, window: int, over: tuple[str, str] | None = None
) -> Feature:
    over_facts, over_measure = over if over is not None else (facts, None)
    name = f"{facts}_{measure}_{formula}_{window}"
    return Feature(
        name, facts, measure, formula, window, over_measure, over_facts, "", frozenset([Purpose.RISK]), 0, TEXT, TEXT, "X",
        0.01 if measure == "amt" and formula in ("sum", "mean") else 1.0,
    )  # fmt: skip


ALONE = [name for name in FORMULAS if name not in OF_TWO | OF_IDENTITY]
FEATURES = FeatureSet(
    "every_formula",
    SubjectKind.ENTERPRISE,
    TEXT,
    (
        *(_feature("rows", "amt", name, w) for name in ALONE for w in _WINDOWS.get(name, [2, 6])),
        *(_feature("events", "n", name, w) for name in ALONE for w in _WINDOWS.get(name, [3])),
        *(_feature("parties", "new", name, 3) for name in ("sum", "records", "last", "max")),
        *(_feature("rows", "payer", name, w) for name in sorted(OF_IDENTITY) for w in (2, 12)),
        *(_feature("rows", "young_amt", name, 6) for name in ("sum", "last")),
        *(_feature("rows", "at_once", name, w, ("rows", "n")) for name in sorted(OF_TWO) for w in (3, 14)),
        _feature("rows", "amt", "months_below", 6, ("events", "n")),
        _feature("rows", "amt", "co_movement", 14, ("events", "n")),
        _feature("events", "largest", "max", 6),
        _feature("rows", "late", "share_of", 6, ("rows", "n")),
        _feature("rows", "amt", "share_of", 3, ("events", "n")),
        _feature("parties", "kept", "share_of", 6, ("rows", "others")),
    ),
    {"rows": ROWS, "events": EVENTS, "parties": BACK},
)


def expected_features(deliveries: World, as_of: int) -> pd.DataFrame:
    """One row per subject of whom any month within the look-back had told anything."""
    cutoff = knowledge_cutoff(FIRST.plus(as_of))
    months = list(range(as_of + 1 - FEATURES.months_back, as_of + 1))
    by_facts = {
        name: [expected_month(deliveries, definition, m, cutoff) if m >= 0 else {} for m in months]
        for name, definition in FEATURES.facts.items()
    }
    # A month that looks back is of whoever stands in a month before it, too.
    looked_at = [m for m in months if m >= 0 and told(deliveries, m, cutoff)]
    seen = set().union(
        *(told(deliveries, m - b, cutoff) for m in looked_at for b in range(BACK.look_back + 1) if m >= b)
    )
    rows = {}
    for subject in sorted(seen):
        rows[subject] = {
            f.name: _expected(f, subject, by_facts, months, deliveries, cutoff) for f in FEATURES.features
        }
    return pd.DataFrame.from_dict(rows, orient="index", columns=FEATURES.names).astype(float)


def _expected(
    f: Feature, subject: int, by_facts: Any, months: list[int], deliveries: World, cutoff: Any
) -> float:
    sides = []
    for facts_name, measure in f.sides:
        values = []
        for month, each in zip(months, by_facts[facts_name], strict=True):
            value = each.get(subject, {}).get(measure, slow.NAN)
            zero = FEATURES.facts[facts_name].absent == "zero" and told(deliveries, month, cutoff)
            values.append(0.0 if zero and np.isnan(value) else value)
        sides.append(
            pd.Series(values[len(values) - f.window - EXTRA_MONTHS.get(f.formula, lambda w: 0)(f.window) :])
        )
    return slow.formula(f.formula, *sides) * f.scale


@pytest.mark.slow
@settings(max_examples=40)
@given(worlds, st.integers(0, MONTHS - 1))
def test_features_agree(tmp_path_factory: Any, deliveries: World, as_of: int) -> None:
    store = world(tmp_path_factory.mktemp("world"), deliveries, ROWS, EVENTS, BACK)
    found = feature_table(store, FEATURES, FIRST.plus(as_of)).to_pandas().set_index("subject_no")
    expected = expected_features(deliveries, as_of)
    pd.testing.assert_frame_equal(
        found, expected, check_names=False, check_index_type=False, rtol=1e-9, atol=1e-9
    )
