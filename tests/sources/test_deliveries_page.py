"""docs/deliveries.md explains every reason code that the code gives, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from sources import ledger
from sources.delivery import FORMAT

CHECKOUT = Path(__file__).resolve().parents[2]
PAGE = (CHECKOUT / "docs" / "deliveries.md").read_text(encoding="utf-8")
CODE = re.compile(r"(?:REFUSED|HELD|QUARANTINED)/[A-Z_]+")


def test_every_reason_code_is_explained_with_what_to_do() -> None:
    table = [line for line in PAGE.splitlines() if re.match(r"\| `[A-Z]+/", line)]
    explained = [re.findall(CODE, line.split("|")[1])[0] for line in table]
    assert len(explained) == len(set(explained))
    given = {
        code
        for folder in (".", "identity", "migration")
        for file in (CHECKOUT / "sources" / folder).glob("*.py")
        for code in CODE.findall(file.read_text(encoding="utf-8"))
    }
    assert set(explained) == given
    assert all(line.count(" | ") == 2 and line.split("|")[3].strip() for line in table)


def test_every_state_and_the_form_are_named() -> None:
    states = {
        ledger.RECEIVED,
        ledger.HELD,
        ledger.ACCEPTED,
        ledger.REFUSED,
        ledger.SUPERSEDED,
        ledger.QUARANTINED,
    }
    assert all(f"| `{state}` |" in PAGE for state in states)
    assert f'"format": "{FORMAT}"' in PAGE
