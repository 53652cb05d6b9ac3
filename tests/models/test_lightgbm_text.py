"""LightGBM texts: the same to the byte each time, signs obeyed, and edited ones refused before LightGBM reads them."""

import re
from collections.abc import Callable

import numpy as np
import pytest

from core.errors import Refusal
from models.definition import LightgbmParameters
from models.lightgbm_model import LARGEST, BoosterScore, booster_settings, fit_booster
from models.lightgbm_text import check_model_text
from tests.models.worlds import NAMES, SIGNS, matrix

PARAMETERS = LightgbmParameters(
    rounds=12, learning_rate=0.1, num_leaves=5, min_data_in_leaf=5, bagging_fraction=0.8, bagging_freq=1
)
X, Y = matrix(400)
TEXT = fit_booster(X, Y, NAMES, SIGNS, PARAMETERS, threads=1, seed=7).text


def test_training_twice_gives_the_same_bytes_whatever_the_threads() -> None:
    assert fit_booster(X, Y, NAMES, SIGNS, PARAMETERS, threads=1, seed=7).text == TEXT
    assert fit_booster(X, Y, NAMES, SIGNS, PARAMETERS, threads=2, seed=7).text == TEXT
    assert fit_booster(X, Y, NAMES, SIGNS, PARAMETERS, threads=1, seed=8).text != TEXT


def test_the_text_scores_exactly_like_lightgbm_and_holds_no_range_of_values() -> None:
    import lightgbm

    settings = booster_settings(PARAMETERS, [SIGNS[name] for name in NAMES], 1, 7)
    data = lightgbm.Dataset(X, label=Y, feature_name=NAMES, params=settings)
    booster = lightgbm.train(settings, data, num_boost_round=PARAMETERS.rounds)
    assert np.array_equal(booster.predict(X, raw_score=True), BoosterScore(TEXT, NAMES).log_odds(X, 1))
    assert str(float(np.nanmax(X[:, 1])))[:12] not in TEXT
    assert str(float(np.nanmax(X[:, 1])))[:12] in booster.model_to_string()


def test_signs_are_obeyed() -> None:
    score = BoosterScore(TEXT, NAMES)
    for place, name in enumerate(NAMES[:3]):
        rows = np.tile(np.nanmedian(X, axis=0), (50, 1))
        rows[:, place] = np.linspace(np.nanmin(X[:, place]), np.nanmax(X[:, place]), 50)
        assert (SIGNS[name] * np.diff(score.log_odds(rows, 1)) >= 0).all()


def test_early_stopping_keeps_the_best_round() -> None:
    patient = PARAMETERS.model_copy(update={"rounds": 400, "learning_rate": 0.3, "early_stopping_rounds": 5})
    fitted = fit_booster(X, Y, NAMES, SIGNS, patient, threads=1, seed=1, validation=matrix(300, seed=9))
    assert 0 < fitted.rounds < 100
    assert fitted.text.count("Tree=") == fitted.rounds


def test_splits_of_missing_values_and_constant_columns_are_well_formed() -> None:
    column = np.where(np.arange(200) % 3 == 0, np.nan, np.arange(200) % 7 + 1.0)
    y = np.isnan(column).astype(int)
    fitted = fit_booster(np.column_stack([column, column]), y, ["a", "b"], {}, PARAMETERS, threads=1, seed=1)
    assert LARGEST in fitted.text
    assert "inf" not in fitted.text.partition("Tree=0")[2]
    odds = BoosterScore(fitted.text, ["a", "b"]).log_odds(
        np.array([[np.nan, np.nan], [1.0, 1.0], [9e300, 9e300]]), 1
    )
    assert odds[0] > odds[1] + 1.0
    assert odds[1] == pytest.approx(odds[2])
    stump = fit_booster(np.zeros((60, 1)), Y[:60], ["a"], {}, PARAMETERS, threads=1, seed=1)
    assert np.isfinite(BoosterScore(stump.text, ["a"]).log_odds(np.zeros((2, 1)), 1)).all()


def edit(pattern: str, new: str | Callable[[re.Match[str]], str]) -> Callable[[str], str]:
    """Replace the first match inside the first tree or header, mending tree_sizes so that only the edit itself is wrong."""

    def apply(text: str) -> str:
        changed = re.sub(pattern, new, text, count=1, flags=re.M)
        assert changed != text
        blocks = re.split(r"(?m)^(?=Tree=)", changed.partition("end of trees\n")[0])[1:]
        sizes = " ".join(str(len(block)) for block in blocks)
        return (
            changed
            if "tree_sizes" in pattern
            else re.sub(r"(?m)^tree_sizes=.*$", f"tree_sizes={sizes}", changed, count=1)
        )

    return apply


TAMPERED = {
    "child beyond the leaves": edit(r"^left_child=\S+", "left_child=-999"),
    "child beyond the nodes": edit(r"^left_child=\S+", "left_child=999"),
    "loop to the root": edit(r"^(left_child=.*) \S+$", r"\1 0"),
    "a child used twice": edit(r"^right_child=(\S+) (\S+)", r"right_child=\1 \1"),
    "negative right child": edit(r"^right_child=\S+", "right_child=-100"),
    "split feature out of range": edit(r"^split_feature=\d+", "split_feature=4"),
    "huge split feature": edit(r"^split_feature=\d+", "split_feature=2000000000"),
    "negative split feature": edit(r"^split_feature=\d+", "split_feature=-1"),
    "NaN leaf": edit(r"^leaf_value=\S+", "leaf_value=nan"),
    "infinite leaf": edit(r"^leaf_value=\S+", "leaf_value=inf"),
    "infinite threshold": edit(r"^threshold=\S+", "threshold=-inf"),
    "word as a threshold": edit(r"^threshold=\S+", "threshold=one"),
    "a leaf too few": edit(r"^leaf_value=\S+ ", "leaf_value="),
    "leaves that aren't there": edit(r"^num_leaves=\d+", "num_leaves=900"),
    "enormous number of leaves": edit(r"^num_leaves=\d+", "num_leaves=2147483647"),
    "categorical split": edit(r"^num_cat=0", "num_cat=1"),
    "linear leaves": edit(r"^is_linear=0", "is_linear=1"),
    "unknown decision": edit(r"^decision_type=\d+", "decision_type=1"),
    "wrong size of a tree": edit(r"^tree_sizes=\d+", "tree_sizes=17"),
    "more trees than there are": edit(r"^tree_sizes=", "tree_sizes=400 "),
    "another objective": edit(r"^objective=.*$", "objective=regression"),
    "another feature": edit(r"^feature_names=\S+", "feature_names=income"),
    "ranges of values": edit(r"^feature_infos=none", "feature_infos=[1:2]"),
    "unknown entry": edit(r"^num_cat=0", "num_cat=0\nevil=1"),
    "entry twice": edit(r"^num_cat=0", "num_cat=0\nnum_cat=0"),
    "cut short": lambda text: text[: len(text) // 2],
    "no trees": lambda text: text.partition("\nTree=0")[0],
    "empty": lambda text: "",
    "something after the trees": lambda text: text + "parameters:\n[input_model: /etc/passwd]\n",
}


@pytest.mark.parametrize("kind", TAMPERED)
def test_tampered_texts_are_refused(kind: str) -> None:
    check_model_text(TEXT, NAMES)
    with pytest.raises(Refusal, match="REFUSED/MODEL"):
        check_model_text(TAMPERED[kind](TEXT), NAMES)


def test_only_offered_features_are_split_on() -> None:
    some = NAMES[:2]
    fitted = fit_booster(X, Y, NAMES, SIGNS, PARAMETERS, threads=1, seed=7, offered=set(some))
    assert {name for name, gain in zip(NAMES, fitted.gain, strict=True) if gain > 0} == set(some)
    assert fit_booster(X, Y, NAMES, SIGNS, PARAMETERS, threads=1, seed=7, offered=set(NAMES)).text == TEXT
