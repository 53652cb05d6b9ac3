"""A contract that says something else than its published version carries the version that the change needs, or is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from core.errors import Refusal
from expectations.contract import FOLDER, load_contract
from expectations.published import (
    FILE,
    fingerprint,
    publish,
    read_published,
    require_right_versions,
    standings,
)


def test_the_shipped_contracts_are_published_as_they_are() -> None:
    """The check of every build: whoever changes a contract sees here what the change needs."""
    waiting = [
        f"{each.contract.table}: {[str(change) for change in each.changes]} needs {each.needed}"
        for each in require_right_versions()
        if not each.is_published
    ]
    assert waiting == [], "look at gscene contracts diff, then run gscene contracts publish"


def test_no_published_version_means_two_things() -> None:
    entries = json.loads(FILE.read_text(encoding="utf-8"))
    for table, entry in entries.items():
        contract = read_published()[table].contract
        assert entry["versions"][contract.version] == fingerprint(contract)
        assert len(set(entry["versions"].values())) == len(entry["versions"]), table


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, Path]:
    """Three contracts of a province of their own, published."""
    folder = tmp_path / "contracts"
    folder.mkdir()
    for table in ("util_bill", "tax_arrears", "mk_campaign"):
        shutil.copy(FOLDER / f"{table}.yaml", folder)
    file = tmp_path / "published.json"
    assert len(publish(folder, file)) == 3
    return folder, file


def edit(folder: Path, table: str, *pairs: tuple[str, str]) -> Path:
    path = folder / f"{table}.yaml"
    text = path.read_text(encoding="utf-8")
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text, encoding="utf-8")
    return path


def test_publishing_twice_changes_nothing(place: tuple[Path, Path]) -> None:
    before = place[1].read_bytes()
    assert publish(*place) == [] and place[1].read_bytes() == before
    assert all(each.is_published for each in standings(*place))


@pytest.mark.parametrize(
    ("pair", "needed", "told"),
    [
        (("minimum: 0, maximum: 100000000}", "minimum: 0, maximum: 50000000}"), "3.0.0", "consumption: the maximum was"),
        (("minimum: 0, maximum: 100000000}", "minimum: 0, maximum: 900000000}"), "2.1.0", "consumption: the maximum was"),
        (("businessName: Utility bills", "businessName: Bills"), "2.0.1", "texts have changed (title)"),
        (("description: Gas}\n", "description: Gas}\n          - {value: heat, label: 暖, description: Heat}\n"), "2.1.0",
         "kind: code added: heat"),
    ],
)  # fmt: skip
def test_a_change_without_its_version_is_refused_with_the_version(
    place: tuple[Path, Path], pair: tuple[str, str], needed: str, told: str
) -> None:
    folder, file = place
    path = edit(folder, "util_bill", pair)
    with pytest.raises(Refusal) as caught:
        require_right_versions(folder, file)
    assert caught.value.code == "REFUSED/VERSION" and told in caught.value.message
    assert f"needs {needed}" in caught.value.message and f"version: {needed}" in caught.value.remedy
    assert caught.value.file == str(path)
    assert path.read_text(encoding="utf-8").splitlines()[(caught.value.line or 0) - 1].startswith("version:")
    before = file.read_bytes()
    with pytest.raises(Refusal):
        publish(folder, file)
    assert file.read_bytes() == before
    edit(folder, "util_bill", ("version: 2.0.0", f"version: {needed}"))
    [new] = publish(folder, file)
    assert (new.contract.table, new.contract.version) == ("util_bill", needed)
    assert set(read_published(file)["util_bill"].versions) == {"2.0.0", needed}


def test_a_larger_step_than_needed_may_be_taken(place: tuple[Path, Path]) -> None:
    edit(
        place[0],
        "util_bill",
        ("businessName: Utility bills", "businessName: Bills"),
        ("version: 2.0.0", "version: 4.2.0"),
    )
    assert [each.contract.version for each in publish(*place)] == ["4.2.0"]


def test_an_older_version_is_refused(place: tuple[Path, Path]) -> None:
    edit(place[0], "util_bill", ("version: 2.0.0", "version: 1.9.9"))
    with pytest.raises(Refusal, match=r"nothing has changed: after version 2\.0\.0 this needs 2\.0\.0"):
        require_right_versions(*place)


def test_a_version_cant_be_published_with_another_content(place: tuple[Path, Path]) -> None:
    """Going on to 3.0.0, back to what 2.1.0 said, under the number of another 3.x: the number is taken."""
    folder, file = place
    edit(
        folder,
        "util_bill",
        ("businessName: Utility bills", "businessName: Bills"),
        ("version: 2.0.0", "version: 2.0.1"),
    )
    publish(folder, file)
    entries = json.loads(file.read_text(encoding="utf-8"))
    entries["util_bill"]["versions"]["2.0.2"] = "0" * 64
    file.write_text(json.dumps(entries), encoding="utf-8")
    edit(
        folder,
        "util_bill",
        ("businessName: Bills", "businessName: All bills"),
        ("version: 2.0.1", "version: 2.0.2"),
    )
    with pytest.raises(Refusal, match=r"2\.0\.2 was published with another content"):
        require_right_versions(folder, file)


def test_a_published_contract_cant_vanish(place: tuple[Path, Path]) -> None:
    (place[0] / "tax_arrears.yaml").unlink()
    with pytest.raises(Refusal, match="tax_arrears is gone") as caught:
        require_right_versions(*place)
    assert "status: retired" in caught.value.remedy


def test_the_fingerprint_is_of_the_content_not_of_version_or_layout(place: tuple[Path, Path]) -> None:
    folder, _ = place
    before = fingerprint(load_contract(folder / "util_bill.yaml"))
    path = edit(folder, "util_bill", ("version: 2.0.0", "version: 2.0.9"))
    path.write_text("# a remark\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert fingerprint(load_contract(path)) == before
    edit(folder, "util_bill", ("label: 电,", "label: 电力,"))
    assert fingerprint(load_contract(path)) != before
