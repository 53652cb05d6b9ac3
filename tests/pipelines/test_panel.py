"""Several as-of months in one run: what is stored is what single runs store, to the bit, and told month by month."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import GateRefused, GsceneError
from core.settings import FILE_NAME
from core.state import Derivation, IneligibleCount
from features import panel
from features.engine import LocalEngine
from features.panel import build_panel
from pipelines.workplace import Workplace
from sources.sme_invoices import arrival_time
from tests.features.bits import same_bits
from tests.pipelines.invoice_home import (
    CLOCK,
    FACTS_KEY,
    FEATURES,
    FEATURES_KEY,
    MONTHS,
    RAW_KEY,
    InvoiceHome,
    invoices,
)

pytestmark = pytest.mark.slow


def home_of(folder: Path) -> InvoiceHome:
    """Three months, of which the first is restated after the second's cutoff."""
    home = InvoiceHome(folder)
    for month in MONTHS:
        home.deliver(month, invoices(month))
    home.deliver(MONTHS[0], invoices(MONTHS[0], net="2000.00"), revision=2, at=arrival_time(MONTHS[2]))
    home.run(RAW_KEY, FACTS_KEY, first=MONTHS[0], last=MONTHS[-1])
    return home


def told(home: InvoiceHome) -> dict[str, object]:
    """What the state database keeps of each month."""
    with home.state.session() as session:
        records = [session.get_one(Derivation, (FEATURES, str(month))) for month in MONTHS]
        counts = sorted(
            (each.partition, each.purpose, each.source, each.reason, each.subjects)
            for each in session.query(IneligibleCount).filter_by(table=FEATURES)
        )
        return {
            "records": [(each.content_hash, each.recipe_hash, dict(each.inputs)) for each in records],
            "counts": counts,
        }


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> InvoiceHome:
    """All months in one run, two of them in one pass and the third alone."""
    home = home_of(tmp_path_factory.mktemp("together"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(panel, "PANEL_MONTHS", 2)
        home.run(FEATURES_KEY, first=MONTHS[0], last=MONTHS[-1])
    return home


def test_a_run_over_a_range_stores_what_single_runs_store(together: InvoiceHome, tmp_path: Path) -> None:
    single = home_of(tmp_path)
    for month in MONTHS:
        single.run(FEATURES_KEY, first=month)
    for month in map(str, MONTHS):
        assert same_bits(together.store.read(FEATURES, [month]), single.store.read(FEATURES, [month]))
    assert told(together) == told(single)
    assert [path for path in together.store.root.iterdir() if path.is_file()] == [], "nothing is left beside"


def test_the_setting_says_how_many_subjects_are_worked_on_together(together: InvoiceHome) -> None:
    settings = together.home / FILE_NAME
    settings.write_text("chunk_subjects: 1024\n", encoding="utf-8")
    engine = Workplace.open(together.home, CLOCK).engine
    assert isinstance(engine, LocalEngine) and engine.chunk == 1024
    settings.write_text("chunk_subjects: 10\n", encoding="utf-8")
    with pytest.raises(GsceneError, match="chunk_subjects is 10"):
        Workplace.open(together.home, CLOCK)
    settings.unlink()
    feature_set = together.workplace.blueprint.feature_sets["enterprise_invoice"]
    made = LocalEngine(chunk=2).chunks(together.store, feature_set, MONTHS[-1], 5, None, None)
    assert [table.num_rows for table in made] == [2, 1], "three firms, two at a time"


def test_a_shut_gate_refuses_before_any_month_of_the_pass_is_made(together: InvoiceHome) -> None:
    home, before = together, together.store.version(FEATURES)
    home.deliver(MONTHS[2], invoices(MONTHS[2], net="3.00"), revision=2, at=arrival_time(MONTHS[2].plus(1)))
    home.run(RAW_KEY, first=MONTHS[2])
    place = home.workplace
    feature_set = place.blueprint.feature_sets["enterprise_invoice"]
    made = build_panel(
        home.store, home.state, CLOCK, feature_set, MONTHS, place.entitlements(feature_set.subject),
        place.engine, place.progress,
    )  # fmt: skip
    with pytest.raises(GateRefused, match="of 2024-10"):
        next(made)
    assert home.store.version(FEATURES) == before
