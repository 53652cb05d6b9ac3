"""Which features two engines tell apart."""

from __future__ import annotations

import numpy as np
import pandas as pd


def apart(ours: pd.DataFrame, theirs: pd.DataFrame) -> list[str]:
    """Names of the features that differ by more than 1e-9 relative in any subject, or are missing on one side only."""
    pd.testing.assert_index_equal(ours.index, theirs.index, exact=False)
    assert list(ours.columns) == list(theirs.columns)
    return [
        name
        for name in ours.columns
        if not np.allclose(
            ours[name].to_numpy(), theirs[name].to_numpy(), rtol=1e-9, atol=0.0, equal_nan=True
        )
    ]
