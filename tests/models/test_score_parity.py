"""PC12 to PC15 on their own: features, scores, lists and protection of two sides."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from features.feature_parity import equal_share, feature_parity
from features.stability import psi, psi_noise, spearman
from leads.carry_over import (
    carry_over,
    consent_basis,
    meaningless_consents,
    protected_subjects,
    register_kept,
)
from leads.list_parity import list_parity
from leads.policy import load_policy
from models.score_parity import score_parity
from sources.migration.crosswalk import Crosswalk
from sources.migration.finding import ParityFinding, Verdict
from sources.migration.tolerances import Tolerances

LIMITS = Tolerances()
SUBJECTS = 10_000
PD = np.sort(np.random.default_rng(4).beta(2, 40, SUBJECTS))
GRADE = (np.arange(SUBJECTS) * 10 // SUBJECTS + 1).astype(np.int8)


def scores(new_pd: np.ndarray, new_grade: np.ndarray = GRADE) -> set[str]:
    """Statistics of PC13 that miss their limits."""
    return {
        f.measure for f in score_parity(PD, new_pd, GRADE, new_grade, "m", LIMITS, worst_grade=7) if f.blocks
    }


def swapped(share: float) -> np.ndarray:
    """Some scores exchanged between neighbours 300 places apart."""
    places = np.arange(0, SUBJECTS - 300, max(1, round(1 / share)))[: round(share * SUBJECTS / 2)]
    new = PD.copy()
    new[places], new[places + 300] = PD[places + 300], PD[places]
    return new


def test_equal_scores_pass() -> None:
    assert scores(PD) == set()


def test_each_statistic_of_scores_has_its_own_fault() -> None:
    assert scores(PD * 1.03) == {"mean_pd_ratio", "decile_moves"}
    higher = np.where(np.arange(SUBJECTS) >= 9900, np.minimum(PD * 4, 1), PD)
    assert scores(higher) == {"mean_pd_ratio"}, "only the worst percent"
    crossed = GRADE.copy()
    crossed[7000:7031] = 7
    assert scores(PD, crossed) == {"cut_off_moves"}
    crossed[7000:7031], crossed[7000:7030] = 8, 7
    assert scores(PD, crossed) == set(), "0.3 % are let pass"
    assert scores(np.random.default_rng(1).permutation(PD)) == {"spearman", "decile_moves"}


def frames(change: float, rows: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    old = pd.DataFrame(
        {"a": np.random.default_rng(2).lognormal(9, 1, SUBJECTS), "b": np.arange(SUBJECTS) % 7.0}
    )
    new = old.copy()
    new.loc[new.index < rows, "a"] *= change
    return old, new


def test_a_feature_is_compared_pair_by_pair_and_missing_equals_missing() -> None:
    old, new = frames(1.1, 51)
    (overall, found) = feature_parity(old, new, "set", LIMITS)
    assert (found.column, found.measure) == ("a", "equal") and overall.counts["features_apart"] == 1
    assert not any(f.blocks for f in feature_parity(*frames(1.1, 50), "set", LIMITS)), "0.5 % are let pass"
    assert not any(f.blocks for f in feature_parity(*frames(1.004, SUBJECTS), "set", LIMITS)), (
        "0.4 % is no difference"
    )
    nan = np.array([np.nan, 1.0, np.nan, 0.0])
    assert equal_share(nan, nan) == 1.0
    assert equal_share(nan, np.array([np.nan, 1.0, 2.0, 0.0])) == 0.75


def test_the_stability_index_is_told_apart_from_the_noise_of_its_sample() -> None:
    draw = np.random.default_rng(7)
    index = [psi(draw.normal(size=2000), draw.normal(size=2000)) for _ in range(200)]
    assert np.mean(index) == pytest.approx(18 / 2000, rel=0.15)
    assert np.mean(np.array(index) <= psi_noise(2000)) == pytest.approx(0.95, abs=0.04)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=40))
def test_rank_correlation_is_that_of_scipy(pairs: list[tuple[int, int]]) -> None:
    a, b = (np.array(side, dtype=float) for side in zip(*pairs, strict=True))
    if len(set(a)) > 1 and len(set(b)) > 1:
        assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)


def test_constant_features_are_alike_only_when_both_are() -> None:
    ones, some = np.ones(5), np.array([1.0, 1.0, 1.0, 1.0, 2.0])
    assert (spearman(ones, ones), spearman(ones, some)) == (1.0, 0.0)


def test_lists_are_compared_at_their_top() -> None:
    policy = load_policy("enterprise_credit_line")
    old = pd.DataFrame(
        {"subject_no": np.arange(1000), "pd": PD[:1000], "grade": GRADE[:1000], "propensity": 0.1}
    )
    assert list_parity(old, old, policy, 100, LIMITS).verdict is Verdict.PASS
    worse = old.assign(pd=np.where(old["subject_no"] < 3, 0.9, old["pd"]))
    found = list_parity(old, worse, policy, 100, LIMITS)
    assert (found.verdict, found.statistic, found.blocks) == (Verdict.WARN, 97 / 103, False)
    assert list_parity(old, worse, policy, 1000, LIMITS).verdict is Verdict.PASS, (
        "further down they count for little"
    )


# -- protection --------------------------------------------------------------------------------------------------------

CROSSWALK = Crosswalk(
    pa.array(["a", "b", "c", "d", "d"]), pa.array(["A", "B", "B", "D", "E"]), pa.array(["2026-07-01"] * 5)
)


def protected(*ids: str, linking: str = "crosswalk") -> ParityFinding:
    return carry_over(
        "resident", pa.array(ids, pa.string()), linking, CROSSWALK if linking == "crosswalk" else None
    )  # type: ignore[arg-type]


@pytest.mark.parametrize("lost", ["b", "d", "z"])
def test_one_lost_subject_among_any_number_blocks(lost: str) -> None:
    assert not protected(*["a"] * 1000).blocks
    found = protected(*["a"] * 999_999, lost)
    assert found.blocks and found.counts["lost"] == 1, (
        "two to one, one to two, or not there: nobody is let pass"
    )


def test_without_a_crosswalk_protection_blocks_unless_pseudonyms_stay() -> None:
    assert protected(linking="none").blocks and protected("a", linking="none").blocks
    assert not protected("a", "z", linking="unchanged").blocks
    assert not protected().blocks, "nobody to protect"


def test_whoever_ever_refused_is_protected_whatever_came_later() -> None:
    day = pa.scalar(20_000, pa.date32())
    suppression = pa.table({"subject_no": pa.array([5, 5, 2], pa.int32())})
    consents = pa.table(
        {
            "subject_no": pa.array([1, 7, 7], pa.int32()),
            "withdrawn_at": pa.array([None, day, None], pa.date32()),
        }
    )
    assert protected_subjects(suppression, consents).tolist() == [2, 5, 7]
    assert protected_subjects(None, None).tolist() == []


def test_a_register_that_moves_keeps_everybody() -> None:
    assert not register_kept("resident", "suppression", [1, 2], [2, 1, 9]).blocks
    assert register_kept("resident", "suppression", [1, 2, 3], [1, 2]).counts["lost"] == 1


def test_consents_hold_for_families_whoever_delivers_them_and_those_of_no_family_are_told() -> None:
    told = ['["si"]', '["si", "tax"]', '["tax"]', None, "[]", '["city_si"]', '["si_person_month"]', "si"]
    consents = pa.table({"source_codes": pa.array(told, pa.string())})
    basis = consent_basis(consents, {"si"}, {"si", "tax"})
    assert (basis.cover, basis.other, basis.meaningless) == (3, 1, 4)
    found = meaningless_consents("resident", basis)
    assert (found.check, found.verdict, found.blocks) == ("PC15", Verdict.WARN, False)
    assert found.counts == {"consents": 8, "cover": 3, "of_no_family": 4}
    without = consent_basis(pa.table({"x": [1]}), {"si"}, {"si"})
    assert meaningless_consents("resident", without).verdict is Verdict.PASS
