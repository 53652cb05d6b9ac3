"""The phrase books that ship stand on the catalogue that ships."""

import pytest

from core.purpose import Purpose
from core.subject import SubjectKind
from expectations.contract import load_contracts
from features.catalogue import load_catalogue
from features.fact_definition import load_all_facts
from leads.talking_points import FOLDER, load_phrases


@pytest.mark.parametrize("subject", list(SubjectKind))
def test_every_phrase_stands_on_a_feature_that_marketing_may_use(subject):
    schemas = {name: contract.schema() for name, contract in load_contracts().items()}
    sets = load_catalogue(load_all_facts(schemas), schemas).values()
    permitted = {
        name
        for feature_set in sets
        if feature_set.subject is subject
        for name in feature_set.for_purpose(Purpose.MARKETING)
    }
    book = load_phrases(FOLDER / f"{subject}.yaml", permitted)
    assert book.subject is subject and book.phrases
    assert all(phrase.text.zh and phrase.text.en for phrase in book.phrases)
