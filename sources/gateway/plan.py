"""Plans: what the gateway does with each column of one file, as YAML. Every column is named, so that a new one can't slip out.

```yaml
plan: city_tax_vat
source: city_tax
domain: hunan                    # sources that name the same domain, and hold the same key, make tokens that can be joined
purpose: risk                    # tokens of another purpose can't be joined with these
file: {format: csv, encoding: gb18030, delimiter: "|"}
ids:
  nsrsbh: {kind: enterprise, to: nsrdm, on_invalid: reject}
  jyzsfz: {kind: owner, to: jyzdm}
  hh: {kind: code, space: meter}
keep: [sbyf, ysxse]
drop: [nsrmc, lxdh]              # names, telephones, addresses: never written
nulls: ["", "\\N", 暂无]
delivery: {adapter: city_tax_vat, subject: enterprise, table: tax_vat_return, control_sums: [ysxse]}
```
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from core.definition_file import Definition, load_definition
from core.purpose import Purpose
from core.subject import TableOwner
from sources.delivery import Name
from sources.file_format import FileFormat
from sources.gateway.id_forms import IdKind


class IdColumn(Definition):
    """One column of ids. `to`: its name in the written file, by default its own.

    `on_invalid`: an id with a wrong check character leaves out its row (`reject`), refuses the file (`refuse`), or gets the
    token of what is written there and a flag (`flag`). `flags` adds the columns `<to>_valid` and `<to>_kind`. `space` says
    whose codes they are (`kind: code` alone): codes of two spaces give different tokens.
    """

    kind: IdKind
    to: str | None = None
    on_invalid: Literal["flag", "reject", "refuse"] = "flag"
    missing: Literal["keep", "reject"] = "keep"
    flags: bool = False
    space: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_]*$")

    @model_validator(mode="after")
    def _space_of_codes(self) -> IdColumn:
        if (self.space is not None) != (self.kind == "code"):
            raise ValueError("codes need `space`, which says whose codes they are; other ids have none")
        return self

    @property
    def subject(self) -> str:
        """What the token is of, as it stands in the hashed message: an owner is a resident like any other."""
        return {"owner": "resident"}.get(self.kind, self.space or self.kind)


class DeliveryPlan(Definition):
    """What the manifest of the written delivery says; month and revision come with each run."""

    adapter: Name
    subject: TableOwner
    table: Name
    mode: Literal["full", "supplement"] = "full"
    control_sums: tuple[str, ...] = ()


class Plan(Definition):
    """One file's plan."""

    plan: Name
    source: Name
    domain: Name | None = None
    purpose: Purpose
    file: FileFormat = FileFormat()
    ids: Annotated[dict[str, IdColumn], Field(min_length=1)]
    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    nulls: tuple[str, ...] = ("",)
    delivery: DeliveryPlan | None = None

    @model_validator(mode="after")
    def _each_column_once(self) -> Plan:
        if self.file.format == "xlsx" or self.file.compression == "zip":
            raise ValueError("the gateway reads and writes csv, parquet and jsonl, plain or gzip")
        named = Counter([*self.ids, *self.keep, *self.drop])
        twice = sorted(column for column, times in named.items() if times > 1)
        if twice:
            raise ValueError(f"each column stands once under ids, keep or drop: {', '.join(twice)}")
        written = Counter(self.written)
        twice = sorted(column for column, times in written.items() if times > 1)
        if twice:
            raise ValueError(f"the written file would have a column twice: {', '.join(twice)}")
        strange = set(self.delivery.control_sums if self.delivery else ()) - set(self.keep)
        if strange:
            raise ValueError(f"control sums are of kept columns: {', '.join(sorted(strange))}")
        return self

    @property
    def token_domain(self) -> str:
        """Within which ids are comparable: the source alone, unless several agreed on a domain."""
        return self.domain or self.source

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the file has."""
        return (*self.ids, *self.keep, *self.drop)

    @property
    def written(self) -> list[str]:
        """Columns of the written file."""
        made = [name for column, rule in self.ids.items() for name in names_made(column, rule)]
        return [*made, *self.keep]

    def message_domain(self, rule: IdColumn) -> str:
        """What stands before the id in the hashed message: purpose, domain and kind of subject."""
        return f"{self.purpose}|{self.token_domain}|{rule.subject}"

    @cached_property
    def definition_hash(self) -> str:
        """sha256 of the plan's content."""
        body = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(body.encode()).hexdigest()


def names_made(column: str, rule: IdColumn) -> list[str]:
    """Names of the columns that take the place of an id column: the token, then the flags."""
    name = rule.to or column
    return [name, f"{name}_valid", f"{name}_kind"] if rule.flags else [name]


def load_plan(path: Path) -> Plan:
    """Read a plan. Raises Refusal with file, line and remedy."""
    return load_definition(path, Plan)
