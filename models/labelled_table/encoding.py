"""Columns as features: numbers as they are, codes as one 0/1 feature for each frequent value.

One-hot, because it never looks at the target: nothing of an outcome can leak over folds or into the out-of-time side, and one
encoding serves both candidates (the weight of evidence of a 0/1 feature is that of its value, and it is fitted inside each fold).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

#: A value becomes a feature where it stands in at least so many rows and such a share of them; rarer ones are 0 in all of them.
LEAST_ROWS, LEAST_SHARE = 20, 0.005

MOST_VALUES = 20

#: Text of which more than this share of the rows has a value of its own is a name or a remark, not a code.
UNIQUE_SHARE = 0.5

_DATE = re.compile(r"\d{4}[-/]\d{1,2}([-/]\d{1,2}.*)?")


@dataclass(frozen=True)
class EncodedFeature:
    """One feature: the column behind it, and the value that makes it 1 (None: the number itself)."""

    name: str
    column: str
    value: str | None


@dataclass(frozen=True)
class Encoding:
    """Features in order, and columns that became none with the reason."""

    features: tuple[EncodedFeature, ...]
    left_out: tuple[tuple[str, str], ...]

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {"features": [asdict(each) for each in self.features], "left_out": dict(self.left_out)}

    def matrix(self, table: pd.DataFrame) -> pd.DataFrame:
        """Float64 features of a table with these columns; a missing cell is NaN in all features of its column."""
        columns = {}
        texts: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for each in self.features:
            if each.value is None:
                columns[each.name] = _numbers(table[each.column])
                continue
            if each.column not in texts:
                missing = table[each.column].isna().to_numpy()
                texts[each.column] = (_texts(table[each.column]).to_numpy(), missing)
            cells, missing = texts[each.column]
            columns[each.name] = np.where(missing, np.nan, (cells == each.value).astype(np.float64))
        return pd.DataFrame(columns, index=table.index)


def fit_encoding(table: pd.DataFrame, columns: list[str], categorical: Collection[str]) -> Encoding:
    """Decide for each column by its own values alone."""
    features: list[EncodedFeature] = []
    left_out: list[tuple[str, str]] = []
    taken: set[str] = set()
    for place, column in enumerate(columns, start=1):
        cells = table[column]
        stem = _name(column, place)
        reason = _unfit(cells, column in categorical)
        if reason is not None:
            left_out.append((column, reason))
        elif column not in categorical and _is_number(cells):
            features.append(EncodedFeature(_free(stem, taken), column, None))
        else:
            values = _frequent(cells)
            if not values:
                left_out.append((column, "no value stands in enough rows"))
            for number, value in enumerate(values, start=1):
                name = _free(f"{stem}__{_slug(value) or number}", taken)
                features.append(EncodedFeature(name, column, value))
    return Encoding(tuple(features), tuple(left_out))


def _unfit(cells: pd.Series, told_categorical: bool) -> str | None:
    known = cells.dropna()
    if known.empty:
        return "empty"
    if known.nunique() < 2 and len(known) == len(cells):
        return "the same in every row"
    if _is_number(cells) and not told_categorical:
        return None
    if pd.api.types.is_datetime64_any_dtype(cells):
        return "a date"
    texts = _texts(known)
    if texts.iloc[:: max(1, len(texts) // 1000)].str.fullmatch(_DATE).mean() > 0.95:
        return "a date"
    return "a value of its own in most rows" if texts.nunique() > UNIQUE_SHARE * len(texts) else None


def _frequent(cells: pd.Series) -> list[str]:
    counts = _texts(cells.dropna()).value_counts()
    counts = counts[counts >= max(LEAST_ROWS, LEAST_SHARE * len(cells))]
    # By falling count, of equals by text: the same table gives the same features. Of two values one says all.
    ranked = sorted(counts.items(), key=lambda each: (-int(each[1]), str(each[0])))
    kept = [str(value) for value, _ in ranked[:MOST_VALUES]]
    return kept[1:] if len(kept) == 2 and cells.nunique() == 2 else kept


def _is_number(cells: pd.Series) -> bool:
    return bool(pd.api.types.is_bool_dtype(cells) or pd.api.types.is_numeric_dtype(cells))


def _numbers(cells: pd.Series) -> np.ndarray:
    values = cells.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)


def _texts(cells: pd.Series) -> pd.Series:
    return cells.astype(str).str.strip()


def _name(column: str, place: int) -> str:
    """A name that a bundle can hold; columns that have no Latin letter are named by their place."""
    return _slug(column) or f"column_{place}"


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")[:60]


def _free(name: str, taken: set[str]) -> str:
    """The name, with a number where it is taken already."""
    free, number = name, 2
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    taken.add(free)
    return free
