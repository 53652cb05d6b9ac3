"""What really happened and why, for judging models; beside the inbox, and never read by the pipeline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.subject import SubjectKind
from sources.province.consent import month_of
from sources.province.credit import NEVER, yearly_default
from sources.province.settings import BURN_IN_MONTHS
from sources.province.world import World

#: Crosswalks from the cities' pseudonyms to the province's, by the pools they cover. An employer is an enterprise.
CROSSWALKS = {
    "resident": ("resident",),
    "enterprise": ("employer",),
    "util_account": ("resident_meter", "enterprise_meter"),
}
#: True PD is kept for every third delivered month.
AS_OF_EVERY = 3


def write_truth(world: World, folder: Path) -> None:
    """Write `<kind>_latent`, `<kind>_pd` and `<kind>_uplift` as Parquet into `folder`.

    latent: one row per subject (subject_id, stress, stability, region, known_to_*, borrower, default_month: first payment
    missed for good, null if none). pd: one row per subject and as-of month (subject_id, as_of, pd): chance of becoming bad
    within twelve months if the month's state lasted. uplift: one row per subject and campaign (subject_id, campaign_id,
    treated, organic, uplift: probabilities within 60 days).

    Where the provincial platform sends too: `crosswalk_<resident|enterprise|util_account>` (old_subject_id, new_subject_id,
    valid_from), as the platform would hand it over once.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for kind in SubjectKind:
        _write(_latent(world, kind), folder / f"{kind}_latent.parquet")
        _write(_pd(world, kind), folder / f"{kind}_pd.parquet")
        _write(_uplift(world, kind), folder / f"{kind}_uplift.parquet")
    if world.settings.has_province:
        for name, pools in CROSSWALKS.items():
            _write(_crosswalk(world, pools), folder / f"crosswalk_{name}.parquet")


def _write(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, compression="zstd")


def _latent(world: World, kind: SubjectKind) -> pa.Table:
    each = world.subjects[kind]
    people, accounts = each.people, each.accounts
    borrower = np.zeros(len(people), dtype=bool)
    borrower[accounts.subject] = True
    month = np.full(len(people), None, dtype=object)
    for who in np.flatnonzero(accounts.default_row < NEVER):
        if accounts.reported[accounts.default_row[who], who]:
            month[accounts.subject[who]] = str(month_of(world.settings, int(accounts.default_row[who])))
    known = {f"known_to_{source}": pa.array(mask) for source, mask in people.known_to.items()}
    return pa.table(
        {
            "subject_id": people.tokens,
            "stress": people.stress,
            "stability": people.stability,
            "region": people.region.astype(np.int32),
            **known,
            "borrower": borrower,
            "default_month": pa.array(month.tolist(), pa.string()),
        }
    )


def _pd(world: World, kind: SubjectKind) -> pa.Table:
    each = world.subjects[kind]
    life = world.residents if kind is SubjectKind.RESIDENT else world.enterprises
    tables = []
    for row in range(BURN_IN_MONTHS + AS_OF_EVERY - 1, world.settings.lived, AS_OF_EVERY):
        as_of = str(month_of(world.settings, row))
        chance = yearly_default(life.risk[row], each.accounts.intercept)
        tables.append(
            pa.table(
                {
                    "subject_id": each.people.tokens,
                    "as_of": pa.array([as_of] * len(each.people), pa.string()),
                    "pd": pa.array(chance, pa.float64()),
                }
            )
        )
    schema = pa.schema([("subject_id", pa.string()), ("as_of", pa.string()), ("pd", pa.float64())])
    return pa.concat_tables(tables) if tables else schema.empty_table()


def _crosswalk(world: World, pools: tuple[str, ...]) -> pa.Table:
    old, new = (pa.concat_arrays([world.keyed_pools[version][pool] for pool in pools]) for version in (1, 2))
    valid_from = pa.repeat(pa.scalar(world.settings.province_from.first_day, pa.date32()), len(old))
    return pa.table({"old_subject_id": old, "new_subject_id": new, "valid_from": valid_from})


def _uplift(world: World, kind: SubjectKind) -> pa.Table:
    each = world.subjects[kind]
    tables = [
        pa.table(
            {
                "subject_id": each.people.tokens.take(pa.array(campaign.subject)),
                "campaign_id": pa.array([campaign.campaign_id] * len(campaign.subject), pa.string()),
                "treated": pa.array(campaign.treated, pa.bool_()),
                "organic": pa.array(campaign.organic, pa.float64()),
                "uplift": pa.array(campaign.uplift, pa.float64()),
            }
        )
        for campaign in each.campaigns
    ]
    schema = pa.schema(
        [
            ("subject_id", pa.string()),
            ("campaign_id", pa.string()),
            ("treated", pa.bool_()),
            ("organic", pa.float64()),
            ("uplift", pa.float64()),
        ]
    )
    return pa.concat_tables(tables) if tables else schema.empty_table()
