"""The employer's months in its staff's facts, through deliveries and runs: restated, joined again, behind the gate meanwhile."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from core.clock import FixedClock
from core.errors import GateRefused
from core.months import Month, knowledge_cutoff
from core.purpose import Purpose
from core.state import Derivation
from core.subject import SubjectKind
from features.as_of import feature_table
from features.consent_mask import stored_mask
from features.consent_registers import Registers, consents_of, suppressions_of
from features.entitlement import ENTITLED, Entitlement, reason_number
from features.feature_store import facts_in_step
from features.linked_entitlement import Links
from pipelines.catch_up import take_in_waiting
from pipelines.workplace import Workplace
from sources.arrivals import Arrival, receive
from sources.delivery import write_manifest
from sources.sme_invoices import arrival_time
from tests.features.bits import same_bits
from tests.features.test_entitlement import register

pytestmark = pytest.mark.slow

CLOCK = FixedClock(datetime(2025, 6, 1, tzinfo=UTC))
MONTHS = [Month(2025, month) for month in (1, 2, 3)]
LINKED = "facts/resident/employer_insurance"
STAFF = [f"k1:{number:x}{'a' * 39}" for number in (1, 2, 3)]
FIRMS = [f"k1:{number:x}{'b' * 39}" for number in (1, 2)]
PERSON = "grbh|fkssq|dyfkssq|xzlx|dwbh|jfzt|jfjs|grjfe|dwjfe|dzbz|xzqh|bz|env_flag"
EMPLOYER = "dwbh|fkssq|xzlx|cbrs|jsze|yjje|sjje|xzqh|bz|env_flag"


class EmployerHome:
    """A home with the social insurance of three persons and two firms; the third person's firm is unknown."""

    def __init__(self, home: Path) -> None:
        self.workplace = Workplace.open(home, CLOCK)
        self.store, self.state = self.workplace.store, self.workplace.state

    def staff(self, month: Month, revision: int = 1, second: str = FIRMS[1]) -> None:
        """The persons' month; the first is with the first firm."""
        firms = (FIRMS[0], second, f"k1:9{'b' * 39}")
        ym = f"{month.year}{month.month:02d}"
        rows = [
            f"{who}|{ym}|{ym}|110|{firm}|1|5000|400|800|1|||0" for who, firm in zip(STAFF, firms, strict=True)
        ]
        self._deliver(
            SubjectKind.RESIDENT, "sim_city_si_person", "si_person_month", month, [PERSON, *rows], revision
        )

    def firms(self, month: Month, revision: int = 1, paid: str = "900", insured: int = 10) -> None:
        """The firms' month: the first pays `paid` of 1000, the second nothing."""
        ym = f"{month.year}{month.month:02d}"
        told = ((FIRMS[0], insured, paid), (FIRMS[1], 4, "0"))
        rows = [f"{firm}|{ym}|110|{count}|5|1000|{given}|||0" for firm, count, given in told]
        self._deliver(
            SubjectKind.ENTERPRISE,
            "sim_city_si_employer",
            "si_employer_month",
            month,
            [EMPLOYER, *rows],
            revision,
        )

    def deliver_arrears(self, month: Month, lines: list[str], revision: int = 1) -> None:
        """The tax office's month of arrears, header first."""
        self._deliver(
            SubjectKind.ENTERPRISE,
            "sim_city_tax_arrears",
            "tax_arrears",
            month,
            lines,
            revision,
            "sim_city_tax",
        )

    def _deliver(
        self,
        kind: SubjectKind,
        adapter: str,
        table: str,
        month: Month,
        lines: list[str],
        revision: int,
        source: str = "sim_city_si",
    ) -> None:
        folder = self.workplace.settings.home / "inbox" / source / f"{kind}.{table}" / f"{month}-r{revision}"
        folder.mkdir(parents=True)
        data = folder / f"{month}.csv"
        data.write_bytes("\n".join([*lines, ""]).encode("gb18030"))
        write_manifest(
            data, source=source, adapter=adapter, subject=kind, table=table, period=str(month),
            rows=len(lines) - 1, revision=revision,
        )  # fmt: skip
        at = arrival_time(month.plus(revision - 1))
        receive(Arrival(folder, at, "replayed"), self.workplace.settings.archive, self.state, CLOCK)

    def facts(self, month: Month) -> pa.Table:
        """Linked facts of a month, all versions."""
        return self.store.read(LINKED, [str(month)])


def history(home: EmployerHome) -> None:
    """Three months of both, of which the second is restated on either side when it is long over."""
    for month in MONTHS:
        home.staff(month)
        home.firms(month, insured=10 + month.month)
    take_in_waiting(home.workplace)


def restate(home: EmployerHome) -> None:
    home.firms(MONTHS[1], revision=2, paid="1000", insured=12)
    home.staff(MONTHS[1], revision=3, second=FIRMS[0])


@pytest.fixture(scope="module")
def step_by_step(tmp_path_factory: pytest.TempPathFactory) -> EmployerHome:
    home = EmployerHome(tmp_path_factory.mktemp("steps"))
    history(home)
    restate(home)
    take_in_waiting(home.workplace)
    return home


def test_restated_months_joined_step_by_step_are_those_joined_at_once(
    step_by_step: EmployerHome, tmp_path: Path
) -> None:
    at_once = EmployerHome(tmp_path)
    for month in MONTHS:
        at_once.staff(month)
        at_once.firms(month, insured=10 + month.month)
    restate(at_once)
    take_in_waiting(at_once.workplace)
    for month in MONTHS:
        assert same_bits(step_by_step.facts(month), at_once.facts(month))


def test_both_versions_of_the_employers_month_are_there(step_by_step: EmployerHome) -> None:
    rows = step_by_step.facts(MONTHS[1]).to_pylist()
    paid = [[(r["paid_amt"], r["insured"]) for r in rows if r["subject_no"] == who] for who in range(3)]
    # In fen. The second person is moved to the first firm by the staff's restatement; the third's firm has no number here.
    assert paid[0] == [(90_000.0, 12.0), (100_000.0, 12.0)]
    assert paid[1] == [(0.0, 4.0), (100_000.0, 12.0)]
    assert len(paid[2]) == 1 and np.isnan(paid[2][0]).all()


def test_the_record_of_a_month_names_the_facts_of_both_sides(step_by_step: EmployerHome) -> None:
    with step_by_step.state.session() as session:
        inputs = session.get_one(Derivation, (LINKED, str(MONTHS[1]))).inputs
    store, month = step_by_step.store, str(MONTHS[1])
    assert inputs == {
        f"{table}/{month}": store.content_hash(table, month)
        for table in ("facts/resident/si_person_month", "facts/enterprise/si_employer_month")
    }


def test_a_restated_employer_shuts_the_gate_until_the_staffs_months_are_joined_again(tmp_path: Path) -> None:
    home = EmployerHome(tmp_path)
    history(home)
    feature_set = home.workplace.blueprint.feature_sets["resident_monthly"]
    used = facts_in_step(home.store, home.state, feature_set, MONTHS[2])
    assert (LINKED, str(MONTHS[1])) in used
    home.firms(MONTHS[1], revision=2, paid="0")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("pipelines.catch_up._join", lambda workplace: None)
        take_in_waiting(home.workplace)
    with pytest.raises(GateRefused, match=r"employer_.* of 2025-02 is older than its input"):
        facts_in_step(home.store, home.state, feature_set, MONTHS[2])
    take_in_waiting(home.workplace)
    facts_in_step(home.store, home.state, feature_set, MONTHS[2])


# -- consents of both --------------------------------------------------------------------------------------------------


def entitled(
    home: EmployerHome, residents: list[dict[str, object]], firms: list[dict[str, object]]
) -> Entitlement:
    """Who may be told of whom under two registers that hold these consents."""
    contracts, on = home.workplace.blueprint.contracts, knowledge_cutoff(MONTHS[2]).date()
    given = {"granted_at": date(2025, 1, 1), "valid_to": None}

    def registers(rows: list[dict[str, object]]) -> Registers:
        return Registers(consents_of(register(*[given | row for row in rows])), suppressions_of(None))

    others = Entitlement(registers(firms), contracts, on, len(FIRMS))
    return Entitlement(
        registers(residents), contracts, on, len(STAFF), links=Links(home.store, lambda _: others)
    )


EVERY_PERSON = [{"subject_no": number} for number in range(3)]


@pytest.mark.parametrize(
    ("residents", "firms", "told"),
    [
        # The third person's firm has no number, so it has consented to nothing.
        (EVERY_PERSON, [{"subject_no": 0}, {"subject_no": 1}], [True, True, False]),
        (EVERY_PERSON, [{"subject_no": 0}], [True, False, False]),
        (EVERY_PERSON, [{"subject_no": 0, "kind": "separate"}, {"subject_no": 1}], [False, True, False]),
        (EVERY_PERSON, [{"subject_no": 0, "purpose": "marketing"}], [False, False, False]),
        (EVERY_PERSON[:1], [{"subject_no": 0}, {"subject_no": 1}], [True, False, False]),
        ([{"subject_no": 0, "source_codes": '["util"]'}], [{"subject_no": 0}], [False, False, False]),
    ],
)
def test_a_person_is_told_of_the_employer_with_the_consents_of_both(
    step_by_step: EmployerHome,
    residents: list[dict[str, object]],
    firms: list[dict[str, object]],
    told: list[bool],
) -> None:
    """As known at the cutoff the first person was with the first firm in all months, the second with the second."""
    home = step_by_step
    feature_set = home.workplace.blueprint.feature_sets["resident_monthly"]
    mask = stored_mask(feature_set, entitled(home, residents, firms), MONTHS[2])
    feature = next(each for each in feature_set.features if each.name == "employer_paid_share_3m")
    assert mask.cells(feature, slice(0, 3)).tolist() == told
    values = (
        feature_table(home.store, feature_set, MONTHS[2], consents=mask).to_pandas().set_index("subject_no")
    )
    shown = values["employer_paid_share_3m"].reindex(range(3)).notna().tolist()
    assert shown == told


def test_what_a_later_row_names_has_no_say_in_what_was_known_then(step_by_step: EmployerHome) -> None:
    """By March the second person was with the second firm in all months; the restatement that says otherwise came in April."""
    home = step_by_step
    entitlement = entitled(home, EVERY_PERSON, [{"subject_no": 1}])
    facts = home.workplace.blueprint.facts[SubjectKind.RESIDENT, "employer_insurance"]
    spans = stored_mask(
        home.workplace.blueprint.feature_sets["resident_monthly"], entitlement, MONTHS[1]
    )._span(1)
    then, now = (
        entitlement.of_facts(Purpose.RISK, facts, False, spans, moment)
        for moment in (knowledge_cutoff(MONTHS[1]), CLOCK.now())
    )
    assert (then[1], now[1]) == (ENTITLED, reason_number("no_consent"))
