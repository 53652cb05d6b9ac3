"""The reference as it stands in a signed bundle: in the record of its card, with the rest of the explanation."""

from __future__ import annotations

import math
from typing import Any

from core.errors import GsceneError, Refusal
from models.artefact import Bundle
from models.explanation.reference import Reference


def reference_of_bundle(bundle: Bundle) -> Reference:
    """GsceneError where the version was trained before references were kept, Refusal REFUSED/MODEL for anything odd."""
    told: Any = bundle.card.record.get("explanation")
    if told is None:
        raise GsceneError(
            f"{bundle.name} of {bundle.card.training_month} was trained before references for reasons were kept.",
            "Train it again: gscene run; then sign it.",
        )
    try:
        values = tuple(
            (str(name), None if value is None else float(value))
            for name, value in told["reference"]["values"]
        )
        rows = int(told["reference"]["rows"])
        odd = [name for name, _ in values] != bundle.names or any(
            v is not None and not math.isfinite(v) for _, v in values
        )
    except (KeyError, TypeError, ValueError):
        odd, values, rows = True, (), 0
    if odd:
        raise Refusal(
            "REFUSED/MODEL", "the reference for reasons is not well formed.", file=str(bundle.path),
            remedy="Fetch the bundle from where it was signed off.",
        )  # fmt: skip
    return Reference(values, rows)
