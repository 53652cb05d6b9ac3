"""What every asset has in common: key, group, owners, kinds, tags, partitions, and a bilingual description."""

from __future__ import annotations

import warnings
from typing import Any

import dagster as dg

from core.definition_file import Bilingual
from core.subject import TableOwner
from pipelines.partitions import as_of_months

DATA_ENGINEERS = "team:data-engineering"
RISK_TEAM = "team:risk"
MARKETING = "team:marketing"

# Backfill policies are marked beta in Dagster 1.13 and partitioned checks a preview; saying so once an asset would bury
# what matters.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)

#: History is caught up in one run instead of one run a month: a run costs half a second before it does anything.
ONE_RUN = dg.BackfillPolicy.single_run()


def asset_key(layer: str, owner: TableOwner, name: str) -> dg.AssetKey:
    """Keys are layer, whose rows, name: `raw/enterprise/invoice`, `raw/shared/mk_campaign`."""
    return dg.AssetKey([layer, str(owner), name])


def style(layer: str, owner: TableOwner, name: str, team: str, kinds: set[str]) -> dict[str, Any]:
    """Arguments common to all assets of a layer."""
    return {
        "key": asset_key(layer, owner, name),
        "group_name": layer,
        "owners": [team],
        "kinds": kinds,
        "tags": {"subject": str(owner), "layer": layer},
        "partitions_def": as_of_months,
        "backfill_policy": ONE_RUN,
    }


def describe(grain: Bilingual, title: Bilingual, en: str = "", zh: str = "") -> str:
    """Bilingual description that starts with the grain."""
    return f"{grain.en}. {title.en}. {en}\n\n{grain.zh}。{title.zh}。{zh}".strip()
