"""The shipped sentences fit the shipped catalogue."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.definition_file import Bilingual
from core.errors import Refusal
from core.purpose import Purpose
from core.subject import SubjectKind
from models.explanation.phrases import SHIPPED, PhraseBook, load_phrase_book
from models.explanation.reason_plan import NO_PHRASE, not_for_reasons, plan_reasons
from pipelines.workplace import blueprint

RISK = {name: model for name, model in blueprint().models.items() if model.purpose is Purpose.RISK}


def test_every_feature_of_a_risk_model_has_a_sentence_or_a_cause_why_it_is_never_told() -> None:
    for model in RISK.values():
        feature_set = blueprint().feature_sets[model.feature_set]
        names = feature_set.for_purpose(Purpose.RISK)
        plan = plan_reasons(names, feature_set, load_phrase_book(model.subject))
        lacking = [name for name, why in plan.withheld.items() if why == NO_PHRASE]
        assert not lacking, f"{model.name}: no sentence in models/explanation/phrases for {lacking[:5]}"
        assert len(plan.codes) > 15


def test_no_feature_of_a_fairness_class_is_ever_told() -> None:
    for model in RISK.values():
        feature_set = blueprint().feature_sets[model.feature_set]
        plan = plan_reasons(feature_set.names, feature_set, load_phrase_book(model.subject))
        for place, feature in enumerate(feature_set.features):
            if feature.fairness != "none":
                assert not plan.code[place] and not plan.absent[place], feature.name


@pytest.mark.parametrize("kind", list(SubjectKind))
def test_sentences_and_exclusions_name_what_there_is(kind: SubjectKind) -> None:
    book, sets = load_phrase_book(kind), [s for s in blueprint().feature_sets.values() if s.subject is kind]
    keys = {feature.phrase for each in sets for feature in each.features}
    assert set(book.phrases) <= keys
    assert set(book.absences) <= {facts for each in sets for facts in each.facts}
    texts = [text.en for text in book.texts.values()] + [text.zh for text in book.texts.values()]
    assert len(set(texts)) == len(texts), "two codes in the same words would be told as two reasons"


def test_every_exclusion_is_of_a_phrase_that_there_is() -> None:
    keys = {feature.phrase for each in blueprint().feature_sets.values() for feature in each.features}
    assert set(not_for_reasons().phrases) <= keys


def test_a_number_or_placeholder_in_a_sentence_is_refused(tmp_path: Path) -> None:
    text = Bilingual(zh="欠费3次", en="in arrears 3 times")
    with pytest.raises(ValueError, match="fixed text"):
        PhraseBook(subject=SubjectKind.RESIDENT, title=text, phrases={"A": text})


def test_a_file_of_the_other_kind_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "resident.yaml").write_bytes((SHIPPED / "enterprise.yaml").read_bytes())
    monkeypatch.setattr("models.explanation.phrases.SHIPPED", tmp_path)
    with pytest.raises(Refusal, match="enterprise stand in the file of resident"):
        load_phrase_book(SubjectKind.RESIDENT)
