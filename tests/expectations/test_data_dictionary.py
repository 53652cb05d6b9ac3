"""The dictionary page holds every table and column in both languages, needs nothing else, and can't be broken by a text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markupsafe import escape

from core.definition_file import Bilingual
from expectations import contract_words as words
from expectations.contract import Contract, ContractColumn, load_contracts
from expectations.data_dictionary import page, write_page
from expectations.domains import Domain
from sources.adapter import load_adapters

CONTRACTS = load_contracts()
VOID = {"meta", "input", "br"}


class Tags(HTMLParser):
    """Open tags; fails on one that closes another, and collects what is fetched and the articles' ids."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.articles: list[str] = []
        self.cells = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.fetched += [str(told[name]) for name in ("src", "srcset") if name in told]
        self.fetched += [tag] if tag in ("link", "iframe", "object") else []
        self.articles += [str(told["id"])] if tag == "article" else []
        self.cells += tag == "td"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def html() -> str:
    return page(CONTRACTS, load_adapters().values())


def parsed(html: str) -> Tags:
    tags = Tags()
    tags.feed(html)
    tags.close()
    assert tags.open == []
    return tags


def test_every_table_and_column_is_there_in_both_languages(html: str) -> None:
    tags = parsed(html)
    assert sorted(tags.articles) == sorted(CONTRACTS)
    assert tags.cells == 8 * sum(len(contract.columns) for contract in CONTRACTS.values())
    for contract in CONTRACTS.values():
        for text in (contract.title, contract.grain, *(column.title for column in contract.columns.values())):
            for language in (text.zh, text.en):
                assert str(escape(language)) in html, (contract.table, language)
    for domain in Domain:
        assert domain.label.zh in html and str(escape(domain.label.en)) in html


def test_it_needs_no_network_and_no_other_file(html: str) -> None:
    assert parsed(html).fetched == []
    assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttpRequest", html)


def test_a_table_says_what_it_promises_and_who_feeds_it(html: str) -> None:
    start = html.index('<article id="tax_iit_withholding"')
    article = html[start : html.index("</article>", start)]
    for told in ("书面同意", "written consent", "18 / 40", "模拟市税务平台 个人所得税扣缴", "payer_subject_id", "敏感", "元",
                 "0 – 2,000,000", "稿酬", "公共数据授权运营"):  # fmt: skip
        assert told in article, told
    assert "尚无来源" in html[html.index('<article id="tax_registration"') :][:9000]


def test_texts_cant_break_the_page(tmp_path: Path) -> None:
    evil = Bilingual(zh="</script><b>甲", en="<img src=x onerror=alert(1)>")
    columns = dict(CONTRACTS["ps_flag"].columns)
    columns["flag"] = ContractColumn.model_validate(columns["flag"].model_dump() | {"title": evil})
    contract = Contract.model_validate(
        CONTRACTS["ps_flag"].model_dump() | {"title": evil, "columns": columns}
    )
    written = write_page({"ps_flag": contract}, [], tmp_path / "new" / "page.html").read_text(
        encoding="utf-8"
    )
    assert parsed(written).fetched == [] and "<img" not in written


def test_every_word_of_the_contracts_has_a_name() -> None:
    for contract in CONTRACTS.values():
        assert contract.cadence in words.CADENCES and contract.consent_kind in words.CONSENT_KINDS
        assert contract.legal_channel in words.LEGAL_CHANNELS and contract.keeper in words.KEEPERS
        assert all(str(owner) in words.OWNERS for owner in contract.owners)
        for name, column in contract.columns.items():
            assert column.type in words.TYPES and column.data_class in words.DATA_CLASSES
            assert not column.unit or words.unit(column).zh != column.unit, (contract.table, name)


@pytest.mark.parametrize(
    ("minimum", "maximum", "told"),
    [
        (None, None, ""),
        (0.01, 5e8, "0.01 – 500,000,000"),
        (1, None, "≥ 1"),
        (None, 0, "≤ 0"),
        (-5, 0, "-5 – 0"),
    ],
)
def test_ranges_are_written_as_people_do(minimum: float | None, maximum: float | None, told: str) -> None:
    column = CONTRACTS["tax_arrears"].columns["arrears_amt"]
    assert words.limits(column.model_copy(update={"minimum": minimum, "maximum": maximum})) == told
