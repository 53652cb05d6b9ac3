"""Small made-up samples and a trained record that the tests of this folder share."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from models.definition import ModelDefinition
from models.sample import Sample
from models.training import train
from models.training_record import TrainingInputs, TrainingRecord

NAMES = ["late_6m", "sales_12m", "gap_12m", "noise"]
SIGNS = {"late_6m": 1, "sales_12m": -1, "gap_12m": 1, "noise": 0}


def definition(**changes: Any) -> ModelDefinition:
    """A definition of a small model by repeated cross-validation; `changes` replace entries."""
    plain: dict[str, Any] = {
        "name": "tiny_risk",
        "title": {"zh": "小模型", "en": "Tiny"},
        "subject": "enterprise",
        "purpose": "risk",
        "feature_set": "tiny",
        "label": {"kind": "bank_outcome", "version": 1},
        "split": {"kind": "repeated_cv", "folds": 4, "repeats": 2},
        "lightgbm": {
            "rounds": 15, "learning_rate": 0.1, "num_leaves": 4, "min_data_in_leaf": 5,
            "bagging_fraction": 0.8, "bagging_freq": 1,
        },
        "scorecard": {"max_features": 4, "max_bins": 5, "prior_rows": 5.0},
        "min_bads": 10,
    }  # fmt: skip
    return ModelDefinition.model_validate(plain | changes)


def matrix(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(n, 4) features with missing cells and (n,) 0/1 outcomes that three of them drive."""
    draw = np.random.default_rng(seed)
    x = np.column_stack(
        [
            draw.poisson(1.0, rows),
            draw.lognormal(10, 1, rows),
            draw.poisson(0.7, rows),
            draw.normal(size=rows),
        ]
    ).astype(np.float64)
    odds = -1.2 + 0.7 * x[:, 0] - 0.6 * (np.log(x[:, 1]) - 10) + 0.5 * x[:, 2]
    y = (draw.random(rows) < 1.0 / (1.0 + np.exp(-odds))).astype(np.int8)
    x[draw.random(x.shape) < 0.08] = np.nan
    return x, y


def sample(rows: int = 300, seed: int = 0) -> Sample:
    """One as-of month, one row a subject; three rows are indeterminate."""
    x, y = matrix(rows, seed)
    y[:3] = -1
    return Sample(pd.DataFrame(x, columns=NAMES), np.arange(rows), np.full(rows, "2026-06"), y)


@cache
def trained() -> TrainingRecord:
    """A training that every test may read."""
    return train(
        definition(), sample(), SIGNS, TrainingInputs("2026-06", {"features/enterprise/tiny": 3}, "f" * 64)
    )


def bin_counts(edges: list[float], values: np.ndarray, target: np.ndarray) -> list[tuple[int, int]]:
    """Goods and bads per bin the slow way."""
    bounds = [-np.inf, *edges, np.inf]
    return [
        (
            int(((values > a) & (values <= b) & (target == 0)).sum()),
            int(((values > a) & (values <= b) & (target == 1)).sum()),
        )
        for a, b in zip(bounds, bounds[1:], strict=False)
    ]
