"""Which stored features one use may see, as plain bits by subject_no: small enough to send to whoever scores elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.consent_mask import ConsentMask
from features.entitlement import ENTITLED


@dataclass(frozen=True)
class UseMask:
    """`names`: features of the purpose in column order, of which the place-th may be seen by the subjects set in
    `allowed[group[place]]`; `some` and `all`: whether any and whether every source behind them may be used for the subject.

    Bits are packed: 1.77M subjects and 20 different sources are 5 MB.
    """

    names: tuple[str, ...]
    group: tuple[int, ...]
    allowed: np.ndarray
    some: np.ndarray
    all: np.ndarray

    @classmethod
    def of(cls, mask: ConsentMask) -> UseMask:
        """The same rule as `mask`, for every subject that its entitlement knows."""
        everyone = slice(0, mask.entitlement.subjects)
        some = np.zeros(mask.entitlement.subjects, dtype=bool)
        every = np.ones(mask.entitlement.subjects, dtype=bool)
        for _, _, reasons in mask.questions():
            some |= reasons[everyone] == ENTITLED
            every &= reasons[everyone] == ENTITLED
        groups: dict[bytes, int] = {}
        places = []
        for feature in mask.features:
            cells = mask.cells(feature, everyone)
            some |= cells
            places.append(groups.setdefault(np.packbits(cells).tobytes(), len(groups)))
        allowed = np.array([np.frombuffer(bits, dtype=np.uint8) for bits in groups])
        names = tuple(feature.name for feature in mask.features)
        return cls(names, tuple(places), allowed, np.packbits(some), np.packbits(every))

    def blank(self, features: pd.DataFrame, numbers: np.ndarray) -> np.ndarray:
        """Make missing, in place, what may not be seen; bool (n,): the rows that stay.

        `features` has the columns `names`, `numbers` (n,) the subjects. A row stays where some source may be used and, unless all
        may, something is left.
        """
        by_group = [_bits(row, numbers) for row in self.allowed]
        for name, place in zip(self.names, self.group, strict=True):
            if not by_group[place].all():
                features[name] = features[name].where(by_group[place])
        left = features[list(self.names)].notna().any(axis=1).to_numpy()
        return _bits(self.some, numbers) & (_bits(self.all, numbers) | left)


def _bits(packed: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    return (packed[numbers >> 3] >> (7 - (numbers & 7)).astype(np.uint8) & 1).astype(bool)
