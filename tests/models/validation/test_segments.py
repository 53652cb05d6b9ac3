"""Segments: the broken one is found and named, small ones are suppressed, luck among many is not accused."""

import numpy as np
from sklearn.metrics import roc_auc_score

from models.validation.scored_sample import ScoredSample
from models.validation.segments import segment_findings
from tests.models.validation.worlds import calibrated, panel


def with_segments(sample: ScoredSample, codes: np.ndarray) -> ScoredSample:
    return ScoredSample(
        sample.pd, sample.outcome, sample.vintage, sample.subject_no, sample.grade, 10, {"industry": codes}
    )


def test_the_segment_whose_score_says_nothing_is_found() -> None:
    right = calibrated(8_000, seed=1, spread=1.2)
    codes = np.array(["A", "C", "F", "G"])[np.arange(8_000) % 4]
    shuffled = right.pd.copy()
    inside = np.flatnonzero(codes == "F")
    shuffled[inside] = np.random.default_rng(0).permutation(shuffled[inside])
    broken = ScoredSample(shuffled, right.outcome, right.vintage, right.subject_no, right.grade)
    loss, ratio = segment_findings(with_segments(broken, codes))
    assert (loss.verdict, ratio.verdict) == ("fail", "pass")
    rows = {row[0]: row for row in loss.details[0].rows}
    assert rows["F"][3] == min(row[3] for row in rows.values())
    assert rows["A"][3] == roc_auc_score(right.outcome[codes == "A"], right.pd[codes == "A"])
    assert rows["A"][1] == 2_000


def test_a_segment_with_twice_the_events_is_found() -> None:
    right = calibrated(8_000, seed=2)
    codes = np.where(np.arange(8_000) % 5 == 0, "thin", "thick")
    half = np.where(codes == "thin", right.pd / 2, right.pd)
    sample = ScoredSample(half, right.outcome, right.vintage, right.subject_no, right.grade)
    _, ratio = segment_findings(with_segments(sample, codes))
    assert ratio.verdict == "fail" and ratio.value is not None and 1.7 < ratio.value < 2.3


def test_twenty_equal_segments_seldom_warn() -> None:
    warned = 0
    for seed in range(40):
        sample = calibrated(6_000, seed)
        codes = np.random.default_rng(seed).integers(0, 20, 6_000).astype(str)
        found = segment_findings(with_segments(sample, codes))
        warned += any(each.verdict in ("warn", "fail") for each in found)
    assert warned <= 4


def test_small_segments_are_suppressed() -> None:
    sample = calibrated(3_000, seed=3)
    codes = np.where(np.arange(3_000) < 30, "tiny", np.where(np.arange(3_000) < 1_500, "east", "west"))
    loss, _ = segment_findings(with_segments(sample, codes))
    assert [row[0] for row in loss.details[0].rows] == ["east", "west", "1 suppressed / 略去"]
    assert loss.details[0].rows[-1][1:] == (None,) * 10
    none = segment_findings(with_segments(calibrated(40), np.full(40, "x")))
    assert [each.verdict for each in none] == ["unmeasured", "unmeasured"]


def test_a_kind_of_segment_is_named() -> None:
    sample, _ = panel(800)
    assert {each.about for each in segment_findings(sample)} == {"region"}
