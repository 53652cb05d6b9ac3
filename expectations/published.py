"""The published contracts: what others build on, kept in `expectations/published.json`.

A contract that says something else than its published version must carry the version that the change needs, and is published
anew. The file keeps the latest published form of each contract whole, to compare with, and the fingerprint of every version ever
published, so that no version can mean two things.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.definition_file import CODE, line_of
from core.errors import GsceneError, Refusal
from expectations.contract import FOLDER, Contract, load_contracts
from expectations.contract_changes import Change, changes, needed_step, parts, version_after

FILE = Path(__file__).with_name("published.json")

#: Entries of a contract that are its columns or its name; the rest is its table.
_COLUMNS = "columns"


@dataclass(frozen=True)
class Published:
    """One contract as last published, and the fingerprints of all its versions."""

    contract: Contract
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Standing:
    """How a contract stands to its published version. `needed`: the lowest version that it may carry; `refused`: why it may not
    stand as it is, empty where it may.
    """

    contract: Contract
    published: str | None
    changes: tuple[Change, ...]
    needed: str
    refused: str

    @property
    def is_published(self) -> bool:
        """Whether exactly this is what others have."""
        return self.published == self.contract.version and not self.changes


def fingerprint(contract: Contract) -> str:
    """sha256 of all that the contract says, its version left out."""
    body = json.dumps(shape(contract) | {"version": ""}, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(body.encode()).hexdigest()


def shape(contract: Contract) -> dict[str, Any]:
    """What the contract says, as JSON; entries at their defaults are left out."""
    return contract.model_dump(mode="json", exclude_defaults=True)


def read_published(file: Path = FILE) -> dict[str, Published]:
    """All published contracts by table; none where the file doesn't exist."""
    if not file.is_file():
        return {}
    entries = json.loads(file.read_text(encoding="utf-8"))
    return {
        table: Published(Contract.model_validate(entry["contract"]), entry["versions"])
        for table, entry in entries.items()
    }


def standing(contract: Contract, published: Published | None) -> Standing:
    """Compare a contract with what was published of it."""
    if published is None:
        return Standing(contract, None, (), contract.version, "")
    before, found = published.contract.version, tuple(changes(published.contract, contract))
    needed = version_after(before, needed_step(found))
    refused = ""
    if parts(contract.version) < parts(needed):
        worst = next((str(change) for change in found), "nothing has changed")
        others = f" ({len(found) - 1} more changes)" if len(found) > 1 else ""
        refused = f"{worst}{others}: after version {before} this needs {needed}, not {contract.version}"
    elif published.versions.get(contract.version, fingerprint(contract)) != fingerprint(contract):
        refused = f"version {contract.version} was published with another content"
    return Standing(contract, before, found, needed, refused)


def standings(folder: Path = FOLDER, file: Path = FILE) -> list[Standing]:
    """All contracts of `folder` beside the published ones. Raises Refusal where a published contract is gone."""
    contracts, published = load_contracts(folder), read_published(file)
    for table in published:
        if table not in contracts:
            raise Refusal(
                CODE,
                f"the published contract {table} is gone.",
                file=str(folder / f"{table}.yaml"),
                remedy="Bring the file back; a table that nobody sends any more has `status: retired`.",
            )
    return [standing(contract, published.get(table)) for table, contract in contracts.items()]


def require_right_versions(folder: Path = FOLDER, file: Path = FILE) -> list[Standing]:
    """`standings`, where every contract carries the version that its changes need; else Refusal with file, line and version."""
    found = standings(folder, file)
    for each in found:
        if each.refused:
            path = folder / f"{each.contract.table}.yaml"
            raise Refusal(
                "REFUSED/VERSION",
                f"{each.refused}.",
                file=str(path),
                line=line_of(path, "version"),
                remedy=f"Write `version: {each.needed}` or undo the change; then gscene contracts publish.",
            )
    return found


def publish(folder: Path = FOLDER, file: Path = FILE) -> list[Standing]:
    """Record every contract that isn't published as it is; returns these. Refusal where one has the wrong version: then
    nothing is recorded.
    """
    new = [each for each in require_right_versions(folder, file) if not each.is_published]
    entries = read_published(file)
    for each in new:
        known = entries.get(each.contract.table)
        versions = dict(known.versions) if known is not None else {}
        versions[each.contract.version] = fingerprint(each.contract)
        entries[each.contract.table] = Published(each.contract, versions)
    if new:
        _write(file, entries)
    return new


def _write(file: Path, entries: Mapping[str, Published]) -> None:
    """One line a column, so that a change of one shows as one."""
    pieces = []
    for table, entry in sorted(entries.items()):
        told = shape(entry.contract)
        columns = ",\n".join(
            f"    {_json(name)}: {_json(column)}" for name, column in told.pop(_COLUMNS).items()
        )
        pieces.append(
            f"{_json(table)}: {{\n"
            f'  "versions": {json.dumps(dict(entry.versions), indent=1)},\n'
            f'  "contract": {_json(told)[:-1]}, "columns": {{\n{columns}}}}}\n}}'
        )
    try:
        file.write_text("{\n" + ",\n".join(pieces) + "\n}\n", encoding="utf-8")
    except OSError as error:
        raise GsceneError(f"{file} can't be written: {type(error).__name__}.", "Check the folder.") from None


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
