"""The reference that reasons are told against: the middle of the population that the champion learned from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.definition_file import Bilingual

#: Significant digits of a reference value: readable, and nobody's own amount.
DIGITS = 4

#: What the reference is, said with every reason.
STATED = Bilingual(
    zh="参照：该模型训练样本（有确定结果的行）各特征的中位数；过半缺失的特征以缺失为参照",
    en="Reference: the median of each feature over the rows with a decided outcome that the model was trained on; missing where "
    "more than half of them are",
)


@dataclass(frozen=True)
class Reference:
    """`values`: (feature, median or None for missing) in the model's column order, over `rows` rows of the training side."""

    values: tuple[tuple[str, float | None], ...]
    rows: int

    def vector(self, names: list[str]) -> np.ndarray:
        """(p,) float64 in the order of `names`, NaN = missing."""
        known = dict(self.values)
        return np.array([np.nan if known[name] is None else known[name] for name in names], dtype=np.float64)


def reference_of(matrix: np.ndarray, names: list[str]) -> Reference:
    """The reference of an (n, p) training matrix. A median between two rows is rounded down to one that occurs, so that a count
    stays a count."""
    values: list[tuple[str, float | None]] = []
    for place, name in enumerate(names):
        column = matrix[:, place]
        known = column[~np.isnan(column)]
        if len(known) * 2 < len(column) or not len(known):
            values.append((name, None))
        else:
            values.append((name, float(f"{np.quantile(known, 0.5, method='lower'):.{DIGITS}g}")))
    return Reference(tuple(values), len(matrix))
