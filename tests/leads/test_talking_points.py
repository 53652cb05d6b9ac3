"""Phrases: permitted features only, three at most, never a number."""

import numpy as np
import pandas as pd
import pytest

from core.errors import Refusal
from core.subject import SubjectKind
from leads.talking_points import FOLDER, PhraseBook, load_phrases, talking_points

BOOK = PhraseBook.model_validate(
    {
        "subject": "resident",
        "title": {"zh": "话术", "en": "phrases"},
        "phrases": [
            {
                "phrase": name.upper(),
                "feature": name,
                "at_least": 1,
                "text": {"zh": name + "中", "en": name},
            }
            for name in ("a", "b", "c", "d")
        ],
    }
)


def features(**columns):
    rows = max(len(values) for values in columns.values())
    base = {name: [np.nan] * rows for name in "abcd"}
    return pd.DataFrame({"subject_no": range(rows)} | base | columns)


def test_the_first_three_that_hold_are_said():
    said = talking_points(features(a=[1, 0, 1], b=[1, 2, np.nan], c=[1, 0, 1], d=[1, 5, 1]), BOOK)
    assert said["why_now_en"].tolist() == ["a; b; c", "b; d", "a; c; d"]
    assert said["why_now_zh"].tolist() == ["a中；b中；c中", "b中；d中", "a中；c中；d中"]


def test_a_missing_feature_says_nothing():
    assert talking_points(features(a=[np.nan]), BOOK)["why_now_en"].tolist() == [""]


def test_between_two_limits_and_each_text_once():
    book = PhraseBook.model_validate(
        {
            "subject": "resident",
            "title": {"zh": "话术", "en": "phrases"},
            "phrases": [
                {
                    "phrase": "P",
                    "feature": "a",
                    "at_least": 1,
                    "at_most": 2,
                    "text": {"zh": "中", "en": "in"},
                },
                {
                    "phrase": "Q",
                    "feature": "b",
                    "at_most": 0,
                    "text": {"zh": "中", "en": "in"},
                },
            ],
        }
    )
    said = talking_points(features(a=[0, 1, 2, 3], b=[0, 0, 9, 9]), book)
    assert said["why_now_en"].tolist() == ["in", "in", "in", ""]


def test_a_feature_without_the_marketing_purpose_is_refused_with_its_line(tmp_path):
    text = (FOLDER / "resident.yaml").read_text(encoding="utf-8")
    file = tmp_path / "resident.yaml"
    file.write_text(text.replace("service_cases_3m", "util_unpaid_12m"), encoding="utf-8")
    permitted = {
        "service_since_12m",
        "service_cases_3m",
        "service_app_share_12m",
        "service_cases_12m",
    }
    assert load_phrases(FOLDER / "resident.yaml", permitted).subject is SubjectKind.RESIDENT
    with pytest.raises(Refusal, match="not permitted for marketing") as refused:
        load_phrases(file, permitted)
    lines = file.read_text(encoding="utf-8").splitlines()
    assert "util_unpaid_12m" in lines[refused.value.line - 1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": {"zh": "{a}", "en": "x"}},
        {"text": {"zh": "90%", "en": "x"}},
        {"at_least": None},
    ],
)
def test_placeholders_and_unconditional_phrases_are_refused(wrong):
    phrase = {
        "phrase": "P",
        "feature": "a",
        "at_least": 1,
        "text": {"zh": "中", "en": "x"},
    } | wrong
    with pytest.raises(ValueError, match=r"fixed text|at_least"):
        PhraseBook.model_validate({"subject": "resident", "title": {"zh": "", "en": ""}, "phrases": [phrase]})
