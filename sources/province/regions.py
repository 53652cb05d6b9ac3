"""The fourteen prefectures of the made-up province."""

from __future__ import annotations

import numpy as np

REGION_CODES = tuple(f"43{number:02d}00" for number in range(1, 15))
#: 望城县, a district since 2011 (GB/T 2260); old systems still send the code of the county.
RETIRED_REGION = "430122"
#: Where subjects live, relative to each other.
REGION_WEIGHTS = np.array([16, 9, 8, 7, 7, 7, 7, 6, 6, 6, 6, 6, 5, 4], dtype=np.float64)
#: The prefecture whose electricity a second city sends, where there are two: its place in REGION_CODES.
SECOND_CITY_REGION = 1
#: The prefecture that fault F16b loses.
LOST_REGION = REGION_CODES[0]
