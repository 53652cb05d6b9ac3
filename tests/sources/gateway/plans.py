"""Plans and files for the gateway's tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from sources.gateway.keyring import MasterKey
from sources.gateway.plan import Plan
from tests.sources.identity import planted

KEY = MasterKey("k1", "hmac-sha256", bytes(range(32)))
NEXT = MasterKey("k2", "hmac-sm3", bytes(range(32, 64)))


def plan(**changes: Any) -> Plan:
    """A plan for a file of firms with their owners."""
    entries: dict[str, Any] = {
        "plan": "city_tax",
        "source": "city_tax",
        "purpose": "risk",
        "file": {"format": "csv"},
        "ids": {"nsrsbh": {"kind": "enterprise", "to": "nsrdm", "flags": True}, "jyzsfz": {"kind": "owner"}},
        "keep": ["sbyf", "ysxse"],
        "drop": ["nsrmc"],
    }
    return Plan.model_validate(entries | changes)


def firms(rows: int, seed: int = 1) -> list[dict[str, str]]:
    """Rows of the file, each firm and owner different."""
    rng = np.random.default_rng(seed)
    return [
        {
            "nsrsbh": planted.uscc(rng),
            "jyzsfz": planted.resident(rng),
            "sbyf": "202610",
            "ysxse": f"{rng.lognormal(9, 1):.2f}",
            "nsrmc": planted.name(rng),
        }
        for _ in range(rows)
    ]


def csv_text(rows: list[dict[str, str]], delimiter: str = ",") -> str:
    """The rows as delivered text."""
    return "\n".join([delimiter.join(rows[0]), *(delimiter.join(row.values()) for row in rows)]) + "\n"
