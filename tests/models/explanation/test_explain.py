"""Global explanation beside slow and obvious versions of the same, and on models that are known to be wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from models.candidates import CandidateKind
from models.explanation.explain import SHUFFLES, explain
from models.explanation.profiles import check_constraints, interactions, profile
from models.explanation.scored_model import ScoredModel
from models.scorecard import Scorecard
from tests.models.explanation.worlds import NAMES, matrix, trained

KINDS = list(CandidateKind)


@pytest.mark.parametrize("kind", KINDS)
def test_profiles_are_means_over_rows_moved_one_by_one(kind: CandidateKind) -> None:
    record, _ = trained(kind)
    model, (rows, _) = ScoredModel.of_record(record), matrix(60, seed=3)
    told = profile(model, rows, "late_12m", 1, 1, threads=1)
    curves = list(zip(told.grid, told.mean, told.low, told.high, strict=True))
    for level, mean, low, high in [*curves, (np.nan, *told.missing)]:
        curve = []
        for row in rows:
            moved = row.copy()
            moved[1] = level
            curve.append(float(model.probability(model.log_odds(moved[None]))[0]))
        assert mean == pytest.approx(np.mean(curve), abs=1e-12)
        assert (low, high) == pytest.approx(tuple(np.quantile(curve, (0.1, 0.9))), abs=1e-12)
    assert len(told.grid) > 2 and list(told.mean) == sorted(told.mean)


@pytest.mark.parametrize("kind", KINDS)
def test_declared_signs_hold_at_every_step(kind: CandidateKind) -> None:
    record, _ = trained(kind)
    explanation = record.explanation
    assert explanation is not None and explanation.against == 0
    assert all(check.every_step for check in explanation.constraints)
    assert sum(check.moves for check in explanation.constraints) > 1_000


def test_a_sign_that_does_not_hold_is_found() -> None:
    """The same models held against the opposite sign, and a card with one bin turned round."""
    record, _ = trained(CandidateKind.LIGHTGBM)
    rows, _ = matrix(50, seed=4)
    wrong = next(check_constraints(ScoredModel.of_record(record), rows, [("late_12m", 1, -1)], 1))
    assert wrong.against > 0 and wrong.largest_against > 0.0
    record, _ = trained(CandidateKind.SCORECARD)
    model = ScoredModel.of_record(record)
    place = record.scorecard.names.index("arrears_12m")
    bins = list(record.scorecard.bins)
    bins[place] = replace(bins[place], woe=bins[place].woe[::-1])
    turned = replace(
        model, scorecard=Scorecard(record.scorecard.intercept, record.scorecard.coefficients, tuple(bins))
    )
    assert next(check_constraints(turned, rows, [("arrears_12m", 4, 1)], 1)).against > 0


def test_interactions_are_none_for_a_sum_and_found_for_a_product() -> None:
    rows, _ = matrix(300, seed=5)
    pairs = [
        (name, place) for place, name in enumerate(NAMES) if name in ("late_3m", "arrears_12m", "sales_12m")
    ]
    card = interactions(ScoredModel.of_record(trained(CandidateKind.SCORECARD)[0]), rows, pairs, 1)
    assert len(card) == 3 and all(each.h == pytest.approx(0.0, abs=1e-6) for each in card)
    trees = interactions(ScoredModel.of_record(trained(CandidateKind.LIGHTGBM)[0]), rows, pairs, 1)
    assert trees[0].h > 0.02 and [each.h for each in trees] == sorted(
        (each.h for each in trees), reverse=True
    )


def test_importance_by_shuffling_is_the_loss_of_auc() -> None:
    record, judged = trained(CandidateKind.LIGHTGBM)
    model, explanation = ScoredModel.of_record(record), record.explanation
    assert explanation is not None
    rows, target = judged.sample.matrix, judged.sample.target
    draw = np.random.default_rng(record.definition.seed)
    orders = [draw.permutation(len(rows)) for _ in range(SHUFFLES)]
    whole, drops = roc_auc_score(target, model.log_odds(rows)), []
    for order in orders:
        moved = rows.copy()
        moved[:, 4] = rows[order, 4]
        drops.append(whole - roc_auc_score(target, model.log_odds(moved)))
    told = {each.name: each for each in explanation.importance}
    assert told["arrears_12m"].auc_drop == pytest.approx(np.mean(drops), abs=1e-12)
    sizes = [each.contribution for each in explanation.importance]
    assert sizes == sorted(sizes, reverse=True)
    assert sum(each.gain_share for each in explanation.importance) == pytest.approx(1.0)


def test_the_same_whatever_the_threads_and_within_its_limits() -> None:
    record, judged = trained(CandidateKind.LIGHTGBM)
    assert explain(record, judged, threads=2) == record.explanation
    assert record.explanation is not None and record.explanation.rows <= 1_000


def test_few_rows_show_no_curves() -> None:
    """A band over a handful of rows would be those persons' own curves."""
    record, judged = trained(CandidateKind.LIGHTGBM)
    few = replace(judged, sample=judged.sample.take(np.arange(49)))
    told = explain(record, few)
    assert told.profiles == () and told.interactions == () and told.importance
