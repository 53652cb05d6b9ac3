"""What goes wrong in real deliveries (domain.md 1.9), as small functions over the string frame of a feed.

Faults hit the city's feeds; the bank's own tables are clean. `DEFAULT_FAULTS` are those that an adapter absorbs; the others
make a delivery refused, or wrong in a way that only later checks find.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from core.months import Month
from sources.province import fault_functions as functions
from sources.province.fault_functions import Context
from sources.province.feeds import Feed
from sources.province.lateness import F16_FEED
from sources.province.province_feeds import PROVINCE
from sources.province.random_streams import stream

Corrupt = Callable[[pa.Table, Feed, Context], pa.Table]

#: Faults of a whole delivery, which `simulate` carries out: they concern its arrival, manifest or bytes, not its cells.
LATE, TRUNCATED, UNNUMBERED, WITHDRAWN = "F16", "F17", "F18", "F13"
TRUNCATED_SHARE, TRUNCATED_BY = 1 / 60, 0.1
UNNUMBERED_SHARE = 0.05
WITHDRAWN_SHARE = 0.005


@dataclass(frozen=True)
class Fault:
    """`apply` is None for faults of a whole delivery; `rate` tells how often it strikes.

    `adapters` names the feeds it can hit; None: every feed of the city.
    """

    id: str
    title: str
    apply: Corrupt | None
    default: bool
    rate: str
    adapters: frozenset[str] | None = None

    def hits(self, feed: Feed) -> bool:
        """Whether this feed can have the fault."""
        return feed.platform == "city" if self.adapters is None else feed.adapter in self.adapters


def _fault(id: str, title: str, apply: Corrupt | None, default: bool, *adapters: str) -> Fault:
    return Fault(id, title, apply, default, RATES[id], frozenset(adapters) or None)


#: How often each strikes, as the domain's catalogue has it or as said there to be our choice.
RATES: Mapping[str, str] = {
    "F01": "2 % of rows", "F02": "1 % of rows", "F03": "whole table", "F04": "3 % of cells that may be lost",
    "F05": "5 % of open dates", "F06": "5 % of dates", "F07": "1 % of amounts", "F08": "0.5 % of amounts",
    "F09": "20 % of codes", "F10": "whole feed, from half way", "F11": "1 % of rows", "F12": "0.5 % of rows",
    "F13": "0.5 % of rows", "F14": "0.02 % of rows, at least one a file", "F15": "whole feed, from half way",
    "F16": "one feed and month", "F16b": "one region and month", "F17": "1 in 60 deliveries", "F18": "5 % of supplements",
    "F19": "whole feed", "F20": "all back-payments", "F20b": "one feed and month", "F21": "1 % of rows",
    "F22": "one row a file", "F23": "4 % of bills", "F23b": "0.3 % of bills, at least one a file", "F24": "0.2 % of rows",
    "F24b": "0.2 % of rows, at least eight a file",
}  # fmt: skip


#: In the order in which they are applied; F12 repeats whole rows, so it comes after what changes cells.
FAULTS: Mapping[str, Fault] = {
    fault.id: fault
    for fault in (
        _fault(
            "F20",
            "period of the money instead of the booking",
            functions.f20_other_period,
            False,
            "sim_city_si_person",
        ),
        _fault(
            "F19", "year to date instead of the month", functions.f19_cumulative, False, "sim_city_tax_vat"
        ),
        _fault(
            "F20b",
            "the month before under this month's period",
            functions.f20b_month_before,
            False,
            "sim_city_tax_vat",
        ),
        _fault("F15", "one column mapped twice", functions.f15_mapped_twice, False, "sim_city_si_person"),
        _fault(
            "F11", "several codes in one cell", functions.f11_several_codes, False, "sim_city_tax_arrears"
        ),
        _fault(
            "F10",
            "two editions of a code book",
            functions.f10_two_editions,
            False,
            "sim_city_si_person",
            "sim_city_si_employer",
        ),
        _fault("F09", "label instead of code", functions.f09_label_for_code, True),
        _fault("F08", "another money unit in a few rows", functions.f08_other_unit, False),
        _fault(
            "F23",
            "estimated reads",
            functions.f23_estimated,
            True,
            "sim_city_util_resident",
            "sim_city_util_enterprise",
        ),
        _fault(
            "F23b",
            "meters that were changed or went once round",
            functions.f23b_changed_meter,
            False,
            "sim_city2_util_resident",
            "sim_city2_util_enterprise",
        ),
        _fault("F06", "mixed date forms", functions.f06_mixed_dates, True),
        _fault("F04", "null tokens", functions.f04_null_tokens, True),
        _fault("F05", "sentinel dates", functions.f05_sentinels, True),
        _fault("F07", "thousands commas", functions.f07_commas, False),
        _fault("F21", "retired region codes", functions.f21_retired_region, True),
        _fault(
            "F22",
            "an identity number in a remark",
            functions.f22_identity_number,
            False,
            "sim_city_util_resident",
        ),
        _fault("F24", "one subject under two pseudonyms", functions.f24_second_pseudonym, False),
        _fault(
            "F24b",
            "several subjects under one pseudonym",
            functions.f24b_shared_pseudonym,
            False,
            "sim_city_util_resident",
            "sim_city_util_enterprise",
        ),
        _fault("F16b", "a region missing from one month", functions.f16b_lost_region, False, F16_FEED),
        _fault(
            "F02",
            "an organisation code in place of the key",
            functions.f02_short_key,
            False,
            "sim_city_tax_vat",
            "sim_city_si_employer",
        ),
        _fault("F03", "no key", functions.f03_no_key, False, "sim_city_award"),
        _fault("F01", "padded, full-width or upper-case keys", functions.f01_disguised_key, True),
        _fault("F12", "rows repeated", functions.f12_repeated, True),
        _fault("F14", "test rows", functions.f14_test_rows, True),
        _fault(LATE, "one feed-month arrives after the cutoff", None, True, F16_FEED),
        _fault(TRUNCATED, "file cut after the manifest was made", None, False),
        _fault(
            WITHDRAWN,
            "rows withdrawn: told by the province, silently kept by the city",
            None,
            False,
            *(feed.adapter for feed in PROVINCE),
        ),
        _fault(UNNUMBERED, "restated history under the old revision", None, False),
    )
}

DEFAULT_FAULTS: frozenset[str] = frozenset(fault.id for fault in FAULTS.values() if fault.default)


def check_faults(ids: Collection[str]) -> None:
    """ValueError names the first fault that doesn't exist."""
    for id in sorted(ids):
        if id not in FAULTS:
            raise ValueError(f"there is no fault {id}; choose from {', '.join(sorted(FAULTS))}")


def corrupt(
    frame: pa.Table,
    feed: Feed,
    faults: Collection[str],
    seed: int,
    month: Month,
    revision: int,
    instead: Mapping[str, Mapping[str, pa.Array]],
    halfway: Month,
) -> pa.Table:
    """The frame with the chosen row-level faults. Each has its own random stream: one fault never changes another's rows.

    `instead` holds texts by fault and header, one per row, for faults that send another month's values; `halfway` is the month
    in which feeds change.
    """
    if not frame.num_rows:
        return frame
    for fault in FAULTS.values():
        if frame.num_rows and fault.id in faults and fault.apply is not None and fault.hits(feed):
            rng = stream(seed, "fault", fault.id, feed.adapter, str(month), revision)
            frame = fault.apply(
                frame, feed, Context(rng, month, revision, instead.get(fault.id, {}), halfway)
            )
    return frame


def struck(share: float, seed: int, fault: str, feed: Feed, month: Month, revision: int) -> bool:
    """Whether a fault of whole deliveries hits this one."""
    return bool(stream(seed, "fault", fault, feed.adapter, str(month), revision).random() < share)


def late_month(first: Month, months: int) -> Month:
    """The one month that arrives late under F16: the middle of the run."""
    return first.plus(int(np.floor(months / 2)))
