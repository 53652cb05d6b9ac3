"""The page of features in docs/ tells what the catalogue holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from gscene.features import features

PAGE = Path(__file__).parents[2] / "docs" / "features.md"


def test_the_page_in_docs_is_what_the_catalogue_holds(tmp_path: Path) -> None:
    again = tmp_path / "features.md"
    again.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    made = CliRunner().invoke(features, ["page", "--out", str(again)])
    assert made.exit_code == 0, made.output
    assert again.read_text(encoding="utf-8") == PAGE.read_text(encoding="utf-8"), (
        "run: gscene features page --out docs/features.md"
    )


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("adverse_dishonest_24m", ["ageing_years", "reg_adverse.listing", "reg_adverse.removed_date"]),
        ("si_base_per_head_12m", ["review", "age of its staff", "si_employer_month.base_total_amt"]),
        ("kwh_sales_move_12m", ["co_movement", "Correlation", "tax_vat_return.taxable_sales_amt"]),
    ],
)
def test_explain_tells_fairness_ageing_and_source_columns(name: str, told: list[str]) -> None:
    shown = CliRunner().invoke(features, ["explain", name, "--json"])
    assert shown.exit_code == 0
    assert all(word in shown.output for word in told)


def test_lineage_leads_to_the_columns_of_the_platforms_files() -> None:
    shown = CliRunner().invoke(features, ["lineage", "rating_now_24m", "--json"])
    assert shown.exit_code == 0 and "sim_city_tax_rating" in shown.output and "xyjb" in shown.output
