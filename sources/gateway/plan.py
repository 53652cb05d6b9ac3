"""What the gateway does to one file: which columns hold ids, of whom, and what becomes of the rest. One small YAML a file.

```yaml
plan: si_person_month
source: anyang_si
purpose: risk
key_id: k1
algorithm: sha256        # or sm3
file: {encoding: gb18030, delimiter: "|"}
ids:
  sfzh: {kind: resident, to: grbh}
  dwdm: {kind: enterprise, to: dwbh, on_invalid: flag}
drop: [xm, lxdh]
```
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from core.definition_file import Definition, load_definition
from core.purpose import Purpose
from core.subject import SubjectKind
from sources.gateway.token_keys import Algorithm


class TextFile(Definition):
    """How the file is written; the result is written the same way."""

    format: Literal["csv", "parquet", "jsonl"] = "csv"
    encoding: Literal["utf-8", "utf-8-sig", "gb18030"] = "utf-8"
    delimiter: str = Field(default=",", pattern=r"^[,;|~^\t]$")


class IdColumn(Definition):
    """One column of ids. `on_invalid`: reject the row (counted), flag it, or stop. With `flag`, the column `<to>_kind` says what
    each id was: resident_18, resident_15, social_credit_code, organisation_code, taxpayer_number, unknown or missing.
    """

    kind: SubjectKind
    to: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")
    on_invalid: Literal["reject", "flag", "stop"] = "reject"
    optional: bool = False


class Plan(Definition):
    """The file."""

    plan: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    source: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    purpose: Purpose
    key_id: str = Field(pattern=r"^k[1-9][0-9]{0,3}$")
    algorithm: Algorithm = "sha256"
    file: TextFile = TextFile()
    ids: dict[str, IdColumn] = Field(min_length=1)
    drop: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _no_column_twice(self) -> Plan:
        both = sorted(set(self.drop) & set(self.ids))
        if both:
            raise ValueError(f"{both[0]} is both an id and dropped")
        written = [column.to for column in self.ids.values()]
        if len(set(written)) < len(written):
            raise ValueError("two id columns would have the same name afterwards")
        return self


def load_plan(path: Path) -> Plan:
    """Read one plan; a mistake is a Refusal with file and line."""
    return load_definition(path, Plan)
