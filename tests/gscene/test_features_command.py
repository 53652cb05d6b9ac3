"""`gscene features` tells what a feature means and where it comes from."""

from __future__ import annotations

import pytest

from tests.gscene.command import gscene


def test_the_list_can_be_narrowed_to_what_marketing_may_use(capsys: pytest.CaptureFixture[str]) -> None:
    said = gscene(capsys, "features", "list", "--purpose", "marketing", "--json")
    assert said.code == 0
    found = [feature for features in said.json.values() for feature in features]
    assert found and all("marketing" in feature["purposes"] for feature in found)
    everything = gscene(capsys, "features", "list", "--json").json
    assert sum(map(len, everything.values())) > len(found)


def test_a_feature_is_explained_with_its_formula_and_what_absence_means(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = gscene(capsys, "features", "explain", "si_longest_gap_12m", "--json").json
    assert told["how"].startswith("Longest run of months without a record")
    assert told["missing_zh"] and told["missing_en"] and told["months"] == 12
    assert told["measures"]["si_person_month.paid"]["where"] == {"pay_status": ["normal", "back_pay"]}


def test_lineage_reaches_the_columns_of_the_platform_files(capsys: pytest.CaptureFixture[str]) -> None:
    told = gscene(capsys, "features", "lineage", "si_longest_gap_12m", "--json").json
    (column,) = told["columns"]
    assert (column["table"], column["column"]) == ("si_person_month", "pay_status")
    assert {"adapter": "sim_city_si_person", "source": "sim_city_si", "header": "jfzt"} in column["fed_by"]


def test_a_misspelt_name_is_told_its_neighbours(capsys: pytest.CaptureFixture[str]) -> None:
    said = gscene(capsys, "features", "explain", "si_longest_gp_12m")
    assert said.code == 2 and "si_longest_gap_12m" in said.err
