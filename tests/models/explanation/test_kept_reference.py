"""The reference comes back from a signed bundle as it was trained; what is missing or odd is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import GsceneError, Refusal
from models.artefact import Bundle, load_bundle, write_bundle
from models.candidates import CandidateKind
from models.explanation.kept_reference import reference_of_bundle
from tests.models.explanation.worlds import trained


def _bundle(folder: Path, **changes: Any) -> Bundle:
    record = replace(trained(CandidateKind.LIGHTGBM)[0], **changes)
    return load_bundle(folder, write_bundle(record, folder))


def test_it_survives_the_bundle(tmp_path: Path) -> None:
    explanation = trained(CandidateKind.LIGHTGBM)[0].explanation
    assert explanation is not None and reference_of_bundle(_bundle(tmp_path)) == explanation.reference


def test_a_version_without_one_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(GsceneError, match="before references for reasons were kept"):
        reference_of_bundle(_bundle(tmp_path, explanation=None))


@pytest.mark.parametrize("odd", [{}, {"values": [["other", 1.0]], "rows": 1}, {"values": "x", "rows": "y"}])
def test_an_odd_one_is_refused(tmp_path: Path, odd: dict[str, Any]) -> None:
    bundle = _bundle(tmp_path)
    record = bundle.card.record | {"explanation": {"reference": odd}}
    changed = replace(bundle, card=bundle.card.model_copy(update={"record": record}))
    with pytest.raises(Refusal, match="not well formed"):
        reference_of_bundle(changed)
