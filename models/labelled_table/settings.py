"""The definition of a model on a labelled table: parameters by the number of rows, everything else as asked.

Three sizes, measured on open data: 62 firms (many weak features, heavy shrinkage), 1,000 applications, 30,000 accounts.
"""

from __future__ import annotations

import re
from typing import Any

from core.purpose import Purpose
from models.definition import ModelDefinition, Split
from models.labelled_table.question import Question

SMALL, LARGE = 300, 5_000

#: Events below which nothing is trained.
LEAST_EVENTS = 10

_LIGHTGBM: dict[str, dict[str, Any]] = {
    "small": {
        "max_features": 30, "rounds": 200, "learning_rate": 0.05, "num_leaves": 3, "min_data_in_leaf": 5, "lambda_l2": 5.0,
        "feature_fraction": 0.2, "bagging_fraction": 0.8, "bagging_freq": 1, "extra_trees": True,
    },
    "middle": {
        "rounds": 100, "early_stopping_rounds": 30, "learning_rate": 0.05, "num_leaves": 6, "min_data_in_leaf": 20,
        "lambda_l2": 5.0, "feature_fraction": 0.6, "bagging_fraction": 0.8, "bagging_freq": 1,
    },
    "large": {
        "rounds": 250, "early_stopping_rounds": 30, "learning_rate": 0.05, "num_leaves": 12, "min_data_in_leaf": 100,
        "lambda_l2": 10.0, "feature_fraction": 0.5, "bagging_fraction": 0.8, "bagging_freq": 1,
    },
}  # fmt: skip

_SCORECARD: dict[str, dict[str, Any]] = {
    "small": {
        "max_features": 12, "max_bins": 5, "min_bin_share": 0.1, "prior_rows": 5.0, "min_iv": 0.1, "max_correlation": 0.9,
        "inverse_penalty": 0.05,
    },
    "middle": {
        "max_features": 25, "max_bins": 8, "min_bin_share": 0.04, "prior_rows": 5.0, "max_correlation": 0.8,
    },
    "large": {
        "max_features": 30, "max_bins": 12, "min_bin_share": 0.03, "prior_rows": 10.0, "min_iv": 0.01, "max_correlation": 0.85,
    },
}  # fmt: skip


def size_of(rows: int) -> str:
    """`small`, `middle` or `large`."""
    return "small" if rows < SMALL else "middle" if rows < LARGE else "large"


def repeats_of(rows: int) -> int:
    """Repeats of five-fold cross-validation: the fewer rows, the more the luck of the draw has to be averaged out."""
    return {"small": 20, "middle": 5, "large": 1}[size_of(rows)]


def definition_of(asked: Question, rows: int, split: Split) -> ModelDefinition:
    """The definition for so many rows with an outcome."""
    size = size_of(rows)
    name = asked.file.name.split(".")[0]
    wanted = asked.purpose is Purpose.MARKETING
    return ModelDefinition.model_validate(
        {
            "name": "table_" + (re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "unnamed"),
            "title": {"zh": f"带标签的表 {name}", "en": f"Labelled table {name}"},
            "subject": asked.subject,
            "purpose": asked.purpose,
            "feature_set": "labelled_table",
            "label": {"kind": "stated_outcome", "version": 1, "column": asked.target, "wanted": wanted},
            "split": split.model_dump(),
            "lightgbm": _LIGHTGBM[size],
            "scorecard": _SCORECARD[size],
            "min_bads": LEAST_EVENTS,
            "seed": asked.seed,
            "known_limits": [
                {
                    "zh": "由单独一张表训练：没有交付、回执与签署，不得用于评分。",
                    "en": "Trained on a table alone: no delivery, receipt or sign-off stands behind it, so it may not score.",
                }
            ],
        }
    )
