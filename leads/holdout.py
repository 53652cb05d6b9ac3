"""The random holdout: subjects who are never approached, so that what a campaign adds can be measured.

A draw is HMAC(key, campaign|kind|subject number) read as a number in [0, 1): it can be replayed, doesn't depend on who else is
in the list or on the order of rows, and nobody without the key can steer it (domain rules, benefit evaluation 1). The number is
the registry's, which a subject keeps when a platform migration changes its pseudonym: groups drawn by pseudonym would be
reshuffled in the middle of a campaign.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import numpy as np

from core.subject import SubjectKind
from leads.keyed_hash import LeadKey


def campaign_holdout(
    key: LeadKey, campaign_id: str, kind: SubjectKind, subject_nos: Iterable[int], share: float
) -> np.ndarray:
    """bool of shape (subjects,): held out of this campaign. `share` in [0, 1]; a larger share holds out a superset."""
    return _held_out(key, f"campaign|{campaign_id}|{kind}", subject_nos, share)


def global_holdout(
    key: LeadKey, on: date, kind: SubjectKind, subject_nos: Iterable[int], share: float
) -> np.ndarray:
    """bool of shape (subjects,): held out of every campaign of the calendar year; drawn anew each year."""
    return _held_out(key, f"global|{on.year}|{kind}", subject_nos, share)


def _held_out(key: LeadKey, drawing: str, subject_nos: Iterable[int], share: float) -> np.ndarray:
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"a holdout share lies between 0 and 1, not at {share}")
    return key.draws("holdout", (f"{drawing}|{number}" for number in subject_nos)) < share
