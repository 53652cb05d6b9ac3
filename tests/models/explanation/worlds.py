"""A catalogue of made-up features, and trained models of both kinds over it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd

from core.definition_file import Bilingual
from core.purpose import Purpose
from core.subject import SubjectKind
from features.catalogue import Feature, FeatureSet
from models.candidates import CandidateKind
from models.explanation.explain import explain
from models.explanation.phrases import PhraseBook
from models.sample import Sample
from models.training import JudgedRows, train_judged
from models.training_record import TrainingInputs, TrainingRecord
from tests.models.worlds import definition

#: Name, sign, phrase, facts, fairness class.
ENTRIES = [
    ("late_3m", 1, "UTIL_LATE", "util_bill", "none"),
    ("late_12m", 1, "UTIL_LATE", "util_bill", "none"),
    ("use_12m", 0, "UTIL_USE", "util_bill", "none"),
    ("sales_12m", -1, "VAT_SALES", "tax_vat_return", "none"),
    ("arrears_12m", 1, "ARREARS", "tax_arrears", "none"),
    ("age_of_firm", -1, "REG_AGE", "reg_enterprise", "excluded_from_reasons"),
    ("proxy", 1, "SI_BASE", "si_employer_month", "review"),
    ("tenure", -1, "OWN_TENURE", "bk_customer", "none"),
]
NAMES = [entry[0] for entry in ENTRIES]
SIGNS = {entry[0]: entry[1] for entry in ENTRIES}
NEVER = {"age_of_firm", "proxy", "tenure"}


def feature(name: str, sign: int, phrase: str, facts: str, fairness: str) -> Feature:
    """One entry of the catalogue."""
    text = Bilingual(zh=name, en=name)
    return Feature(
        name=name, facts=facts, measure="m", formula="mean", window=12, over=None, over_facts=facts, unit="", risk=sign,
        purposes=frozenset({Purpose.RISK}), missing=text, title=text, phrase=phrase, scale=1.0, fairness=fairness,
        fairness_why=None if fairness == "none" else text,
    )  # fmt: skip


def feature_set() -> FeatureSet:
    """All of them."""
    title = Bilingual(zh="试", en="tiny")
    return FeatureSet("tiny", SubjectKind.ENTERPRISE, title, tuple(feature(*entry) for entry in ENTRIES), {})


def book() -> PhraseBook:
    """Sentences for them."""
    codes = ("UTIL_LATE", "UTIL_USE", "VAT_SALES", "ARREARS", "REG_AGE", "SI_BASE", "OWN_TENURE")
    return PhraseBook(
        subject=SubjectKind.ENTERPRISE,
        title=Bilingual(zh="试", en="tiny"),
        phrases={code: Bilingual(zh=f"因{code}", en=f"because of {code}") for code in codes},
        absences={
            "util_bill": Bilingual(zh="无账单", en="no bills"),
            "tax_vat_return": Bilingual(zh="无申报", en="no returns"),
        },
    )


def matrix(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(n, 8) features, of which bills and returns are missing for whole subjects, and 0/1 outcomes."""
    draw = np.random.default_rng(seed)
    x = np.column_stack([
        draw.poisson(0.8, rows), draw.poisson(1.5, rows), draw.normal(size=rows), draw.lognormal(10, 1, rows),
        draw.poisson(0.4, rows), draw.uniform(0, 20, rows), draw.normal(size=rows), draw.uniform(0, 9, rows),
    ]).astype(np.float64)  # fmt: skip
    odds = (
        -1.9
        + 0.5 * x[:, 0]
        + 0.3 * x[:, 1]
        - 0.6 * (np.log(x[:, 3]) - 10)
        + 0.8 * x[:, 4] * (1 + 0.3 * x[:, 0])
    )
    odds += 0.3 * x[:, 6] - 0.05 * x[:, 5] - 0.05 * x[:, 7] + 0.2 * x[:, 2]
    no_bills, no_returns = draw.random(rows) < 0.12, draw.random(rows) < 0.12
    odds += 1.0 * no_bills + 1.5 * no_returns
    y = (draw.random(rows) < 1.0 / (1.0 + np.exp(-odds))).astype(np.int8)
    x[no_bills, :3], x[no_returns, 3] = np.nan, np.nan
    x[draw.random(x.shape) < 0.03] = np.nan
    return x, y


@cache
def trained(ships: CandidateKind, rows: int = 700) -> tuple[TrainingRecord, JudgedRows]:
    """A training with its explanation, the candidate that ships chosen by the test."""
    x, y = matrix(rows)
    sample = Sample(pd.DataFrame(x, columns=NAMES), np.arange(rows), np.full(rows, "2026-06"), y)
    plain = {
        "rounds": 40, "learning_rate": 0.1, "num_leaves": 8, "min_data_in_leaf": 8, "bagging_fraction": 0.8, "bagging_freq": 1,
    }  # fmt: skip
    told = definition(
        split={"kind": "repeated_cv", "folds": 2, "repeats": 1},
        lightgbm=plain,
        scorecard={"max_features": 8, "max_bins": 5, "prior_rows": 5.0, "min_iv": 0.0},
    )
    record, judged = train_judged(told, sample, SIGNS, TrainingInputs("2026-06", {}, "f" * 64))
    record = replace(record, choice=replace(record.choice, ships=ships))
    return replace(record, explanation=explain(record, judged)), judged
