"""How models are signed off: how long an approval lasts, and each model's tier, owner and use; a hashed YAML that people change.

`<home>/sign_off.yaml` counts where it exists, else the file beside this one.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

from pydantic import Field

from core.definition_file import Bilingual, Definition, load_definition
from core.errors import SignOffRefused
from core.settings import Settings

SHIPPED = Path(__file__).parent / "sign_off_policy.yaml"
NAME = "sign_off.yaml"


class InventoryEntry(Definition):
    """What the inventory says of a model. Tier 1: decides about credit; 2: supports decisions; 3: neither."""

    tier: Literal[1, 2, 3]
    owner: Bilingual
    use: Bilingual


class SignOffPolicy(Definition):
    """Days that approvals, validations and reviews last, and the inventory by model."""

    policy: Literal["sign_off"]
    version: int = Field(ge=1)
    approval_valid_days: int = Field(ge=1, le=1096)
    validation_valid_days: int = Field(ge=1, le=1096)
    review_every_days: int = Field(ge=1, le=1096)
    models: dict[str, InventoryEntry]

    def entry(self, name: str) -> InventoryEntry:
        """The inventory's entry; SignOffRefused where the model isn't in the inventory."""
        if name not in self.models:
            raise SignOffRefused(
                "SIGN_OFF/INVENTORY",
                f"{name} is not in the inventory of models.",
                f"Add it with tier, owner and use under `models` in {NAME} of the home folder.",
            )
        return self.models[name]

    def sha256_for(self, name: str) -> str:
        """Hash of what the policy says about one model; another model's entry may change without it."""
        told = self.model_dump(mode="json", exclude={"models"}) | {
            "model": self.entry(name).model_dump(mode="json")
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def load_sign_off_policy(settings: Settings) -> SignOffPolicy:
    """The policy of this installation; a Refusal names file and line."""
    own = settings.home / NAME
    return load_definition(own if own.exists() else SHIPPED, SignOffPolicy)
