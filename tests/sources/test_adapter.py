"""Adapters are data that a domain expert changes: each mistake is told with file, line and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from core.errors import Refusal
from expectations.contract import load_contracts
from sources.adapter import load_adapter, load_adapters
from tests.sources.bench import ADAPTER, SCHEMA


def changed(path: Path, place: tuple[str, ...], value: object) -> Path:
    """The bench's adapter with one entry set (or taken away with None)."""
    definition = yaml.safe_load(yaml.safe_dump(ADAPTER, allow_unicode=True))
    inner = definition
    for part in place[:-1]:
        inner = inner[part]
    if value is None:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    file = path / "city_si.yaml"
    file.write_text(yaml.safe_dump(definition, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (("colums",), {}, "Extra inputs are not permitted"),
        (("columns", "base_amt", "unti"), "CNY", "Extra inputs are not permitted"),
        (("columns", "base_amt"), {"from": "js"}, "base_amt needs a unit"),
        (("columns", "months", "unit"), "CNY", "months is no amount"),
        (
            ("columns", "scheme", "codes"),
            {"110": "pension"},
            "lead to pension, which the contract doesn't have",
        ),
        (("columns", "received"), {"from": "dz"}, "received needs `codes`"),
        (("columns", "received", "codes"), {"是": "yes"}, "must lead to true or false"),
        (("columns", "paid_date"), {"from": "rq"}, "paid_date needs `parse`"),
        (("columns", "paid_date", "parse"), ["%d.%m"], "a date form has at least a year"),
        (("columns", "scheme"), None, "nothing feeds scheme"),
        (("columns", "salary"), {"from": "gz"}, "has no column salary"),
        (("columns", "subject_id"), {"from": "grbh2"}, "has no column subject_id that an adapter may fill"),
        (("columns", "months"), {"from": "ys", "constant": 3}, "either `from` or `constant`"),
        (("columns", "scheme"), {"constant": "medical"}, "the constant of scheme isn't a code"),
        (("ignore",), ["js"], "ignored columns may not be named anywhere else: js"),
        (("adapter",), "other", "the adapter is called other, its file city_si"),
        (("target",), "util_bill", "the target is util_bill"),
        (("file", "delimiter"), "ab", "String should match pattern"),
        (("file", "encoding"), "latin-1", "Input should be 'utf-8' or 'gb18030'"),
    ],
)
def test_mistakes_are_told_with_their_line(
    tmp_path: Path, place: tuple[str, ...], value: object, told: str
) -> None:
    file = changed(tmp_path, place, value)
    with pytest.raises(Refusal) as caught:
        load_adapter(file, SCHEMA)
    assert caught.value.code == "REFUSED/DEFINITION"
    assert caught.value.file == str(file) and caught.value.line is not None
    assert told in caught.value.message and caught.value.remedy
    named = file.read_text(encoding="utf-8").splitlines()[caught.value.line - 1]
    # A rule on the whole file or one that misses an entry has no line of its own.
    assert any(part in named for part in place) or value is None or place == ("ignore",)


def test_a_whole_adapter_names_every_source_column_once(tmp_path: Path) -> None:
    adapter = load_adapter(changed(tmp_path, ("version",), 2), SCHEMA)
    assert sorted(adapter.source_columns) == ["bz", "dz", "env", "grbh", "js", "rq", "ssq", "xz", "ys"]
    assert len(adapter.definition_hash) == 64


def test_every_shipped_adapter_fits_its_contract() -> None:
    schemas = {name: contract.schema() for name, contract in load_contracts().items()}
    adapters = load_adapters(schemas)
    assert {"sme_output_invoice", "sme_input_invoice", "sme_enterprises"} <= set(adapters)
