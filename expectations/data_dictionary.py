"""The data dictionary as one page: what every table promises, in Chinese and English, to be opened by a double click.

Self-contained: no network, no other file. Contracts and adapters alone speak; no row of data is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from expectations import contract_words as words
from expectations.contract import Contract
from expectations.domains import Domain
from sources.adapter import Adapter

TEMPLATE = Path(__file__).with_name("data_dictionary.html.j2")


def write_page(contracts: Mapping[str, Contract], adapters: Iterable[Adapter], file: Path) -> Path:
    """Write the page to `file`, making its folder where needed; returns the file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page(contracts, adapters), encoding="utf-8")
    return file


def page(contracts: Mapping[str, Contract], adapters: Iterable[Adapter]) -> str:
    """The page's HTML: tables by domain, each with the adapters that feed it."""
    from jinja2 import Environment, StrictUndefined

    feeds: dict[str, list[Adapter]] = {}
    for adapter in adapters:
        feeds.setdefault(adapter.target, []).append(adapter)
    domains = [
        (domain, [contract for contract in contracts.values() if contract.domain is domain])
        for domain in Domain
    ]
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        domains=[(domain, held) for domain, held in domains if held],
        tables=len(contracts),
        columns=sum(len(contract.columns) for contract in contracts.values()),
        feeds=feeds,
        words=words,
    )
