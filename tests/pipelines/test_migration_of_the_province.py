"""The simulated province's own migration: two dialects of one truth, re-keyed, through shipped adapters, from plan to the month
after the cut-over."""

from __future__ import annotations

import hashlib
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import yaml

from core.clock import FixedClock
from core.months import Month, knowledge_cutoff
from core.progress import SilentProgress
from core.subject import SubjectKind
from features.as_of import feature_table
from pipelines.catch_up import take_in_waiting
from pipelines.migration_check import check_migration
from pipelines.migration_cut_over import cut_over, desk_of
from pipelines.workplace import Workplace
from sources.arrivals import read_schedule, receive
from sources.migration.acts import findings_of
from sources.migration.definition import definition_file, load_migration
from sources.migration.finding import CHECKS, Verdict
from sources.province.settings import ProvinceSettings
from sources.province.simulate import ProvinceDeliveries, simulate
from tests.features.bits import same_bits
from tests.pipelines.migration_world import CHECKER, PLANNER, SIGNER, train_champion

pytestmark = pytest.mark.slow

NAME = "city_to_province"
SETTINGS = ProvinceSettings(
    residents=400,
    enterprises=400,
    first_month=Month(2025, 12),
    months=8,
    platforms="dual",
    cut_over=Month(2026, 1),
    faults=frozenset(),
    only_tables=frozenset(
        {"si_employer_month", "si_person_month", "tax_vat_return", "util_bill", "consent_register", "suppression"}
    ),
)  # fmt: skip
FEEDS = {
    "resident": {"si_person_month": ("si", "si_person"), "util_bill": ("util", "util_resident")},
    "enterprise": {
        "si_employer_month": ("si", "si_employer"), "tax_vat_return": ("tax", "tax_vat"),
        "util_bill": ("util", "util_enterprise"),
    },
}  # fmt: skip
CUT_OVER = Month(2026, 4)
CHECK_DAY = knowledge_cutoff(Month(2026, 4)) + timedelta(days=12)


class Province:
    """A home, and the deliveries of both platforms that have arrived by its clock."""

    def __init__(self, home: Path, sent: ProvinceDeliveries) -> None:
        self.sent = sent
        self.workplace = Workplace.open(home, FixedClock(CHECK_DAY))

    def arrive(self, until: datetime) -> None:
        """Receive what has arrived by a moment and make it the present."""
        self.workplace.clock = FixedClock(until)
        for arrival in read_schedule(self.sent.schedule):
            if arrival.at <= until:
                receive(arrival, self.workplace.settings.archive, self.workplace.state, self.workplace.clock)

    def define(self, **changes: Any) -> None:
        """Lay the crosswalks of subjects and accounts and plan the migration."""
        home = self.workplace.settings.home
        file = definition_file(home, NAME)
        file.parent.mkdir()
        laid = [
            file.parent / f"crosswalk_{name}.parquet" for name in ("resident", "enterprise", "util_account")
        ]
        for path in laid:
            shutil.copy(self.sent.truth / path.name, path)
        body: dict[str, Any] = {
            "migration": NAME,
            "title": {"zh": "市平台迁至省平台", "en": "City platforms to the provincial one"},
            "tables": [
                {
                    "table": table, "subject": kind,
                    "old": [{"source": f"sim_city_{source}", "adapter": f"sim_city_{adapter}"}],
                    "new": [{"source": f"sim_prov_{source}", "adapter": f"sim_prov_{adapter}"}],
                }
                for kind, feeds in FEEDS.items()
                for table, (source, adapter) in feeds.items()
            ],
            "dual_run": {"first": "2026-01", "last": "2026-03"},
            "cut_over": str(CUT_OVER),
            "rollback_window_days": 60,
            "key_ver": {"old": "k1", "new": "k2"},
            "crosswalk": [{"file": p.name, "sha256": hashlib.sha256(p.read_bytes()).hexdigest()} for p in laid],
            "dual_key": ["sim_bank"],
            "list_size": 50,
        }  # fmt: skip
        file.write_text(yaml.safe_dump(body | changes, allow_unicode=True, sort_keys=False), encoding="utf-8")
        plan = self.workplace.blueprint
        desk_of(self.workplace).plan(load_migration(file, plan.adapters, plan.schemas), PLANNER)
        desk_of(self.workplace).start(NAME, PLANNER)


def test_the_province_takes_over_from_the_cities(tmp_path: Path) -> None:
    province = Province(tmp_path / "home", simulate(SETTINGS, tmp_path / "sent", SilentProgress()))
    place, enterprise = province.workplace, SubjectKind.ENTERPRISE
    province.define()
    province.arrive(CHECK_DAY)
    take_in_waiting(place)
    train_champion(place, Month(2026, 3), coverage=0.3, columns=4)
    check = check_migration(place, NAME, CHECKER)
    findings = findings_of(check)
    lights = {finding.check for finding in findings if finding.verdict is not Verdict.PASS}
    assert check.passed and {finding.check for finding in findings} == set(CHECKS)
    # The province begins without history and gathers for some days; no resident model is trained. The bank's form of consent
    # names families of tables, so it holds for whichever platform delivers them.
    assert lights == {"PC09", "PC10", "PC13"}
    assert {f.table for f in findings if f.check == "PC13" and f.verdict is Verdict.WARN} == {"resident_risk"}
    assert {f.verdict for f in findings if f.check == "PC15"} <= {Verdict.PASS}

    desk_of(place).sign(NAME, SIGNER, sorted(lights))
    known = {kind: place.registry(kind).table() for kind in SubjectKind}
    before = feature_table(place.store, place.blueprint.feature_sets["enterprise_monthly"], CUT_OVER)
    done = cut_over(place, NAME, PLANNER)
    assert (done.promoted, done.withdrawn > 0) == (done.withdrawn, True), (
        "one for one, both sides send the same"
    )
    made = feature_table(place.store, place.blueprint.feature_sets["enterprise_monthly"], CUT_OVER)
    assert same_bits(made, before)
    for kind, table in known.items():
        now = place.registry(kind).table()
        assert now.column("subject_no").equals(table.column("subject_no"))
        moved = pc.starts_with(now.column("subject_id"), "k2:")
        assert pc.sum(moved).as_py() > 0.99 * now.num_rows

    province.arrive(knowledge_cutoff(Month(2026, 6)))
    take_in_waiting(place)
    after = feature_table(place.store, place.blueprint.feature_sets["enterprise_monthly"], Month(2026, 6))
    both = np.intersect1d(before.column("subject_no").to_numpy(), after.column("subject_no").to_numpy())
    assert len(both) > 0.95 * before.num_rows, "the same firms under the new key"
    strangers = place.registry(enterprise).size - known[enterprise].num_rows
    assert strangers < 0.05 * known[enterprise].num_rows, "newcomers only"
    old = place.registry(enterprise).former_numbers(known[enterprise].column("subject_id").combine_chunks())
    ids = place.registry(enterprise).table().column("subject_id")
    assert not pc.any(
        pc.is_in(ids, known[enterprise].column("subject_id").filter(pa.array(old >= 0)))
    ).as_py()
