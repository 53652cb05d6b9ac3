"""The random holdout: subjects who are never approached, so that what a campaign adds can be measured.

A draw is HMAC(key, campaign|subject) read as a number in [0, 1): it can be replayed, doesn't depend on who else is in the
list or on the order of rows, and nobody without the key can steer it (domain rules, benefit evaluation 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np

from leads.keyed_hash import LeadKey


def campaign_holdout(key: LeadKey, campaign_id: str, subject_ids: Sequence[str], share: float) -> np.ndarray:
    """bool of shape (subjects,): held out of this campaign. `share` in [0, 1]; a larger share holds out a superset."""
    return _held_out(key, f"campaign|{campaign_id}", subject_ids, share)


def global_holdout(key: LeadKey, on: date, subject_ids: Sequence[str], share: float) -> np.ndarray:
    """bool of shape (subjects,): held out of every campaign of the calendar year; drawn anew each year."""
    return _held_out(key, f"global|{on.year}", subject_ids, share)


def _held_out(key: LeadKey, drawing: str, subject_ids: Sequence[str], share: float) -> np.ndarray:
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"a holdout share lies between 0 and 1, not at {share}")
    return key.draws("holdout", (f"{drawing}|{subject_id}" for subject_id in subject_ids)) < share
