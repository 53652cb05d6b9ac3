"""A policy and judged rows that the tests of this folder share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from models.decision.judged_scores import JudgedScores
from models.decision.policy import DecisionPolicy
from models.sample import Sample


def policy(**changes: Any) -> DecisionPolicy:
    """A small policy; `changes` replace entries."""
    plain: dict[str, Any] = {
        "policy": "tiny_credit",
        "version": 1,
        "model": "tiny_risk",
        "title": {"zh": "试", "en": "tiny"},
        "owner": {"zh": "风险", "en": "Risk"},
        "effective_from": "2026-12-01",
        "cut_offs": {"approve_from": 580, "decline_below": 540},
        "economics": {"exposure_amt": 1000.0, "margin_rate": 0.1, "lgd": 0.5, "cost_amt": 2.0},
        "vetoes": [
            {
                "rule": "BIG",
                "feature": "a",
                "at_least": 10,
                "outcome": "decline",
                "text": {"zh": "大", "en": "big"},
            },
            {
                "rule": "NONE",
                "feature": "b",
                "missing": True,
                "outcome": "refer",
                "text": {"zh": "无", "en": "none"},
            },
        ],
    }
    return DecisionPolicy.model_validate(plain | changes)


def judged(rows: int = 500, seed: int = 0, versions: int = 1) -> JudgedScores:
    """Rows of which some have no decided outcome, scored by one or two versions."""
    draw = np.random.default_rng(seed)
    true = draw.normal(-2.5, 1.2, rows)
    target = np.where(draw.random(rows) < 0.05, -1, draw.random(rows) < 1 / (1 + np.exp(-true))).astype(
        np.int8
    )
    odds = [true + draw.normal(0, 0.3 + 0.5 * version, rows) for version in range(versions)]
    points = tuple(np.rint(600 + 20 / np.log(2) * (-each - np.log(30))).astype(np.int32) for each in odds)
    features = pd.DataFrame({"a": draw.integers(0, 12, rows).astype(float), "b": draw.normal(size=rows)})
    features.loc[draw.random(rows) < 0.1, "b"] = np.nan
    sample = Sample(features, np.arange(rows), np.full(rows, "2026-06"), target)
    return JudgedScores(sample, points, tuple(1 / (1 + np.exp(-each)) for each in odds), ("2026-06",), False)
