"""The target of a labelled table as 0/1, and columns that are the target under another name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from core.errors import Refusal
from models.screening.leak_probe import alone

#: Target of a row without an outcome.
NO_OUTCOME = -2

#: Events and non-events from which a column that separates them is refused; fewer may be parted by chance.
LEAST_EVENTS = 10

#: Values of a text column are taken as codes where each stands in so many rows on average.
ROWS_A_CODE = 5


def target_of(file: Path, table: pd.DataFrame, column: str, event: str | None) -> np.ndarray:
    """(n,) int8: 1 event, 0 none, NO_OUTCOME where the cell is empty. Refusal REFUSED/TARGET where it isn't 0/1.

    `event` names the value that is the event; every other one is its absence.
    """
    cells = table[column]
    known = cells.notna().to_numpy()
    found = np.full(len(cells), NO_OUTCOME, dtype=np.int8)
    values = cells[known]
    if event is not None:
        hits = _texts(values) == event
        if not hits.any() or hits.all():
            what = "no cell of the target is" if not hits.any() else "every cell of the target is"
            raise _refuse(file, column, f"{what} the value named by --event", "Check its spelling.")
        found[known] = hits
        return found
    numbers = (
        values.astype(np.int8)
        if pd.api.types.is_bool_dtype(values)
        else pd.to_numeric(values, errors="coerce")
    )
    if not numbers.isin([0, 1]).all():
        different = int(cells[known].nunique())
        raise _refuse(
            file,
            column,
            f"the target isn't 0/1: it holds {different:,} different values",
            "Name the value that is the event with --event, or make a 0/1 column.",
        )
    found[known] = numbers.to_numpy(dtype=np.int8)
    return found


def refuse_leaks(file: Path, table: pd.DataFrame, target: np.ndarray, columns: list[str]) -> None:
    """Refusal REFUSED/LEAK naming every column that alone knows the outcome of each row: the target under another name.

    A number leaks where it ranks all events apart (AUC exactly 1), a code where each value stands with one outcome only.
    """
    decided = target >= 0
    y = target[decided]
    if min(int((y == 1).sum()), int((y == 0).sum())) < LEAST_EVENTS:
        return
    told = [column for column in columns if _separates(table.loc[decided, column], y)]
    if told:
        raise Refusal(
            "REFUSED/LEAK",
            f"leak suspects that alone know every outcome: {', '.join(told)}.",
            file=str(file),
            column=told[0],
            remedy="Leave out what is known only afterwards: "
            + " ".join(f"--exclude {name}" for name in told)
            + ".",
        )


def _separates(cells: pd.Series, y: np.ndarray) -> bool:
    if pd.api.types.is_bool_dtype(cells) or pd.api.types.is_numeric_dtype(cells):
        values = pd.to_numeric(cells).to_numpy(dtype=np.float64, na_value=np.nan)
        if np.isnan(values).all():
            return False
        return max(alone(values, y)) == 1.0
    codes, different = pd.factorize(_texts(cells).to_numpy(), use_na_sentinel=False)
    if len(different) < 2 or len(different) * ROWS_A_CODE > len(y):
        return False
    hits = np.bincount(codes, y)
    return bool(((hits == 0) | (hits == np.bincount(codes))).all())


def _texts(cells: pd.Series) -> pd.Series:
    return cells.astype(str).str.strip()


def _refuse(file: Path, column: str, what: str, remedy: str) -> Refusal:
    return Refusal("REFUSED/TARGET", f"{what}.", file=str(file), column=column, remedy=remedy)
