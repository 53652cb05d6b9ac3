"""`gscene contracts`: what tables promise, how contracts have changed, and the dictionary page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from core.definition_file import Bilingual
from core.errors import GsceneError, Refusal
from gscene.console import Reporter
from gscene.contract_rebuild import rebuild
from gscene.options import json_option

F = TypeVar("F", bound=Callable[..., Any])


def _folder_option(command: F) -> F:
    return click.option(
        "--folder",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Folder of contract files; those of the checkout when left out.",
    )(command)


def _published_option(command: F) -> F:
    return click.option(
        "--published",
        type=click.Path(dir_okay=False, path_type=Path),
        help="File of the published contracts; that of the checkout when left out.",
    )(command)


@click.group()
def contracts() -> None:
    """Look at contracts, check their versions, publish them, and make the data dictionary page.

    查看数据合同、检查版本、发布，并生成数据字典页面。

    \b
    Examples:
      gscene contracts list                         all tables, by field
      gscene contracts show tax_vat_return          one table, column by column
      gscene contracts check                        does every change carry the version it needs?
      gscene contracts diff util_bill               what has changed since it was published
      gscene contracts publish                      record the contracts as they are now
      gscene contracts rebuild util_bill --by ...   make its raw rows anew after a major version
      gscene contracts page --out dictionary.html   the dictionary as one page, zh and en
    """


@contracts.command("list")
@_folder_option
@json_option
def list_(folder: Path | None, as_json: bool) -> None:
    """List all tables: whose rows, key, cadence, and how many columns.

    列出全部数据表。
    """
    from expectations import contract_words as words
    from expectations.contract import FOLDER, load_contracts
    from expectations.domains import Domain

    reporter = Reporter(as_json)
    loaded = load_contracts(folder or FOLDER)
    rows = [
        [
            _both(domain.label),
            contract.table,
            contract.version,
            _both(contract.title),
            ", ".join(map(str, contract.owners)) or "-",
            ", ".join(contract.business_key) or "-",
            _both(words.CADENCES[contract.cadence]),
            len(contract.columns),
        ]
        for domain in Domain
        for contract in loaded.values()
        if contract.domain is domain
    ]
    header = ["field", "table", "version", "title", "rows of", "key", "cadence", "columns"]
    reporter.table("Contracts / 数据合同", header, rows)
    reporter.result["contracts"] = [
        {
            "table": contract.table,
            "version": contract.version,
            "domain": str(contract.domain),
            "title": contract.title.model_dump(),
            "owners": [str(owner) for owner in contract.owners],
            "columns": len(contract.columns),
        }
        for contract in loaded.values()
    ]
    reporter.finish()


@contracts.command()
@click.argument("table")
@_folder_option
@json_option
def show(table: str, folder: Path | None, as_json: bool) -> None:
    """Show one table: what it promises, column by column.

    查看一张表的合同。
    """
    from expectations import contract_words as words
    from expectations.contract import FOLDER, load_contracts
    from expectations.published import shape

    reporter = Reporter(as_json)
    loaded = load_contracts(folder or FOLDER)
    contract = loaded.get(_known(table, loaded))
    assert contract is not None
    reporter.say(f"{_both(contract.title)} ({contract.table} {contract.version})")
    reporter.say(_both(contract.grain))
    if contract.note is not None:
        reporter.say(_both(contract.note))
    about = [
        ["key / 主键", ", ".join(contract.business_key) or "-"],
        ["rows of / 主体", ", ".join(map(str, contract.owners)) or "-"],
        ["cadence / 更新频率", _both(words.CADENCES[contract.cadence])],
        [
            "lateness / 时滞",
            f"{contract.lateness.median_days} / {contract.lateness.p95_days} days (50 % / 95 %)",
        ],
        ["legal channel / 法律依据", _both(words.LEGAL_CHANNELS[contract.legal_channel])],
        ["consent / 同意形式", _both(words.CONSENT_KINDS[contract.consent_kind])],
    ]
    reporter.table("Promises / 约定", ["", ""], about)
    rows = [
        [
            name,
            _both(column.title),
            f"{column.type} {column.unit}".strip(),
            ", ".join(column.codes) or words.limits(column) or column.standard,
            "yes" if column.nullable else "",
            column.data_class,
            ", ".join(column.purposes),
        ]
        for name, column in contract.columns.items()
    ]
    header = ["column", "meaning", "type", "values", "may be missing", "data class", "purposes"]
    reporter.table("Columns / 列", header, rows)
    reporter.result["contract"] = shape(contract)
    reporter.finish()


@contracts.command()
@_folder_option
@_published_option
@json_option
def check(folder: Path | None, published: Path | None, as_json: bool) -> None:
    """Check every contract: its file, and that each change since publication carries the version it needs.

    检查全部合同及其版本。
    """
    from expectations.published import require_right_versions

    reporter = Reporter(as_json)
    found = require_right_versions(*_places(folder, published))
    waiting = [each.contract.table for each in found if not each.is_published]
    if waiting:
        raise Refusal(
            "REFUSED/VERSION",
            f"{len(waiting)} contracts aren't published as they are: {', '.join(waiting)}.",
            remedy="Look at them with gscene contracts diff, then gscene contracts publish.",
        )
    reporter.results({"contracts": len(found), "columns": sum(len(each.contract.columns) for each in found)})
    reporter.say("All stand as published. / 全部与已发布的一致。")
    reporter.finish()


@contracts.command()
@click.argument("tables", nargs=-1)
@_folder_option
@_published_option
@json_option
def diff(tables: tuple[str, ...], folder: Path | None, published: Path | None, as_json: bool) -> None:
    """Tell what has changed since publication, what of it breaks, and the version it needs; of TABLES, or of all.

    比较合同与已发布的版本：哪些变更不兼容，需要什么版本号。
    """
    from expectations.contract_changes import STEP_WORDS, Step
    from expectations.published import standings

    reporter = Reporter(as_json)
    found = {each.contract.table: each for each in standings(*_places(folder, published))}
    wanted = [_known(table, found) for table in tables] or list(found)
    rows, told = [], {}
    for table in wanted:
        each = found[table]
        rows += [
            [table, change.column or "", change.what, STEP_WORDS[change.step]] for change in each.changes
        ]
        if each.published is None:
            rows.append([table, "", "never published", STEP_WORDS[Step.NONE]])
        if not each.is_published:
            told[table] = {
                "published": each.published,
                "version": each.contract.version,
                "needed": each.needed,
                "refused": each.refused,
                "changes": [
                    {"column": change.column, "what": change.what, "breaking": change.breaking}
                    for change in each.changes
                ],
            }
    if rows:
        reporter.table("Changes / 变更", ["table", "column", "change", "step"], rows)
    for table, entry in told.items():
        reporter.say(
            f"{table}: published {entry['published'] or '-'}, now {entry['version']}, needs {entry['needed']}"
            + (" - refused" if entry["refused"] else "")
        )
    if not told:
        reporter.say("Nothing has changed. / 没有变更。")
    reporter.result["contracts"] = told
    reporter.finish()


@contracts.command()
@_folder_option
@_published_option
@json_option
def publish(folder: Path | None, published: Path | None, as_json: bool) -> None:
    """Record the contracts as others may now build on them; refused where one has the wrong version.

    发布合同；版本号不符合变更时拒绝。
    """
    from expectations.published import publish as record

    reporter = Reporter(as_json)
    new = record(*_places(folder, published))
    reporter.results({each.contract.table: each.contract.version for each in new})
    reporter.say(f"{len(new)} published. / 已发布 {len(new)} 份。")
    reporter.finish()


@contracts.command()
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("var") / "data_dictionary.html",
    show_default=True,
    help="File to write.",
)
@_folder_option
@json_option
def page(out: Path, folder: Path | None, as_json: bool) -> None:
    """Write the data dictionary as one HTML page, Chinese and English, that opens by a double click.

    生成数据字典页面（中英文），双击即可打开。
    """
    from expectations.contract import FOLDER, load_contracts
    from expectations.data_dictionary import write_page
    from sources.adapter import load_adapters

    reporter = Reporter(as_json)
    loaded = load_contracts(folder or FOLDER)
    reporter.results({"page": str(write_page(loaded, load_adapters().values(), out))})
    reporter.finish()


contracts.add_command(rebuild)


def _places(folder: Path | None, published: Path | None) -> tuple[Path, Path]:
    from expectations.contract import FOLDER
    from expectations.published import FILE

    return folder or FOLDER, published or FILE


def _known(table: str, found: Any) -> str:
    if table not in found:
        raise GsceneError(f"there is no contract {table}.", "gscene contracts list names all of them.")
    return table


def _both(text: Bilingual) -> str:
    return f"{text.zh} {text.en}"
