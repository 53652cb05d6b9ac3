"""Windows over state matrices of shape (months, subjects), ending at a row; shorter at the start of time."""

from __future__ import annotations

import numpy as np


def trailing_count(matrix: np.ndarray, row: int, window: int) -> np.ndarray:
    """How many of the last `window` months are positive (or true), per subject."""
    return np.count_nonzero(matrix[max(row - window + 1, 0) : row + 1] > 0, axis=0)


def trailing_max(matrix: np.ndarray, row: int, window: int) -> np.ndarray:
    """The greatest value of the last `window` months, per subject."""
    return np.asarray(matrix[max(row - window + 1, 0) : row + 1].max(axis=0))


def trailing_sum(matrix: np.ndarray, row: int, window: int) -> np.ndarray:
    """The sum over the last `window` months, per subject, as float64."""
    return np.asarray(matrix[max(row - window + 1, 0) : row + 1].sum(axis=0, dtype=np.float64))


def longest_run(matrix: np.ndarray, row: int, window: int) -> np.ndarray:
    """The longest run of true months within the last `window`, per subject."""
    run = best = np.zeros(matrix.shape[1], dtype=np.int16)
    for at in range(max(row - window + 1, 0), row + 1):
        run = np.where(matrix[at], run + 1, 0).astype(np.int16)
        best = np.maximum(best, run)
    return best
