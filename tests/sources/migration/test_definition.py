"""A migration is a file that a person writes: what doesn't fit is told with its line, and limits only ever become stricter."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from core.errors import Refusal
from core.months import Month
from sources.adapter import load_adapter
from sources.migration.definition import load_migration
from sources.migration.tolerances import Tolerances
from tests.sources.bench import ADAPTER, SCHEMA

PLAIN: dict[str, Any] = {
    "migration": "si_to_province",
    "title": {"zh": "社保迁移", "en": "Social insurance to the province"},
    "tables": [
        {
            "table": "si_person_month", "subject": "resident",
            "old": [{"source": "city", "adapter": "city_si"}], "new": [{"source": "prov", "adapter": "prov_si"}],
        }
    ],
    "dual_run": {"first": "2026-07", "last": "2026-09"},
    "cut_over": "2026-10",
    "rollback_window_days": 60,
    "key_ver": {"old": "k1", "new": "k2"},
    "crosswalk": [{"file": "crosswalk.csv", "sha256": "0" * 64}],
}  # fmt: skip


def load(folder: Path, body: dict[str, Any], **adapters: Any):  # type: ignore[no-untyped-def]
    made = {}
    for name, source in (("city_si", "city"), ("prov_si", "prov")):
        file = folder / f"{name}.yaml"
        told = ADAPTER | {"adapter": name, "source": source} | adapters.get(name, {})
        file.write_text(yaml.safe_dump(told, allow_unicode=True), encoding="utf-8")
        made[name] = load_adapter(file, SCHEMA)
    path = folder / "si_to_province.yaml"
    path.write_text(yaml.safe_dump(body, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return load_migration(path, made, {"si_person_month": SCHEMA})


def test_a_definition_tells_sources_months_and_how_subjects_are_linked(tmp_path: Path) -> None:
    definition = load(tmp_path, PLAIN)
    assert (definition.old_sources, definition.new_sources) == (("city",), ("prov",))
    assert definition.dual_run.months == [Month(2026, 7), Month(2026, 8), Month(2026, 9)]
    assert definition.linking == "crosswalk"
    assert load(tmp_path, PLAIN | {"crosswalk": []}).linking == "none"
    assert (
        load(tmp_path, PLAIN | {"crosswalk": [], "key_ver": {"old": "k1", "new": "k1"}}).linking
        == "unchanged"
    )
    assert definition.tables[0].key(SCHEMA) == ("subject_id", "period", "scheme")
    assert definition.sha256 == load(tmp_path, dict(reversed(PLAIN.items()))).sha256, (
        "the layout doesn't count"
    )
    assert definition.sha256 != load(tmp_path, PLAIN | {"list_size": 5}).sha256


def table(**changes: Any) -> dict[str, Any]:
    return {"tables": [PLAIN["tables"][0] | changes]}


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "no such adapter": (table(new=[{"source": "prov", "adapter": "nobody"}]), "there is no adapter nobody", "adapter: nobody"),
    "another source's adapter": (table(new=[{"source": "prov", "adapter": "city_si"}]), "isn't one of prov", "adapter: city_si"),
    "no such contract": (table(table="nothing"), "no contract for the table nothing", "table: nothing"),
    "no such region column": (table(region="xzqh"), "has no column xzqh", "region: xzqh"),
    "no such key column": (table(match_on=["subject_id", "qq"]), "has no column qq", "match_on:"),
    "the same source twice": (table(new=[{"source": "city", "adapter": "city_si"}]), "can't be both", "migration:"),
    "dual run backwards": ({"dual_run": {"first": "2026-09", "last": "2026-07"}}, "lies before the first", "dual_run:"),
    "cut-over too early": ({"cut_over": "2026-07"}, "lies in or before the first month", "migration:"),
    "no month": ({"cut_over": "2026-13"}, "should match pattern", "cut_over:"),
    "an unknown entry": ({"cutover": "2026-10"}, "Extra inputs", "cutover:"),
    "a crosswalk for one key": ({"key_ver": {"old": "k1", "new": "k1"}}, "need no crosswalk", "migration:"),
    "a looser limit": ({"tolerances": {"pc04_equal": 0.99}}, "may only be stricter than 0.999", "tolerances:"),
    "a waiver of protection": (
        {"waivers": [{"check": "PC15", "reason": "we are in a hurry", "who": "Li", "until": "2026-12-31"}]},
        "PC15 has no waiver", "check: PC15",
    ),
    "a waiver without a name": (
        {"waivers": [{"check": "PC02", "reason": "a county joins", "until": "2026-12-31"}]}, "Field required", "check: PC02",
    ),
    "a waiver of another table": (
        {"waivers": [{"check": "PC02", "table": "resident/x", "reason": "a county joins", "who": "Li", "until": "2026-12-31"}]},
        "isn't migrated", "migration:",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_is_told_with_its_line(mistake: str, tmp_path: Path) -> None:
    changes, message, line = WRONG[mistake]
    with pytest.raises(Refusal, match=message) as refused:
        load(tmp_path, PLAIN | changes)
    told = (tmp_path / "si_to_province.yaml").read_text(encoding="utf-8").splitlines()
    assert line in told[(refused.value.line or 0) - 1] and refused.value.remedy
    assert str(refused.value.file).endswith("si_to_province.yaml")


def test_a_feed_that_is_pseudonymised_on_entry_can_not_follow_a_crosswalk(tmp_path: Path) -> None:
    key = {"key": {"from": "grbh", "pseudonymise": True}}
    with pytest.raises(Refusal, match="a crosswalk needs feeds that send them"):
        load(tmp_path, PLAIN, prov_si=key)


def test_a_missing_file_says_where_to_read_on(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"docs/migration\.md"):
        load_migration(tmp_path / "none.yaml", {}, {})


@given(st.sampled_from(sorted(Tolerances.model_fields)), st.floats(-3, 3))
def test_limits_only_become_stricter(name: str, by: float) -> None:
    ours = getattr(Tolerances(), name)
    theirs = ours + round(by * 10) if isinstance(ours, int) else ours * (1 + by)
    stricter = theirs >= ours if name in Tolerances.FLOORS else theirs <= ours
    try:
        Tolerances(**{name: theirs})
    except ValidationError as error:
        assert not stricter or "less than or equal to 60" in str(error)
    else:
        assert stricter


def test_a_waiver_holds_for_its_check_its_table_and_its_days(tmp_path: Path) -> None:
    waiver = {
        "check": "PC02", "table": "resident/si_person_month", "reason": "a county joins later", "who": "Li",
        "until": "2026-12-31",
    }  # fmt: skip
    definition = load(tmp_path, PLAIN | {"waivers": [waiver]})
    assert definition.waiver("PC02", "resident/si_person_month", date(2026, 12, 31)) is not None
    assert definition.waiver("PC02", "resident/si_person_month", date(2027, 1, 1)) is None
    assert definition.waiver("PC02", "resident/util_bill", date(2026, 12, 1)) is None
    assert definition.waiver("PC03", "resident/si_person_month", date(2026, 12, 1)) is None
