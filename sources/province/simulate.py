"""Simulate a province and write what its platforms and the bank deliver into an inbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from core.months import Month, knowledge_cutoff
from core.progress import Progress
from core.subject import SubjectKind
from sources.arrivals import SCHEDULE_NAME, Arrival, write_schedule
from sources.province import (
    bank_tables,
    dialect,
    enterprise_tables,
    faults,
    firm_record_tables,
    housing_fund_tables,
    lateness,
    payment_tables,
    register_tables,
    resident_tables,
    scene_tables,
    state_tables,
)
from sources.province.feeds import FEEDS, Feed
from sources.province.housing_fund_feeds import HOUSING_FUND
from sources.province.meter_readings import with_readings
from sources.province.office_feeds import CITY_SCENES, FIRM_RECORDS, PAYMENTS
from sources.province.province_feeds import PROVINCE
from sources.province.random_streams import stream
from sources.province.regions import SECOND_CITY_REGION
from sources.province.register_feeds import REGISTERS
from sources.province.rows import Rows, Versions, fen
from sources.province.second_city_feeds import SECOND_CITY
from sources.province.settings import ProvinceSettings
from sources.province.truth import write_truth
from sources.province.world import World, make

#: Every feed that any setting writes.
ALL_FEEDS: tuple[Feed, ...] = (
    *FEEDS,
    *REGISTERS,
    *HOUSING_FUND,
    *FIRM_RECORDS,
    *CITY_SCENES,
    *PAYMENTS,
    *SECOND_CITY,
    *PROVINCE,
)
#: Builders of the platforms' tables by the city's adapter: (world, state row, month, random stream) -> the month's versions.
CITY_TABLES: Mapping[str, Callable[[World, int, Month, np.random.Generator], Versions]] = {
    "sim_city_si_person": resident_tables.si_person_month,
    "sim_city_si_employer": enterprise_tables.si_employer_month,
    "sim_city_tax_iit": resident_tables.tax_iit_withholding,
    "sim_city_tax_vat": enterprise_tables.tax_vat_return,
    "sim_city_tax_arrears": enterprise_tables.tax_arrears,
    "sim_city_util_resident": resident_tables.util_bill,
    "sim_city_util_enterprise": enterprise_tables.util_bill,
    "sim_city_service": resident_tables.platform_service,
    "sim_city_award": enterprise_tables.gov_award,
    "sim_city_hpf_person": housing_fund_tables.hpf_person_month,
    "sim_city_hpf_employer": housing_fund_tables.hpf_employer_month,
    "sim_city_tax_rating": firm_record_tables.tax_credit_rating,
    "sim_city_tax_event": firm_record_tables.tax_event,
    "sim_city_tax_inspection": firm_record_tables.tax_inspection,
    "sim_city_tax_cit": firm_record_tables.tax_cit_return,
    "sim_city_adverse": firm_record_tables.reg_adverse,
    "sim_city_util_account_resident": register_tables.util_account,
    "sim_city_util_account_enterprise": register_tables.enterprise_account,
    "sim_city_login": scene_tables.platform_login_day,
    "sim_city_violation": scene_tables.veh_violation,
    "sim_city_nontax_bill": scene_tables.nontax_bill,
    "sim_city_util_cut": scene_tables.util_disconnection,
    "sim_city_tax_payment": payment_tables.tax_payment,
    "sim_city_util_payment": payment_tables.util_payment,
    "sim_city_util_arrears_resident": payment_tables.resident_arrears,
    "sim_city_util_arrears_enterprise": payment_tables.enterprise_arrears,
    "sim_city_register": state_tables.reg_enterprise,
    "sim_city_si_status": state_tables.si_person_status,
    "sim_city_school_fee": state_tables.edu_fee_payment,
    "sim_city_vehicle": state_tables.veh_registration,
}
#: Builders of the bank's tables by table: None where the month has nothing to send.
BANK_TABLES: Mapping[str, Callable[[World, SubjectKind, int, Month], Rows | None]] = {
    "bk_account_month": bank_tables.bk_account_month,
    "bk_customer": bank_tables.bk_customer,
    "consent_register": bank_tables.consent_register,
    "suppression": bank_tables.suppression,
    "mk_assignment": bank_tables.mk_assignment,
    "mk_response": bank_tables.mk_response,
}
#: Tables that the second city sends for its prefecture.
SECOND_CITY_TABLES = frozenset(feed.table for feed in SECOND_CITY)


@dataclass(frozen=True)
class ProvinceDeliveries:
    """What was written: `schedule` is the path of arrivals.json, `rows` data rows by adapter, `truth` the folder beside."""

    inbox: Path
    truth: Path
    schedule: Path
    arrivals: tuple[Arrival, ...]
    rows: dict[str, int] = field(default_factory=dict)


def simulate(
    settings: ProvinceSettings, inbox: Path, progress: Progress, lived: World | None = None
) -> ProvinceDeliveries:
    """Write all deliveries of the province below `inbox`, and `truth/` beside it; both must be new or empty.

    `lived` is a world made before whose settings differ in faults alone: the same life, told again with other faults.

    Same settings, same bytes. Nothing that would arrive after the last month's knowledge cutoff is written: the last month
    has no supplement yet. Raises ValueError where a table of `only_tables` doesn't exist or a folder isn't empty.
    """
    known = {feed.table for feed in feeds_of(settings)}
    unknown = sorted((settings.only_tables or frozenset()) - known)
    if unknown:
        raise ValueError(f"there is no table {unknown[0]}; choose from {', '.join(sorted(known))}")
    truth = inbox.parent / "truth"
    for folder in (inbox, truth):
        if folder.exists() and any(folder.iterdir()):
            raise ValueError(f"{folder} isn't empty; simulate into a new folder")
    inbox.mkdir(parents=True, exist_ok=True)
    with progress.stage("simulate the province"):
        world = make(settings) if lived is None else lived.told_with(settings)
        write_truth(world, truth)
    wanted = [
        f for f in feeds_of(settings) if settings.only_tables is None or f.table in settings.only_tables
    ]
    feeds = {
        month: [
            f
            for f in wanted
            if settings.sends(f.platform, month) and (not f.sent_in or month.month in f.sent_in)
        ]
        for month in settings.delivered()
    }
    arrivals: list[Arrival] = []
    rows: dict[str, int] = {}
    with progress.stage("write deliveries", total=sum(map(len, feeds.values()))) as stage:
        for row, month in settings.calendar():
            for feed in feeds.get(month, ()):
                for arrival, count in _deliver(world, feed, row, month, inbox):
                    arrivals.append(arrival)
                    rows[feed.adapter] = rows.get(feed.adapter, 0) + count
                stage.advance(1, f"{feed.adapter} {month}")
    write_schedule(inbox / SCHEDULE_NAME, arrivals)
    ordered = tuple(sorted(arrivals, key=lambda each: (each.at, str(each.folder))))
    return ProvinceDeliveries(inbox, truth, inbox / SCHEDULE_NAME, ordered, rows)


def feeds_of(settings: ProvinceSettings) -> tuple[Feed, ...]:
    """Feeds of the tables that the settings ask for, of every platform."""
    left_out = () if settings.registers else REGISTERS
    left_out += () if settings.housing_fund else HOUSING_FUND
    left_out += () if settings.city_scenes else CITY_SCENES
    left_out += () if settings.firm_records else FIRM_RECORDS
    left_out += () if settings.payments else PAYMENTS
    return tuple(feed for feed in ALL_FEEDS if feed not in left_out)


def _deliver(world: World, feed: Feed, row: int, month: Month, inbox: Path) -> list[tuple[Arrival, int]]:
    if feed.is_bank:
        rows = BANK_TABLES[feed.table](world, feed.subject, row, month)
        return [] if rows is None else [_bank_delivery(world, feed, rows, month, inbox)]
    first, later = _rows_of(world, feed, row, month)
    deliveries = [_platform_delivery(world, feed, first, row, month, 1, inbox)]
    if month < world.settings.last_month and len(later):
        deliveries.append(_platform_delivery(world, feed, later, row, month, 2, inbox))
    # What a slow platform would send after the last month's cutoff hasn't happened yet.
    end = knowledge_cutoff(world.settings.last_month)
    return [(arrival, count) for arrival, count in deliveries if feed.platform == "city" or arrival.at <= end]


def _rows_of(world: World, feed: Feed, row: int, month: Month) -> tuple[Rows, Rows]:
    """Rows of the first sending and of the supplement. A feed and its twin draw from the same streams: one truth."""
    settings, truth = world.settings, feed.truth
    versions = CITY_TABLES[truth](world, row, month, stream(settings.seed, "table", truth, str(month)))
    split = lateness.split(versions, feed.table, month, stream(settings.seed, "lateness", truth, str(month)))
    if faults.WITHDRAWN in settings.faults and faults.FAULTS[faults.WITHDRAWN].hits(feed):
        rng = stream(settings.seed, "fault", faults.WITHDRAWN, feed.adapter, str(month))
        split = lateness.withdraw(split, rng.random(len(split[0])) < faults.WITHDRAWN_SHARE)
    if any(field.column == "previous" for field in feed.fields):
        split = (
            with_readings(world, feed.subject, split[0], row),
            with_readings(world, feed.subject, split[1], row),
        )
    if settings.cities == 2 and feed.table in SECOND_CITY_TABLES and feed.platform != "province":
        region = world.subjects[feed.subject].people.region
        inside = (feed.platform == "second_city") == (region == SECOND_CITY_REGION)
        split = split[0].take(inside[split[0].subject]), split[1].take(inside[split[1].subject])
    return split


def _bank_delivery(world: World, feed: Feed, rows: Rows, month: Month, inbox: Path) -> tuple[Arrival, int]:
    people = world.subjects[feed.subject].people
    frame = dialect.to_frame(feed, rows, month, world.pools, people.region)
    sums = {}
    for amount in feed.of_kind("money"):
        total = int(np.asarray(rows.columns[amount.column]).sum())
        sums[amount.header] = f"{total // 100}.{total % 100:02d}"
    sent = dialect.write(frame, feed, month, 1, inbox, mode="full", control_sums=sums)
    return Arrival(
        sent.folder, lateness.arrival(world.settings.seed, feed.adapter, month, 1), "replayed"
    ), sent.rows


def _platform_delivery(
    world: World, feed: Feed, rows: Rows, row: int, month: Month, revision: int, inbox: Path
) -> tuple[Arrival, int]:
    settings = world.settings
    region = world.subjects[feed.subject].people.region
    frame = dialect.to_frame(feed, rows, month, world.keyed_pools[feed.key_version], region)
    halfway = faults.late_month(settings.first_month, settings.months)
    frame = faults.corrupt(
        frame,
        feed,
        settings.faults,
        settings.seed,
        month,
        revision,
        _instead(world, feed, rows, row, month),
        halfway,
    )
    on = {fault for fault in settings.faults if faults.FAULTS[fault].hits(feed)}
    share = settings.whole_delivery_share
    cut = faults.TRUNCATED in on and faults.struck(
        share or faults.TRUNCATED_SHARE, settings.seed, faults.TRUNCATED, feed, month, revision
    )
    unnumbered = (
        faults.UNNUMBERED in on
        and revision > 1
        and faults.struck(
            share or faults.UNNUMBERED_SHARE, settings.seed, faults.UNNUMBERED, feed, month, revision
        )
    )
    sent = dialect.write(
        frame,
        feed,
        month,
        revision,
        inbox,
        mode="full" if revision == 1 else "supplement",
        stated_revision=1 if unnumbered else None,
        truncate=faults.TRUNCATED_BY if cut else 0.0,
    )
    late = faults.LATE in on and revision == 1 and month == halfway
    if feed.platform == "province":
        at = lateness.province_arrival(settings.seed, feed, month, revision)
    else:
        at = lateness.arrival(settings.seed, feed.adapter, month, revision, late)
    assert late or feed.platform == "province" or at <= knowledge_cutoff(month.plus(revision - 1)), (
        "on time means before the cutoff"
    )
    return Arrival(sent.folder, at, "replayed"), sent.rows


def _instead(world: World, feed: Feed, rows: Rows, row: int, month: Month) -> dict[str, dict[str, pa.Array]]:
    """Sales of other months than the rows', by fault and header, for the faults that send them."""
    if feed.adapter != "sim_city_tax_vat":
        return {}
    # The January return is for December's sales; months count by when they are declared.
    spans = {"F19": slice(max(row - month.month, 0), row), "F20b": slice(row - 2, row - 1)}
    totals = {
        fault: world.enterprises.sales[months].sum(axis=0, dtype=np.float64)[rows.subject]
        for fault, months in spans.items()
        if fault in world.settings.faults
    }
    return {fault: {feed.header("sales"): dialect.amounts(fen(total))} for fault, total in totals.items()}
