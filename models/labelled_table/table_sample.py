"""From a table and a question to a sample with its plan; every row that is left out is counted under its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from core.errors import GsceneError
from core.months import Month
from models.definition import ModelDefinition, RepeatedSplit, Split
from models.labelled_table.encoding import Encoding, fit_encoding
from models.labelled_table.periods import Periods, periods_of, plan_periods, split_of
from models.labelled_table.question import Question
from models.labelled_table.reading import require_columns
from models.labelled_table.settings import definition_of, repeats_of
from models.labelled_table.target import refuse_leaks, target_of
from models.sample import Sample
from models.vintages import VintagePlan
from sources.identity.guard import column_clues, convincing, refusal

#: Subjects held out of the training side where ids stand on both sides of the split.
HELD_OUT = 0.3

FOLDS = 5


@dataclass(frozen=True)
class TableSample:
    """`sample.features` keeps the row numbers of the table as its index. `unlabelled`: features of rows without an outcome.

    `codes`: `segment`, `group`, `batch` and `trusted` -> (rows of the table,) codes as text, "" where empty.
    """

    definition: ModelDefinition
    sample: Sample
    unlabelled: pd.DataFrame
    unlabelled_subjects: np.ndarray
    plan: VintagePlan | None
    encoding: Encoding
    signs: Mapping[str, int]
    codes: Mapping[str, np.ndarray]

    @property
    def names(self) -> list[str]:
        """Features in order."""
        return self.sample.names


def build_table_sample(table: pd.DataFrame, asked: Question) -> TableSample:
    """Check, encode and split. Raises Refusal (SCHEMA, TARGET, LEAK, TIME, IDENTITY) naming file and column."""
    require_columns(asked.file, table, asked.named)
    columns = [column for column in table.columns if column not in asked.no_features]
    _refuse_people(asked, table, columns)
    target = target_of(asked.file, table, asked.target, asked.event)
    refuse_leaks(asked.file, table, target, columns)
    encoding = fit_encoding(table, columns, asked.categorical)
    if not encoding.features:
        raise GsceneError("no column of the table can be a feature.", "Exclude fewer columns.")
    features = encoding.matrix(table)
    subjects = _subjects(table, asked.subject_id)
    periods = periods_of(asked.file, table, asked.time) if asked.time is not None else None
    vintage = np.full(len(table), str(asked.month)) if periods is None else periods.vintage
    steps = {"rows of the table": len(table), "left out: no outcome": int((target < 0).sum())}
    steps["left out: no time"] = int(((target >= 0) & (vintage == "")).sum())
    kept = (target >= 0) & (vintage != "")
    sample = Sample(features[kept], subjects[kept], vintage[kept], target[kept])
    steps |= {
        "rows": len(sample),
        "subjects": len(np.unique(sample.subject_no)),
        "events": sample.events,
        "non-events": int((sample.target == 0).sum()),
        "indeterminate": 0,
    }
    split, plan = _split(asked, periods, target, sample)
    bare = target < 0
    return TableSample(
        definition=definition_of(asked, len(sample), split),
        sample=replace(sample, steps=steps),
        unlabelled=features[bare],
        unlabelled_subjects=subjects[bare],
        plan=plan,
        encoding=encoding,
        signs=_signs(asked, encoding),
        codes=_codes(table, asked),
    )


def _refuse_people(asked: Question, table: pd.DataFrame, columns: list[str]) -> None:
    """REFUSED/IDENTITY at the first column that holds names, telephones or ids of somebody."""
    for column in [*columns, *([asked.subject_id] if asked.subject_id else [])]:
        cells = table[column].dropna()
        if pd.api.types.is_float_dtype(cells) or pd.api.types.is_bool_dtype(cells):
            continue
        texts = pa.array(cells.astype(str).unique().tolist(), pa.string())
        found = convincing(column, column_clues(texts, len(table)), exempt=column == asked.subject_id)
        if found is not None:
            first = cells.astype(str).to_numpy() == texts[int(found.hits[0])].as_py()
            raise refusal(found.kind, str(asked.file), column, int(cells.index[int(first.argmax())]) + 2)


def _subjects(table: pd.DataFrame, column: str | None) -> np.ndarray:
    """A number a subject (n,); rows without an id are subjects of their own, as are all where there is no id."""
    if column is None:
        return np.arange(len(table))
    numbers, different = pd.factorize(table[column].astype("string"))
    unknown = numbers < 0
    numbers[unknown] = len(different) + np.arange(int(unknown.sum()))
    return np.asarray(numbers, dtype=np.int64)


def _split(
    asked: Question, periods: Periods | None, target: np.ndarray, sample: Sample
) -> tuple[Split, VintagePlan | None]:
    if periods is None or asked.time is None:
        repeats = asked.repeats or repeats_of(len(sample))
        return RepeatedSplit(kind="repeated_cv", folds=FOLDS, repeats=repeats), None
    plan = plan_periods(asked.file, asked.time, periods, target, asked.later_share, asked.gap_months)
    early, late = (_of(sample, side) for side in (plan.training, plan.out_of_time))
    shared = len(np.intersect1d(sample.subject_no[early], sample.subject_no[late])) > 0
    return split_of(plan, periods.grain, asked.gap_months, HELD_OUT if shared else 0.0), plan


def _of(sample: Sample, months: tuple[Month, ...]) -> np.ndarray:
    return np.isin(sample.as_of, [str(month) for month in months])


def _signs(asked: Question, encoding: Encoding) -> dict[str, int]:
    """Signs by feature. GsceneError where a column that isn't a number, or no feature, was given one."""
    signs = {}
    for column, sign in asked.monotone.items():
        numbers = [each.name for each in encoding.features if each.column == column and each.value is None]
        if not numbers:
            raise GsceneError(
                f"--monotone {column}: the column is no number among the features.",
                "Give the sign to a column of numbers that isn't left out.",
            )
        signs[numbers[0]] = sign
    return signs


def _codes(table: pd.DataFrame, asked: Question) -> dict[str, np.ndarray]:
    wanted: dict[str, Any] = {
        "segment": asked.segment, "group": asked.group, "batch": asked.batch, "trusted": asked.trusted,
    }  # fmt: skip
    return {
        role: np.where(table[column].isna(), "", table[column].astype(str).str.strip()).astype(str)
        for role, column in wanted.items()
        if column is not None
    }
