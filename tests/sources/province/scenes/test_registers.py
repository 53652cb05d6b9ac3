"""Public security and vehicles: true or false, without faces, plates or places."""

import pytest

from core.forbidden_columns import forbidden
from core.months import Month
from expectations.validate import validate
from sources.province.scenes.registers import Registers, write
from tests.sources.province.scenes.office import CONTRACTS, SCHEMAS, Office


@pytest.fixture(scope="module")
def office(tmp_path_factory) -> Office:
    folder = tmp_path_factory.mktemp("registers")
    sent = write(Registers(), folder / "inbox")
    office = Office(folder)
    office.take(arrival for arrival, _ in sent.values())
    assert {result.accepted for result in office.results} == {rows for _, rows in sent.values()}
    return office


@pytest.mark.parametrize("table", ["ps_flag", "veh_registration", "veh_violation"])
def test_each_register_keeps_its_contract(office, table):
    assert validate(
        CONTRACTS[table], office.store.read(f"raw/resident/{table}", [str(Month(2026, 3))])
    ).passed


def test_flags_are_true_or_false(office):
    rows = office.rows("raw/resident/ps_flag")
    assert set(rows.column("flag_value").to_pylist()) == {True, False}
    assert set(rows.column("flag").to_pylist()) == {
        "id_verified",
        "residence_local",
        "permit_valid",
        "deceased",
    }


def test_nothing_tells_of_faces_plates_or_places():
    names = {c.name for t in ("ps_flag", "veh_registration", "veh_violation") for c in SCHEMAS[t].columns}
    assert not [name for name in names if forbidden(name)]
    # What the founding article mentions beside the flags.
    assert all(
        forbidden(name) for name in ("face_photo", "fingerprint", "plate_no", "violation_place", "gps_track")
    )
